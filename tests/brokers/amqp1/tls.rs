//! TLS: whose certificate counts, and what becomes of a port that is spoken to wrongly.

use std::net::SocketAddr;

use integration_automation_patterns::broker::amqp1::{Amqp1, Amqp1Config};
use integration_automation_patterns::broker::{Broker, BrokerErrorKind, Consumer};
use integration_automation_patterns::tls::Tls;

use super::artemis::Artemis;
use super::{LOGIN, Queue, ack, event};
use crate::servers::{artemis, certificate};
use crate::suite::{in_time, refusal};

fn tls_port() -> u16 {
    artemis()[1]
}

fn trusting(authority: &str) -> Tls {
    Tls::with_authorities(&std::fs::read(certificate(authority)).unwrap()).unwrap()
}

fn over_tls(host: &str, port: u16, config: Amqp1Config) -> Amqp1 {
    Amqp1::new(&format!("amqps://{LOGIN}@{host}:{port}"), config).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Artemis"]
async fn an_event_goes_and_comes_over_tls() {
    in_time(async {
        let queue = Queue::<Artemis>::named("test");
        let config = queue.config().tls(trusting("authority.pem"));
        let broker = over_tls("127.0.0.1", tls_port(), config);
        broker.send(&event("1")).await.unwrap();
        let mut listener = broker.listen(&queue.name).unwrap();
        let delivery = listener.next().await.unwrap().unwrap();
        assert_eq!(delivery.facts().id().to_string(), "1");
        ack(delivery).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Artemis"]
async fn a_certificate_of_another_authority_or_for_another_name_is_refused() {
    in_time(async {
        let queue = Queue::<Artemis>::named("test");
        for (host, authority, said) in [
            ("127.0.0.1", "stranger.pem", "UnknownIssuer"),
            ("localhost", "authority.pem", "not valid for name"),
        ] {
            let config = queue.config().tls(trusting(authority));
            let sent = over_tls(host, tls_port(), config).send(&event("1")).await;
            assert_eq!(refusal(&sent), Some(BrokerErrorKind::Unreachable), "{sent:?}");
            let reason = sent.unwrap_err().reason().to_owned();
            assert!(reason.contains(said) && !reason.contains("s3cr3t"), "{reason}");
        }
    })
    .await;
}

/// Neither side may ever answer the other.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Artemis"]
async fn a_port_that_is_spoken_to_in_the_wrong_way_holds_nobody_up() {
    in_time(async {
        let queue = Queue::<Artemis>::named("test");
        let clear = SocketAddr::from(([127, 0, 0, 1], tls_port()));
        let in_clear = Amqp1::new(&format!("amqp://{LOGIN}@{clear}"), queue.config());
        let config = queue.config().tls(trusting("authority.pem"));
        for broker in [in_clear.unwrap(), over_tls("127.0.0.1", artemis()[0], config)] {
            let sent = broker.send(&event("1")).await;
            assert_eq!(refusal(&sent), Some(BrokerErrorKind::Unreachable), "{sent:?}");
        }
    })
    .await;
}
