//! What nobody answers comes again of its own accord, long before the server's patience
//! ends.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use integration_automation_patterns::broker::nats::{Acker, Listener};
use integration_automation_patterns::broker::{Broker, Consumer, Delivery};
use integration_automation_patterns::inbox::{InboxConfig, sqlite as inbox};
use integration_automation_patterns::{Envelope, RawEvent, RetryPolicy};

use super::super::suite::{Server, in_time};
use super::JetStream;

/// An hour: nothing here is delivered again for want of an answer.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
/// By far sooner than that.
const SOON: Duration = Duration::from_secs(10);

async fn with(events: usize) -> (JetStream, Listener) {
    let server = JetStream::fresh().await;
    let broker = server.broker(server.address());
    for number in 0..events {
        let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
            .id(number.to_string().parse().unwrap());
        broker.send(&event.build().unwrap().dispatch()).await.unwrap();
    }
    let listener = broker.listen("erp").unwrap().ack_wait(PATIENCE).unwrap();
    (server, listener)
}

async fn next(listener: &mut Listener) -> Delivery<Acker> {
    listener.next().await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS with JetStream"]
async fn a_delivery_that_is_dropped_comes_again_however_it_was() {
    in_time(async {
        let (server, mut listener) = with(1).await;
        type Drop = fn(Delivery<Acker>);
        let ways: [(&str, Drop); 4] = [
            ("dropped", drop),
            ("panicked over", |delivery| {
                let panicked = std::thread::spawn(move || {
                    let _delivery = delivery;
                    std::panic::resume_unwind(Box::new("the effect panics"));
                });
                assert!(panicked.join().is_err());
            }),
            ("in a thread without a runtime", |delivery| {
                std::thread::spawn(move || drop(delivery)).join().unwrap()
            }),
            ("in a task that is aborted", |delivery| {
                let task = tokio::spawn(async move {
                    let _delivery = delivery;
                    std::future::pending::<()>().await;
                });
                task.abort();
            }),
        ];
        for (way, drop) in ways {
            let delivery = next(&mut listener).await;
            let dropped = Instant::now();
            drop(delivery);
            let again = next(&mut listener).await;
            assert!(
                again.is_redelivered() && dropped.elapsed() < SOON,
                "{way}: {:?}",
                dropped.elapsed()
            );
            std::mem::drop(again);
        }
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS with JetStream"]
async fn what_a_listener_had_fetched_is_another_ones_at_once() {
    in_time(async {
        let (server, mut first) = with(60).await;
        let one = next(&mut first).await;
        let dropped = Instant::now();
        std::thread::spawn(move || drop(first)).join().unwrap();
        let mut second = server.broker(server.address()).listen("erp").unwrap();
        let mut deliveries = Vec::new();
        while deliveries.len() < 59 {
            deliveries.push(next(&mut second).await);
        }
        let ids: BTreeSet<_> =
            deliveries.iter().map(|delivery| delivery.facts().id().to_string()).collect();
        assert_eq!(ids.len(), 59, "each once");
        assert!(
            !ids.contains(&one.facts().id().to_string()),
            "that one is in somebody's hands"
        );
        assert!(dropped.elapsed() < SOON, "{:?}", dropped.elapsed());
        drop((one, deliveries, second));
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS with JetStream"]
async fn what_was_in_hand_when_a_listener_was_dropped_is_another_ones_soon() {
    in_time(async {
        for events in [1, 2, 7] {
            let (server, mut first) = with(events).await;
            let mut in_hand = Vec::new();
            while in_hand.len() < events {
                in_hand.push(next(&mut first).await);
            }
            let dropped = Instant::now();
            drop((in_hand, first));
            let mut second = server.broker(server.address()).listen("erp").unwrap();
            let mut ids = BTreeSet::new();
            while ids.len() < events {
                let delivery = next(&mut second).await;
                assert!(delivery.is_redelivered());
                ids.insert(delivery.facts().id().to_string());
            }
            assert!(dropped.elapsed() < SOON, "{:?}", dropped.elapsed());
            drop(second);
            server.remove().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS with JetStream"]
async fn a_listener_that_is_asked_for_a_moment_at_a_time_gets_everything_once() {
    in_time(async {
        let (server, mut listener) = with(50).await;
        let (mut ids, mut deliveries, began) =
            (BTreeSet::new(), Vec::new(), Instant::now());
        while ids.len() < 50 {
            if let Ok(delivery) =
                tokio::time::timeout(Duration::from_micros(300), listener.next()).await
            {
                let delivery = delivery.unwrap().unwrap();
                assert!(ids.insert(delivery.facts().id().to_string()), "twice");
                deliveries.push(delivery);
            }
        }
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        drop((deliveries, listener));
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS with JetStream"]
async fn few_wait_in_a_listener_while_the_servers_patience_with_them_runs() {
    in_time(async {
        let (server, mut listener) = with(60).await;
        let stream = server.context.get_stream(&server.stream).await.unwrap();
        let mut erp = rusqlite::Connection::open_in_memory().unwrap();
        inbox::install(&mut erp).unwrap();
        let inbox_config = InboxConfig::new(PATIENCE, RetryPolicy::DEFAULT).unwrap();
        for number in 0..60 {
            let delivery = next(&mut listener).await;
            let unanswered = stream.consumer_info("erp").await.unwrap().num_ack_pending;
            assert!(unanswered <= 9, "{unanswered} at the server's, at number {number}");
            inbox::process(&mut erp, delivery, &inbox_config, |_, _| Ok(()))
                .unwrap()
                .settle()
                .await
                .unwrap();
        }
        drop(listener);
        server.remove().await;
    })
    .await;
}
