//! What becomes of a delivery that is dropped, and of what was sent ahead to a listener
//! that is.

use std::collections::BTreeSet;
use std::time::Duration;

use integration_automation_patterns::broker::amqp::{Acker, Listener};
use integration_automation_patterns::broker::{Broker, Consumer, Delivery};
use tokio::time::timeout;

use super::{RabbitMq, ack, event};
use crate::suite::{Server, in_time};

/// Far more than the second after which a delivery that was dropped is given back.
const SOON: Duration = Duration::from_secs(10);

async fn next(listener: &mut Listener) -> Delivery<Acker> {
    let next = timeout(SOON, listener.next()).await.expect("a delivery comes again soon");
    next.unwrap().expect("a delivery")
}

async fn with_events(count: usize) -> RabbitMq {
    let server = RabbitMq::fresh().await;
    let broker = server.broker(server.address());
    for number in 0..count {
        broker.send(&event(&number.to_string())).await.unwrap();
    }
    server
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_delivery_that_is_dropped_comes_again_whatever_dropped_it() {
    in_time(async {
        let server = with_events(1).await;
        let mut listener = server.consumer().await.prefetch(1).unwrap();

        drop(next(&mut listener).await); // an error of the database
        let delivery = next(&mut listener).await;
        assert!(delivery.is_redelivered());
        let panicked = tokio::spawn(async move {
            let _delivery = delivery;
            panic!("the effect panics");
        });
        assert!(panicked.await.is_err_and(|ended| ended.is_panic()));
        let delivery = next(&mut listener).await;
        let hangs = timeout(Duration::from_millis(10), async move {
            let _delivery = delivery;
            std::future::pending::<()>().await;
        });
        assert!(hangs.await.is_err());
        let delivery = next(&mut listener).await;
        tokio::select! {
            biased;
            () = async { let _delivery = delivery; tokio::task::yield_now().await } => {}
            () = std::future::ready(()) => {}
        }
        let delivery = next(&mut listener).await;
        std::thread::spawn(move || drop(delivery))
            .join()
            .expect("without a runtime it does not panic");
        ack(next(&mut listener).await).await;
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_thousand_errors_in_a_row_do_not_starve_a_consumer() {
    in_time(async {
        let server = with_events(150).await; // more than may be without an answer
        let mut listener = server.consumer().await;
        for _ in 0..1000 {
            drop(next(&mut listener).await);
        }
        let mut ids = BTreeSet::new();
        while ids.len() < 150 {
            let delivery = next(&mut listener).await;
            ids.insert(delivery.facts().id().to_string());
            ack(delivery).await;
        }
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_listener_that_is_dropped_gives_back_what_was_sent_ahead_and_its_answers_hold()
{
    in_time(async {
        let server = with_events(50).await;
        let mut first = server.consumer().await;
        let alive = next(&mut first).await;
        drop(first);
        let mut second = server.consumer().await;
        let mut ids = BTreeSet::new();
        while ids.len() < 49 {
            let delivery = next(&mut second).await;
            ids.insert(delivery.facts().id().to_string());
            ack(delivery).await;
        }
        assert!(
            !ids.contains(&alive.facts().id().to_string()),
            "its answer is still to come"
        );
        ack(alive).await;
        drop(second);
        assert_eq!(
            server.ids(0).await,
            Vec::<String>::new(),
            "each was confirmed, the first by a listener that is gone"
        );
        server.remove().await;
    })
    .await;
}
