//! The order of a key, where its events wait for one another.

use std::collections::BTreeMap;
use std::time::Duration;

use integration_automation_patterns::broker::amqp1::Listener;
use integration_automation_patterns::broker::{Broker, Consumer};
use integration_automation_patterns::inbox::{
    Handled, HandlerError, InboxConfig, sqlite as inbox,
};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::{Envelope, RawEvent};
use tokio::sync::mpsc;

use super::activemq::ActiveMq;
use super::artemis::Artemis;
use super::qpid::Qpid;
use super::{Peer, Queue};
use crate::suite::{Server, in_time};

const KEYS: usize = 3;
const EVENTS: usize = 8;

/// Settles deliveries, each key's fourth one once as failed, and tells what had its effect.
async fn work(mut listener: Listener, done: mpsc::UnboundedSender<(String, usize)>) {
    let mut database = rusqlite::Connection::open_in_memory().unwrap();
    inbox::install(&mut database).unwrap();
    let again = RetryPolicy::new(5, Backoff::Fixed(Duration::from_millis(50))).unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    let config = InboxConfig::new(day, RetryPolicy::DEFAULT).unwrap().retry_policy(again);
    loop {
        let delivery = listener.next().await.unwrap().unwrap();
        let key = delivery.facts().ordering_key().unwrap().to_owned();
        let number: usize =
            String::from_utf8_lossy(delivery.facts().payload().bytes()).parse().unwrap();
        let handled = inbox::process(&mut database, delivery, &config, |_, event| {
            if number == 3 && event.attempts() == 1 {
                return Err(HandlerError::transient("busy"));
            }
            Ok(())
        });
        let handled = handled.unwrap();
        if matches!(handled, Handled::Processed(_)) && done.send((key, number)).is_err() {
            return;
        }
        handled.settle().await.unwrap();
    }
}

/// With `prefetch(1)` on each of two listeners, and the ordering key as the group.
async fn the_order_of_a_key_survives_a_retry<P: Peer>() {
    let queue = Queue::<P>::fresh().await;
    let listener = || async { queue.consumer().await.prefetch(1).unwrap() };
    let (done, mut effects) = mpsc::unbounded_channel();
    let workers = [listener().await, listener().await]
        .map(|listener| tokio::spawn(work(listener, done.clone())));
    let broker = queue.broker(queue.address());
    for number in 0..EVENTS {
        for key in 0..KEYS {
            let payload = RawEvent::new("crm.lead.created", number.to_string());
            let event =
                Envelope::builder("crm", payload).ordering_key(format!("lead-{key}"));
            broker.send(&event.build().unwrap().dispatch()).await.unwrap();
        }
    }
    let mut of_key = BTreeMap::<String, Vec<usize>>::new();
    for _ in 0..KEYS * EVENTS {
        let (key, number) = effects.recv().await.unwrap();
        of_key.entry(key).or_default().push(number);
    }
    workers.iter().for_each(tokio::task::JoinHandle::abort);
    for (key, numbers) in of_key {
        assert_eq!(numbers, (0..EVENTS).collect::<Vec<_>>(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Artemis"]
async fn artemis_keeps_the_order_of_a_key() {
    in_time(the_order_of_a_key_survives_a_retry::<Artemis>()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Classic"]
async fn activemq_keeps_the_order_of_a_key() {
    in_time(the_order_of_a_key_survives_a_retry::<ActiveMq>()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Qpid Broker-J"]
async fn qpid_keeps_the_order_of_a_key() {
    in_time(the_order_of_a_key_survives_a_retry::<Qpid>()).await;
}
