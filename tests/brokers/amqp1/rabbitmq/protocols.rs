//! One queue of RabbitMQ, over its own protocol at one end and over AMQP 1.0 at the other.

use integration_automation_patterns::broker::amqp::{Amqp, AmqpConfig};
use integration_automation_patterns::broker::amqp1::Amqp1Config;
use integration_automation_patterns::broker::{Ack, Broker, Consumer, Delivery};
use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::{Envelope, RawEvent};

use super::super::{Peer, Queue, ack};
use super::plugin::Plugin;
use super::{BuiltIn, own_name};
use crate::suite::{Server, in_time};

/// The same queue, whose exchange has its name, over RabbitMQ's own protocol.
async fn own<P: Peer>(queue: &Queue<P>) -> Amqp {
    let name = own_name::<P>(&queue.name);
    let server = format!("amqp://{}", queue.address());
    let amqp = Amqp::new(&server, AmqpConfig::new(name)).unwrap();
    amqp.create_queue(name, &["#"]).await.unwrap();
    amqp
}

fn lead() -> Envelope<Dispatched> {
    let lead = RawEvent::new("crm.lead.created", br#"{"lead":7}"#);
    let event = Envelope::builder("crm", lead)
        .id("evt 1/ü".parse().unwrap())
        .ordering_key("lead-7")
        .correlation_id("import-7")
        .tag("region", "eu");
    event.build().unwrap().dispatch()
}

/// Whether it arrived as the event that was sent, or as a dead letter with its payload.
async fn arrives<A: Ack>(delivery: Delivery<A>) -> bool {
    let (sent, found) = (lead(), delivery.facts());
    assert_eq!(found.payload().bytes(), sent.payload().bytes());
    let is_event = found.event_type() != "unreadable";
    if is_event {
        assert_eq!((found.id(), found.tags()), (sent.id(), sent.tags()));
        assert_eq!(found.event_type(), sent.event_type());
        assert_eq!(found.ordering_key(), sent.ordering_key());
        assert_eq!(found.correlation_id(), sent.correlation_id());
    }
    ack(delivery).await.unwrap();
    is_event
}

/// Whether an event is one at the other end, by the exchange and the queue both, and back.
async fn are_one<P: Peer>(exchange: &str) -> [bool; 3] {
    let queue = Queue::<P>::fresh().await;
    let own = own(&queue).await;
    let by_exchange =
        Amqp1Config::queue(format!("{exchange}/{}/key", own_name::<P>(&queue.name)));
    queue.amqp1(by_exchange).send(&lead()).await.unwrap();
    queue.broker(queue.address()).send(&lead()).await.unwrap();
    let mut listener = own.listen(own_name::<P>(&queue.name)).unwrap();
    let by_exchange = arrives(listener.next().await.unwrap().unwrap()).await;
    let by_queue = arrives(listener.next().await.unwrap().unwrap()).await;
    drop(listener);
    own.send(&lead()).await.unwrap();
    let back = queue.consumer().await.next().await.unwrap().unwrap();
    [by_exchange, by_queue, arrives(back).await]
}

/// The plugin keeps what a message says of itself from the other protocol.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn over_the_plugin_an_event_is_none_at_the_other_end() {
    in_time(async {
        assert_eq!(are_one::<Plugin>("/exchange").await, [false; 3]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ 4"]
async fn over_version_4_an_event_is_the_same_at_the_other_end() {
    in_time(async {
        assert_eq!(are_one::<BuiltIn>("/exchanges").await, [true; 3]);
    })
    .await;
}
