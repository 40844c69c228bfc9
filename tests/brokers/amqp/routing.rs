//! No event is taken for sent that no queue has, and none for refused that one has.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use integration_automation_patterns::broker::amqp::{Amqp, AmqpConfig};
use integration_automation_patterns::broker::{Broker, BrokerErrorKind};
use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::{Envelope, RawEvent};

use super::RabbitMq;
use super::user::User;
use crate::suite::{Server, in_time};

pub(super) fn event(event_type: &'static str, id: &str) -> Envelope<Dispatched> {
    Envelope::builder("crm", RawEvent::new(event_type, b"{}"))
        .id(id.parse().unwrap())
        .build()
        .unwrap()
        .dispatch()
}

/// Sends `count` events, of which each twentieth has no queue, and counts at both sides.
async fn what_is_confirmed_is_what_the_queue_has(count: usize, in_flight: usize) {
    let server = RabbitMq::without_a_queue().await;
    // However long a busy machine lets the last ones wait for their turn.
    let config = AmqpConfig::new(&server.name).connect_timeout(Duration::from_secs(60));
    let broker = Amqp::new(&format!("amqp://{}", server.address()), config).unwrap();
    broker.create_queue(&server.name, &["routed"]).await.unwrap();
    let sends = (0..count).map(|number| {
        let broker = &broker;
        let (event_type, id) =
            (if number % 20 == 7 { "lost" } else { "routed" }, number.to_string());
        async move { (broker.send(&event(event_type, &id)).await, event_type, id) }
    });
    let sent: Vec<_> =
        futures_util::stream::iter(sends).buffer_unordered(in_flight).collect().await;
    let (mut confirmed, mut refused) = (BTreeSet::new(), 0);
    for (outcome, event_type, id) in sent {
        match outcome {
            Ok(()) => assert!(confirmed.insert(id)),
            Err(error) => {
                assert_eq!(
                    (error.kind(), event_type),
                    (BrokerErrorKind::Unroutable, "lost"),
                    "{error}"
                );
                refused += 1;
            }
        }
    }
    assert_eq!(refused, count / 20);
    assert_eq!(
        server.ids(confirmed.len()).await.into_iter().collect::<BTreeSet<_>>(),
        confirmed
    );
    server.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn with_a_hundred_in_flight_what_is_confirmed_is_what_the_queue_has() {
    for _ in 0..5 {
        in_time(what_is_confirmed_is_what_the_queue_has(2000, 100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn with_a_thousand_in_flight_what_is_confirmed_is_what_the_queue_has() {
    for _ in 0..3 {
        in_time(what_is_confirmed_is_what_the_queue_has(3000, 1000)).await;
    }
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_type_that_may_not_be_sent_stops_no_other() {
    in_time(async {
        let server = RabbitMq::fresh().await;
        let user = User::new(&server);
        user.may_send(&server.name, "^crm[.]");
        let broker = Amqp::new(
            &user.address("amqp", server.address()),
            AmqpConfig::new(&server.name),
        )
        .unwrap();
        let refused = broker.send(&event("erp.order", "1")).await.unwrap_err();
        assert_eq!(refused.kind(), BrokerErrorKind::Unroutable, "{refused}");
        assert!(refused.reason().contains("access to topic 'erp.order'"), "{refused}");
        broker.send(&event("crm.lead", "2")).await.unwrap();
        drop(user);
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_send_that_is_given_up_and_made_again_is_one_message() {
    in_time(async {
        let server = RabbitMq::fresh().await;
        let broker = server.broker(server.address());
        broker.send(&event("lead", "000")).await.unwrap();
        for looks in 1..300 {
            let lead = event("lead", &format!("{looks:03}"));
            tokio::select! {
                biased;
                sent = broker.send(&lead) => sent.unwrap(),
                // After as many looks at it, wherever it is by then.
                () = async { for _ in 0..looks { tokio::task::yield_now().await } } => broker.send(&lead).await.unwrap(),
            }
        }
        let mut ids = server.ids(300).await;
        ids.sort();
        assert_eq!(ids, (0..300).map(|number| format!("{number:03}")).collect::<Vec<_>>());
        server.remove().await;
    })
    .await;
}
