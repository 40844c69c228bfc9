//! The order of a key over retries on a FIFO queue, and what a listener holds.

use std::collections::BTreeMap;

use integration_automation_patterns::broker::{Ack, Broker, Consumer, Delivery};
use integration_automation_patterns::inbox::{
    Handled, HandlerError, InboxConfig, sqlite,
};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::{Envelope, RawEvent};
use tokio::time::timeout;

use super::*;
use crate::suite::in_time;

fn keyed(key: &str, number: usize) -> Envelope<Dispatched> {
    Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
        .id(format!("{key}-{number:02}").parse().unwrap())
        .ordering_key(key.to_owned())
        .build()
        .unwrap()
        .dispatch()
}

/// An inbox that fails the events it is told to, once.
struct Inbox(rusqlite::Connection);

impl Inbox {
    fn new() -> Self {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        sqlite::install(&mut connection).unwrap();
        Self(connection)
    }

    /// Whether the event has its effect now.
    async fn take<A: Ack>(&mut self, delivery: Delivery<A>, fails: bool) -> bool {
        let at_once = RetryPolicy::new(9, Backoff::Fixed(Duration::ZERO)).unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let config = InboxConfig::new(day, at_once).unwrap().retry_policy(at_once);
        let handled = sqlite::process(&mut self.0, delivery, &config, |_, _| {
            if fails { Err(HandlerError::transient("busy")) } else { Ok(()) }
        });
        let handled = handled.unwrap();
        let is_effect = matches!(handled, Handled::Processed(_));
        handled.settle().await.unwrap();
        is_effect
    }
}

/// Two listeners, five keys, and every third event fails at first: the effects of a key
/// come in its order, and each once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SQS"]
async fn a_retry_changes_no_order_of_a_key() {
    const EACH: usize = 20;
    in_time(async {
        let queue = Queue::create(".fifo").await;
        let broker = queue.broker(local(servers::sqs()));
        for number in 0..EACH {
            let of_each = ["a", "b", "c", "d", "e"].map(|key| keyed(key, number));
            let sends = of_each.iter().map(|event| broker.send(event));
            for sent in futures_util::future::join_all(sends).await {
                sent.unwrap();
            }
        }
        let mut listeners = [0, 1].map(|_| queue.listener(local(servers::sqs())));
        let (mut inbox, mut effects) = (Inbox::new(), Vec::new());
        while effects.len() < 5 * EACH {
            let [one, other] = &mut listeners;
            let delivery = tokio::select! {
                next = one.next() => next,
                next = other.next() => next,
            };
            let delivery = delivery.unwrap().unwrap();
            let id = delivery.facts().id().to_string();
            let number: usize = id.split_once('-').unwrap().1.parse().unwrap();
            let fails = number.is_multiple_of(3) && !delivery.is_redelivered();
            if inbox.take(delivery, fails).await {
                effects.push(id);
            }
        }
        let mut by_key = BTreeMap::<&str, Vec<&str>>::new();
        for effect in &effects {
            by_key.entry(&effect[..1]).or_default().push(effect);
        }
        for (key, effects) in by_key {
            let wanted: Vec<_> =
                (0..EACH).map(|number| format!("{key}-{number:02}")).collect();
            assert_eq!(effects, wanted);
        }
        drop(listeners);
        queue.delete().await;
    })
    .await;
}

/// While one of a key is in hand, the next of it is not, and another key does not wait.
#[tokio::test]
#[ignore = "needs SQS"]
async fn of_a_key_one_event_at_a_time_is_in_hand() {
    in_time(async {
        let queue = Queue::create(".fifo").await;
        let broker = queue.broker(local(servers::sqs()));
        for event in [keyed("a", 1), keyed("a", 2), keyed("b", 1)] {
            broker.send(&event).await.unwrap();
        }
        let mut listener = queue.listener(local(servers::sqs()));
        let mut in_hand = BTreeMap::new();
        for _ in 0..2 {
            let delivery = listener.next().await.unwrap().unwrap();
            in_hand.insert(delivery.facts().id().to_string(), delivery);
        }
        assert_eq!(in_hand.keys().collect::<Vec<_>>(), ["a-01", "b-01"]);
        let moment = Duration::from_millis(300);
        assert!(timeout(moment, listener.next()).await.is_err(), "a-02 waits");
        let mut inbox = Inbox::new();
        inbox.take(in_hand.remove("a-01").unwrap(), false).await;
        let next = listener.next().await.unwrap().unwrap();
        assert_eq!(next.facts().id().to_string(), "a-02");
        queue.delete().await;
    })
    .await;
}

/// A handler may take longer than the visibility timeout: nobody else sees its message,
/// and its ack counts.
#[tokio::test]
#[ignore = "needs SQS"]
async fn what_is_in_hand_is_renewed_until_it_is_settled() {
    in_time(async {
        let queue = Queue::create("").await;
        queue.broker(local(servers::sqs())).send(&keyed("a", 1)).await.unwrap();
        let second = Duration::from_secs(1);
        let listen = || {
            let listener = queue.broker(local(servers::sqs())).listen();
            listener.wait_time(second).unwrap().visibility_timeout(2 * second).unwrap()
        };
        let (mut listener, mut other) = (listen(), listen());
        let held = listener.next().await.unwrap().unwrap();
        let seen = timeout(5 * second, other.next()).await;
        assert!(seen.is_err(), "another consumer sees what is in hand: {seen:?}");
        Inbox::new().take(held, false).await;
        assert_eq!(queue.in_flight().await, 0);
        drop((listener, other));
        queue.delete().await;
    })
    .await;
}

/// What the last request of a dropped listener brings goes back too.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SQS"]
async fn a_dropped_listener_hands_on_what_its_last_request_brings() {
    in_time(async {
        let queue = Queue::create("").await;
        let broker = queue.broker(local(servers::sqs()));
        let listen = || {
            let listener = broker.listen().wait_time(Duration::from_secs(2)).unwrap();
            listener.visibility_timeout(Duration::from_secs(12 * 60 * 60)).unwrap()
        };
        let mut gone = listen();
        let moment = Duration::from_millis(300);
        assert!(timeout(moment, gone.next()).await.is_err(), "it waits at the queue");
        drop(gone);
        for number in 0..5 {
            broker.send(&keyed("a", number)).await.unwrap();
        }
        let mut listener = listen();
        for _ in 0..5 {
            drop(listener.next().await.unwrap().unwrap());
        }
        drop(listener);
        queue.delete().await;
    })
    .await;
}
