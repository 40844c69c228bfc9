//! What becomes of events by what Pub/Sub says, and what it is asked: on a server of the
//! test's own.

use std::time::Duration;

use integration_automation_patterns::broker::{
    Ack, Broker, BrokerError, BrokerErrorKind, Consumer,
};
use integration_automation_patterns::inbox::{Handled, InboxConfig, sqlite as inbox};
use integration_automation_patterns::retry::RetryPolicy;
use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::{Envelope, RawEvent};
use serde_json::json;

use super::fake::Fake;
use super::*;
use crate::suite::{in_time, refusal};

pub(super) fn event(id: &str, key: Option<&str>) -> Envelope<Dispatched> {
    let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"));
    let event = event.id(id.parse().unwrap());
    let event = match key {
        Some(key) => event.ordering_key(key),
        None => event,
    };
    event.build().unwrap().dispatch()
}

/// Acks a delivery whose effect is committed.
pub(super) async fn answer<A: Ack>(
    delivery: integration_automation_patterns::broker::Delivery<A>,
) -> Result<(), BrokerError> {
    let mut erp = rusqlite::Connection::open_in_memory().unwrap();
    inbox::install(&mut erp).unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    let config = InboxConfig::new(day, RetryPolicy::DEFAULT).unwrap();
    let handled = inbox::process(&mut erp, delivery, &config, |_, _| Ok(())).unwrap();
    assert!(matches!(handled, Handled::Processed(_)), "{handled:?}");
    handled.settle().await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PyPI"]
async fn each_status_is_of_the_event_or_of_the_place() {
    use BrokerErrorKind::{Permanent, Transient, Unavailable};
    in_time(async {
        let server = Fake::start();
        for (code, kind) in [
            ("INVALID_ARGUMENT", Permanent),
            ("OUT_OF_RANGE", Permanent),
            ("NOT_FOUND", Unavailable),
            ("PERMISSION_DENIED", Unavailable),
            ("UNAUTHENTICATED", Unavailable),
            ("FAILED_PRECONDITION", Unavailable),
            ("RESOURCE_EXHAUSTED", Unavailable),
            ("UNAVAILABLE", Unavailable),
            ("INTERNAL", Transient),
            ("UNKNOWN", Transient),
            ("ABORTED", Transient),
            ("DEADLINE_EXCEEDED", Transient),
        ] {
            let topic = broker(&format!("says-{code}"), server.address);
            let refused = topic.send(&event("1", None)).await;
            assert_eq!(refusal(&refused), Some(kind), "{code}: {refused:?}");
        }
        // What is refused for good is asked for once more, alone.
        let asked = server.asked("publish", 14).await;
        assert_eq!(asked.len(), 14, "the client tries nothing again");
        let refused = broker("quota", server.address).send(&event("1", None)).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.retry_after(), Some(Duration::from_secs(30)), "{refused}");
    })
    .await;
}

/// A request is refused as a whole, and no event is refused for another that was in it.
#[tokio::test]
#[ignore = "needs PyPI"]
async fn an_event_that_is_refused_takes_no_other_of_its_request_with_it() {
    in_time(async {
        let server = Fake::start();
        let topic = broker("refuses-poison", server.address);
        topic.send(&event("first", None)).await.unwrap();
        let ids = ["1", "2", "poison", "3"];
        let events = ids.map(|id| event(id, None));
        let sent = events.iter().map(|event| topic.send(event));
        let sent = futures_util::future::join_all(sent).await;
        for (id, sent) in ids.iter().zip(&sent) {
            let refused = (*id == "poison").then_some(BrokerErrorKind::Permanent);
            assert_eq!(refusal(sent), refused, "{id}: {sent:?}");
        }
        let asked = server.asked("publish", 6).await;
        assert_eq!(asked[1], json!(ids), "one request for all of them");
        assert_eq!(asked.len(), 6, "and one for each alone");
    })
    .await;
}

/// The client pauses the ordering key of an event that has failed, until it is told to go
/// on: none of the events that follow is to be swallowed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PyPI"]
async fn an_event_that_fails_pauses_no_key() {
    in_time(async {
        let server = Fake::start();
        let topic = broker("fails-once", server.address);
        let failed = topic.send(&event("1", Some("lead-7"))).await;
        assert_eq!(refusal(&failed), Some(BrokerErrorKind::Transient), "{failed:?}");
        for id in ["1", "2", "3"] {
            topic.send(&event(id, Some("lead-7"))).await.unwrap();
        }
        let ids = server.asked("publish", 4).await;
        assert_eq!(ids, [json!(["1"]), json!(["1"]), json!(["2"]), json!(["3"])]);
    })
    .await;
}

/// A topic whose server answers to the event `heard` alone.
fn silent(server: &Fake) -> PubSub {
    let config = PubSubConfig::default().request_timeout(Duration::from_secs(3));
    let address = server.address.to_string();
    PubSub::at_emulator(&address, &name("silent"), config).unwrap()
}

/// The server that is silent first answers at last.
async fn until_heard(topic: &PubSub) {
    while topic.send(&event("heard", None)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// An event pays once for a server that answers nobody, alone or among the many that share
/// its request.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PyPI"]
async fn a_silent_server_ends_each_request_and_pauses_the_relay() {
    use BrokerErrorKind::{Transient, Unavailable};
    in_time(async {
        let server = Fake::start();
        for together in [1, 50] {
            let topic = silent(&server);
            let ids = (0..together).map(|number| format!("{together} {number}"));
            let events: Vec<_> = ids.map(|id| event(&id, None)).collect();
            for kind in [Transient, Unavailable, Unavailable] {
                let sent = events.iter().map(|event| topic.send(event));
                for sent in futures_util::future::join_all(sent).await {
                    assert_eq!(refusal(&sent), Some(kind), "{sent:?}");
                }
            }
            until_heard(&topic).await;
            let sent = topic.send(&event("once more", None)).await;
            assert_eq!(
                refusal(&sent),
                Some(Transient),
                "an answer ends the row: {sent:?}"
            );
        }
    })
    .await;
}

/// Events of a key go in requests of their own: of many that are silent at once, the
/// fourth pauses the relay already.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PyPI"]
async fn of_keyed_events_no_more_than_three_pay_for_a_silent_server() {
    in_time(async {
        let server = Fake::start();
        let topic = silent(&server);
        let events: Vec<_> = (0..20)
            .map(|number| event(&number.to_string(), Some(&format!("lead-{number}"))))
            .collect();
        let sent = events.iter().map(|event| topic.send(event));
        let sent = futures_util::future::join_all(sent).await;
        let pays = |sent: &&_| refusal(sent) == Some(BrokerErrorKind::Transient);
        assert_eq!(sent.iter().filter(pays).count(), 3, "{sent:?}");
    })
    .await;
}

/// What the client begins in one runtime ends with it, as in a program that blocks on one
/// call after another.
#[test]
#[ignore = "needs PyPI"]
fn a_topic_outlives_the_runtime_that_first_used_it() {
    let server = Fake::start();
    let topic = broker("orders", server.address);
    for id in ["1", "2"] {
        for key in [None, Some("lead-7")] {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(in_time(async {
                let event = event(id, key);
                while let Err(error) = topic.send(&event).await {
                    assert_ne!(error.kind(), BrokerErrorKind::Permanent, "{error}");
                }
            }));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PyPI"]
async fn an_ack_waits_for_its_confirmation_where_there_is_one() {
    in_time(async {
        let server = Fake::start();
        let orders = broker("orders", server.address);
        for (subscription, refused) in [
            ("exactly-once", None),
            ("exactly-once-refused", Some(BrokerErrorKind::Transient)),
            ("refused", None),
        ] {
            let mut listener = orders.listen(subscription).unwrap();
            let delivery = listener.next().await.unwrap().unwrap();
            assert!(delivery.is_redelivered(), "without a policy nobody counts");
            let acked = answer(delivery).await;
            assert_eq!(refusal(&acked), refused, "{subscription}: {acked:?}");
        }
        assert_eq!(server.asked("ack", 3).await.len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PyPI"]
async fn the_settings_of_a_listener_are_asked_for() {
    in_time(async {
        let server = Fake::start();
        let listener = broker("orders", server.address).listen("plain").unwrap();
        let listener = listener.max_outstanding(7).unwrap();
        let mut listener = listener.ack_deadline(Duration::from_secs(42)).unwrap();
        let held = listener.next().await.unwrap().unwrap();
        assert_eq!(server.asked("pull", 1).await, [json!([42, 7])]);
        assert_eq!(server.asked("modify", 1).await[0], json!([42, ["ack-1"]]));
        drop((held, listener));
    })
    .await;
}

/// What a listener cannot read it says, and whoever may not look reads all the same.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PyPI"]
async fn a_subscription_that_cannot_be_read_has_a_reason() {
    use BrokerErrorKind::{Permanent, Unavailable};
    in_time(async {
        let server = Fake::start();
        let orders = broker("orders", server.address);
        for (subscription, kind, why) in [
            ("missing", Unavailable, "why (NOT_FOUND)"),
            ("goes-away", Unavailable, "deleted (NOT_FOUND)"),
            ("large", Permanent, "decoded message length too large"),
        ] {
            let mut listener = orders.listen(subscription).unwrap();
            let refused = listener.next().await.unwrap_err();
            assert_eq!(refused.kind(), kind, "{refused}");
            assert!(refused.reason().contains(why), "{refused}");
            assert!(refused.reason().contains(subscription), "{refused}");
        }
        let mut listener = orders.listen("forbidden").unwrap();
        assert!(listener.next().await.unwrap().is_some());
    })
    .await;
}
