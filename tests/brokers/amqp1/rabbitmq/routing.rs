//! What no queue takes: where it is refused, and where it is accepted and lost.

use integration_automation_patterns::broker::amqp1::{Amqp1, Amqp1Config};
use integration_automation_patterns::broker::{Broker, BrokerErrorKind};
use lapin::types::AMQPValue;

use super::super::{Peer, Queue, event, url};
use super::plugin::Plugin;
use super::{BuiltIn, delete, queue_with};
use crate::suite::{Server, in_time, refusal};

fn to<P: Peer>(address: &str) -> Amqp1 {
    let server = std::net::SocketAddr::from(([127, 0, 0, 1], P::port()));
    Amqp1::new(&url(server), Amqp1Config::queue(address)).unwrap()
}

/// Sent to an address, an event has this fate, which is said in these words.
async fn fares<P: Peer>(address: &str, refused: Option<BrokerErrorKind>, said: &str) {
    let sent = to::<P>(address).send(&event("1")).await;
    assert_eq!(refusal(&sent), refused, "{address}: {sent:?}");
    let reason = sent.map_or_else(|error| error.reason().to_owned(), |()| String::new());
    assert!(reason.contains(said), "{address}: {reason}");
}

/// The plugin sends what it takes on to an exchange, and does not ask what became of it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn the_plugin_accepts_what_no_queue_takes() {
    in_time(async {
        fares::<Plugin>("/amq/queue/none", None, "").await;
        fares::<Plugin>("/exchange/amq.direct/none", None, "").await;
        let missing = Some(BrokerErrorKind::Unavailable);
        fares::<Plugin>("/exchange/none/key", missing, "amqp:not-found").await;
        let queue = Queue::<Plugin>::fresh().await;
        let broker = queue.broker(queue.address());
        broker.send(&event("1")).await.unwrap();
        delete(&queue).await;
        broker.send(&event("2")).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ 4"]
async fn version_4_refuses_what_no_queue_takes() {
    in_time(async {
        let missing = Some(BrokerErrorKind::Unavailable);
        fares::<BuiltIn>("/queues/none", missing, "amqp:not-found").await;
        fares::<BuiltIn>("/exchanges/none/key", missing, "amqp:not-found").await;
        let unbound = Some(BrokerErrorKind::Transient);
        fares::<BuiltIn>("/exchanges/amq.direct/none", unbound, "released").await;
        let queue = Queue::<BuiltIn>::fresh().await;
        let broker = queue.broker(queue.address());
        broker.send(&event("1")).await.unwrap();
        delete(&queue).await;
        assert_eq!(refusal(&broker.send(&event("2")).await), missing);
    })
    .await;
}

/// A queue of one event that refuses the next.
async fn full<P: Peer>() -> Queue<P> {
    let reject = AMQPValue::LongString("reject-publish".into());
    queue_with(&[("x-max-length", AMQPValue::LongInt(1)), ("x-overflow", reject)]).await
}

/// Without saying why: an event that waits for room spends its attempts. The plugin
/// breaks the session off, and says nothing at all.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ and RabbitMQ 4"]
async fn a_full_queue_takes_an_event_for_a_failed_one() {
    in_time(async {
        refuses(&full::<Plugin>().await, "had not confirmed when the link ended").await;
        refuses(&full::<BuiltIn>().await, "no reason is given").await;
    })
    .await;
}

async fn refuses<P: Peer>(queue: &Queue<P>, said: &str) {
    to::<P>(&queue.name).send(&event("1")).await.unwrap();
    fares::<P>(&queue.name, Some(BrokerErrorKind::Transient), said).await;
}
