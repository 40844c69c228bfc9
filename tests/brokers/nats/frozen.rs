//! A server that is there and does nothing: nobody waits for it without an end, and it is
//! used again once it moves.

use std::time::{Duration, Instant};

use integration_automation_patterns::broker::{
    Broker, BrokerError, BrokerErrorKind, Consumer,
};
use integration_automation_patterns::inbox::{InboxConfig, sqlite as inbox};
use integration_automation_patterns::retry::RetryPolicy;

use super::super::suite::{in_time, refusal};
use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::{Envelope, RawEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::own::{JETSTREAM, Own, impatient};

fn event(event_type: &'static str) -> Envelope<Dispatched> {
    Envelope::builder("crm", RawEvent::new(event_type, b"{}")).build().unwrap().dispatch()
}

/// By far longer than anything here may take, and far from for ever.
const LONG: Duration = Duration::from_secs(20);

/// How long the stream knows duplicates.
const MINUTE: Duration = Duration::from_secs(60);

async fn ends<T>(what: &str, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = tokio::time::timeout(LONG, work)
        .await
        .unwrap_or_else(|_| panic!("{what} has no end"));
    println!("{what}: {:?}", began.elapsed());
    done
}

/// What an impatient broker may be too impatient for on a busy machine, until it is done.
async fn at_last<T>(mut work: impl AsyncFnMut() -> Result<T, BrokerError>) -> T {
    loop {
        match work().await {
            Ok(done) => return done,
            Err(error) => {
                println!("{error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nats-server"]
async fn nothing_waits_for_a_frozen_server_for_ever() {
    in_time(async {
        let own = Own::plain().await;
        let broker = own.broker(impatient("crm"));
        at_last(async || broker.create_stream(MINUTE).await).await;
        at_last(async || broker.send(&event("crm.lead.created")).await).await;
        let mut listener = broker.listen("erp").unwrap();
        let delivery = at_last(async || listener.next().await).await.unwrap();
        let mut erp = rusqlite::Connection::open_in_memory().unwrap();
        inbox::install(&mut erp).unwrap();
        let inbox_config =
            InboxConfig::new(Duration::from_secs(3600), RetryPolicy::DEFAULT).unwrap();
        let handled =
            inbox::process(&mut erp, delivery, &inbox_config, |_, _| Ok(())).unwrap();

        own.signal("STOP");
        let sends = futures_util::future::join_all(
            (0..100).map(|_| async { broker.send(&event("crm.order.placed")).await }),
        );
        for sent in ends("a hundred sends", sends).await {
            assert!(
                matches!(refusal(&sent), Some(BrokerErrorKind::Transient)),
                "{sent:?}"
            );
        }
        assert!(ends("an answer", handled.settle()).await.is_err());
        assert!(ends("the lag", listener.lag()).await.is_err());
        assert!(ends("a delivery", listener.next()).await.is_err());
        assert!(ends("a session", listener.next()).await.is_err());
        assert!(
            ends("another listener", broker.listen("other").unwrap().next())
                .await
                .is_err()
        );
        assert!(ends("a stream", broker.create_stream(MINUTE)).await.is_err());
        let other = own.broker(impatient("crm"));
        let sent = ends("a connection", other.send(&event("crm.order.placed"))).await;
        assert_eq!(refusal(&sent), Some(BrokerErrorKind::Unreachable), "{sent:?}");
        let reason = sent.unwrap_err().reason().to_owned();
        assert!(
            reason.contains("1s") && reason.contains(&own.address().to_string()),
            "{reason}"
        );

        own.signal("CONT");
        while let Err(error) =
            ends("a send", broker.send(&event("crm.lead.updated"))).await
        {
            assert_ne!(error.kind(), BrokerErrorKind::Permanent, "{error}");
        }
        let found = loop {
            match ends("a delivery", listener.next()).await {
                Ok(delivery) => break delivery.unwrap(),
                Err(error) => println!("{error}"),
            }
        };
        drop(found);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nats-server"]
async fn a_listener_without_a_server_tries_once_in_a_second() {
    in_time(async {
        let mut own = Own::plain().await;
        let mut listener = own.broker(impatient("crm")).listen("erp").unwrap();
        own.stop();
        let (began, mut failures) = (Instant::now(), 0);
        while began.elapsed() < Duration::from_secs(3) {
            let refused = ends("a try", listener.next()).await.unwrap_err();
            assert!(refused.reason().contains(&own.address().to_string()), "{refused}");
            assert!(refused.reason().contains("refused"), "{refused}");
            failures += 1;
        }
        assert!(failures <= 5, "{failures} tries in three seconds");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nats-server"]
async fn what_is_given_up_leaves_no_connection_behind() {
    in_time(async {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let monitor = free.local_addr().unwrap();
        drop(free);
        let own = Own::start(&format!("{JETSTREAM}\nhttp: \"{monitor}\"")).await;
        let broker = own.broker(impatient("crm"));
        at_last(async || broker.create_stream(MINUTE).await).await;
        own.signal("STOP");
        for _ in 0..5 {
            let sent =
                own.broker(impatient("crm")).send(&event("crm.lead.created")).await;
            assert_eq!(refusal(&sent), Some(BrokerErrorKind::Unreachable), "{sent:?}");
        }
        own.signal("CONT");
        at_last(async || broker.create_stream(MINUTE).await).await;
        ends("no connection but the live one", async {
            loop {
                let mut said = String::new();
                let mut stream = TcpStream::connect(monitor).await.unwrap();
                stream.write_all(b"GET /connz HTTP/1.0\r\n\r\n").await.unwrap();
                stream.read_to_string(&mut said).await.unwrap();
                if said.contains("\"num_connections\": 1,") {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    })
    .await;
}
