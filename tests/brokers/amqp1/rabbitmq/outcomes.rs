//! What RabbitMQ makes of the answers to its deliveries.

use integration_automation_patterns::broker::amqp1::NackAs;
use integration_automation_patterns::broker::{Broker, BrokerErrorKind, Consumer};
use lapin::types::AMQPValue;

use super::super::foreign::proton;
use super::super::{Peer, Queue, ack, event};
use super::plugin::Plugin;
use super::{BuiltIn, queue_with};
use crate::suite::{Effects, Server, in_time};

/// A queue whose dead letters are in another one, named behind it: a quorum queue, which
/// delivers what comes back once more, and no more often.
async fn with_dead_letters<P: Peer>() -> (Queue<P>, Queue<P>) {
    let dead = Queue::<P>::fresh().await;
    let text = |text: &str| AMQPValue::LongString(text.into());
    let arguments = [
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", AMQPValue::LongInt(1)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(super::own_name::<P>(&dead.name))),
    ];
    (queue_with(&arguments).await, dead)
}

/// How often an event is delivered that fails each time, until it is a dead letter; or
/// nothing, where it is none after five.
async fn deliveries<P: Peer>(nack_as: NackAs) -> Option<usize> {
    let (queue, dead) = with_dead_letters::<P>().await;
    let broker = queue.amqp1(queue.config().nack_as(nack_as));
    broker.send(&event("1")).await.unwrap();
    let mut listener = broker.listen(&queue.name).unwrap();
    let (mut dead, mut effects) = (dead.consumer().await, Effects::new());
    for delivered in 0..5 {
        tokio::select! {
            delivery = listener.next() => {
                let delivery = delivery.unwrap().unwrap();
                effects.fail(delivery).settle().await.unwrap();
            }
            _ = dead.next() => return Some(delivered),
        }
    }
    None
}

/// Also what is released, which no other server counts: its limit is to be above the
/// inbox's attempts.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ and RabbitMQ 4"]
async fn a_quorum_queue_counts_what_is_given_back() {
    in_time(async {
        assert_eq!(deliveries::<Plugin>(NackAs::Released).await, Some(2));
        assert_eq!(deliveries::<BuiltIn>(NackAs::Released).await, Some(2));
        assert_eq!(deliveries::<BuiltIn>(NackAs::Modified).await, Some(2));
    })
    .await;
}

/// The plugin knows no `modified`: what a listener has is given back with its session.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn the_plugin_ends_the_session_that_modifies() {
    in_time(async {
        let queue = Queue::<Plugin>::fresh().await;
        let broker = queue.amqp1(queue.config().nack_as(NackAs::Modified));
        broker.send(&event("1")).await.unwrap();
        let mut listener = broker.listen(&queue.name).unwrap();
        let first = listener.next().await.unwrap().unwrap();
        Effects::new().fail(first).settle().await.unwrap();
        let ended = listener.next().await.unwrap_err();
        assert_eq!(ended.kind(), BrokerErrorKind::Unreachable, "{ended}");
        assert!(ended.reason().contains("Unrecognised state"), "{ended}");
        let again = listener.next().await.unwrap().unwrap();
        assert_eq!(again.facts().id().to_string(), "1");
    })
    .await;
}

/// What cannot be decoded is rejected: it is with the dead letters then, and blocks
/// nothing.
async fn what_is_rejected_is_a_dead_letter<P: Peer>() {
    let (queue, dead) = with_dead_letters::<P>().await;
    proton("no-text", &queue);
    for (queue, behind) in [(queue, Some("proton-behind")), (dead, None)] {
        let mut listener = queue.consumer().await;
        let error = listener.next().await.unwrap_err();
        assert!(error.reason().contains("cannot be decoded"), "{error}");
        if let Some(behind) = behind {
            let delivery = listener.next().await.unwrap().unwrap();
            assert_eq!(delivery.facts().id().to_string(), behind);
            ack(delivery).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ and Qpid Proton"]
async fn what_is_rejected_is_a_dead_letter_of_the_plugin() {
    in_time(what_is_rejected_is_a_dead_letter::<Plugin>()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ 4 and Qpid Proton"]
async fn what_is_rejected_is_a_dead_letter_of_version_4() {
    in_time(what_is_rejected_is_a_dead_letter::<BuiltIn>()).await;
}
