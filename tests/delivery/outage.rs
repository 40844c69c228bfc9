//! Outages: what the broker refuses of everything spends no attempt, is told in a line,
//! and stops nothing else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use integration_automation_patterns::broker::BrokerError;
use integration_automation_patterns::outbox::{Admin, Filter, Redrive, Store};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Decision, DeliveryStatus, Envelope, RawEvent};

use crate::broker::{Does, Scripted};
use crate::relay::{config, relay, run_until};
use crate::suite::*;

const FAR: Duration = Duration::from_secs(3600);

fn of_type(event_type: &str, id: &str) -> Envelope<Pending> {
    let builder = Envelope::builder("crm", RawEvent::new(event_type.to_owned(), b"{}"))
        .id(id.parse().unwrap());
    builder.retry_policy(at_once(3)).build().unwrap()
}

/// Two hundred of one type, whose queue is full, before a hundred of another. The first
/// hundred sends are refused together; after that, one at a time tries whether there is
/// room.
pub(crate) async fn what_the_broker_takes_none_of_spends_no_attempt_and_stops_no_other_type<
    D: Database,
>() {
    let database = D::fresh().await;
    let invoices = (0..200)
        .map(|number| of_type("erp.invoice.issued", &format!("invoice-{number}")));
    let leads =
        (0..100).map(|number| of_type("crm.lead.created", &format!("lead-{number}")));
    database.enqueue(invoices.chain(leads).collect(), true).await;
    let refusals = Arc::new(AtomicUsize::new(0));
    // The queue has room once all else is delivered, and it was full for as many tries as
    // would have spent every budget.
    let broker = Scripted::new({
        let (leads, refusals) = (AtomicUsize::new(0), Arc::clone(&refusals));
        move |id, _| {
            if id.starts_with("lead") {
                leads.fetch_add(1, Ordering::SeqCst);
                return Does::Ack;
            }
            let full = leads.load(Ordering::SeqCst) < 100
                || refusals.load(Ordering::SeqCst) < 104;
            if full {
                refusals.fetch_add(1, Ordering::SeqCst);
                return Does::Answer(BrokerError::unroutable("the queue is full"));
            }
            Does::Ack
        }
    });
    let told = Arc::new(Mutex::new(Vec::new()));
    let relay = relay(&database, &broker, config()).on_incident({
        let told = Arc::clone(&told);
        move |incident| told.lock().unwrap().push(incident.to_string())
    });
    let summary = run_until::<D>(&relay, broker.confirms(300)).await;
    assert_eq!(
        (summary.acknowledged, summary.failed, summary.retrying),
        (300, 0, 0),
        "{summary:?}"
    );
    assert_eq!(refusals.load(Ordering::SeqCst), 104, "one event at a time is the probe");
    let first: Vec<String> = broker.confirmed().into_iter().take(100).collect();
    assert!(
        first.iter().all(|id| id.starts_with("lead")),
        "the other type did not wait: {first:?}"
    );
    for number in [0, 1, 199] {
        let found = status(&database, &format!("invoice-{number}")).await;
        assert_eq!(found, (DeliveryStatus::Acknowledged, 1));
    }
    let told = told.lock().unwrap().clone();
    assert_eq!(
        told[0],
        "the relay pauses, as the broker takes no erp.invoice.issued: the queue is full"
    );
    assert!(
        told[1].starts_with(
            "the relay goes on: the broker takes erp.invoice.issued again, after "
        ),
        "{told:?}"
    );
    assert_eq!(told.len(), 2, "one outage is a line and its end: {told:?}");
    assert_balanced(&database).await;
}

/// A claim that begins where the last one came to misses nothing that is due again, or
/// let go, before that.
pub(crate) async fn what_is_due_again_is_found_where_many_others_are_paused<
    D: Database,
>() {
    let database = D::fresh().await;
    database
        .sql(
            "INSERT INTO outbox_event (id, event_type, source_system, payload) \
             WITH RECURSIVE paused (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM paused WHERE n < 6000) \
             SELECT 'paused-' || n, 'erp.invoice.issued', 'erp', '{}' FROM paused",
        )
        .await;
    let mut order = order("relay-1", 1);
    order.except.push("erp.invoice.issued".to_owned());
    // A claim that has put events aside may have found no others for these.
    let claimed = async || {
        loop {
            let mut claimed = database.outbox().claim(&order).await.unwrap();
            if claimed.blocked == 0 || !claimed.claims.is_empty() {
                return claimed.claims.pop();
            }
        }
    };
    let next = async || claimed().await.expect("it is found at once");
    assert!(claimed().await.is_none());
    database.enqueue(vec![impatient("1", 9)], true).await;
    let first = next().await;
    assert_eq!(first.id(), &id("1"));
    settle(&database, first.fail("connection reset")).await;
    assert_eq!(next().await.attempts(), 2, "due again at once");
    expire_leases(&database).await;
    let again = next().await;
    assert_eq!((again.id(), again.attempts()), (&id("1"), 3));
    settle(&database, again.release("the relay was stopped")).await;
    let again = next().await;
    assert_eq!((again.id(), again.attempts()), (&id("1"), 3));
    settle(&database, again.acknowledge()).await;

    database.enqueue(vec![keyed("2", "k"), keyed("3", "k")], true).await;
    let second = next().await;
    assert_eq!(second.id(), &id("2"));
    assert!(claimed().await.is_none(), "the third waits for it, and is put aside");
    let past = D::moment(chrono::DateTime::UNIX_EPOCH);
    database
        .sql(&format!("UPDATE outbox_event SET due_at = {past} WHERE id = '3'"))
        .await;
    settle(&database, second.reject("unknown account")).await;
    let person = Decision::new("on-call", "the account exists now").unwrap();
    let redrive = Redrive::new(person, Duration::from_secs(7 * 24 * 3600));
    database.outbox().redrive(&Filter::default(), &redrive).await.unwrap();
    for expected in ["2", "3"] {
        let found = next().await;
        assert_eq!(found.id(), &id(expected));
        settle(&database, found.acknowledge()).await;
    }
    // By hand, and so without a word to the relay.
    database
        .sql(&format!("UPDATE outbox_event SET event_type = 'crm.lead.created', due_at = {past} WHERE id = 'paused-7'"))
        .await;
    let found = async {
        loop {
            if let Some(claim) = claimed().await {
                return claim;
            }
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(30), found)
        .await
        .expect("it is found in the end");
    assert_eq!(found.id(), &id("paused-7"));
    assert_eq!(
        claim(&database, "relay-1", 10).await.claims.len(),
        10,
        "and what is not paused any more is there at once"
    );
}

pub(crate) async fn a_run_that_is_to_end_when_idle_ends_where_the_broker_takes_nothing<
    D: Database,
>() {
    let database = D::fresh().await;
    database
        .enqueue(
            vec![of_type("erp.invoice.issued", "1"), of_type("crm.lead.created", "2")],
            true,
        )
        .await;
    let broker = Scripted::new(|id, _| match id {
        "1" => Does::Answer(
            BrokerError::unroutable("the stream is missing").with_retry_after(FAR),
        ),
        _ => Does::Ack,
    });
    let summary = relay(&database, &broker, config())
        .run_until_idle(std::future::pending::<()>())
        .await;
    assert_eq!((summary.acknowledged, summary.failed), (1, 0));
    assert_eq!(broker.sends("1"), 1, "the pause is as long as the broker asks");
    assert_eq!(status(&database, "1").await, (DeliveryStatus::Pending, 0));
}

/// A quota belongs to the place: the relay waits as long as the broker asks, no other
/// event is tried meanwhile, and none spends an attempt.
pub(crate) async fn a_broker_that_throttles_is_left_alone_as_long_as_it_asks<
    D: Database,
>() {
    let database = D::fresh().await;
    database.enqueue(vec![impatient("1", 3), impatient("2", 3)], true).await;
    let broker = Scripted::new(|_, _| {
        Does::Answer(BrokerError::unavailable("429").with_retry_after(FAR))
    });
    let summary = relay(&database, &broker, config().in_flight(1))
        .run_until_idle(std::future::pending::<()>())
        .await;
    assert_eq!((summary.claimed, summary.released), (1, 1), "{summary:?}");
    for event in ["1", "2"] {
        assert_eq!(status(&database, event).await, (DeliveryStatus::Pending, 0));
    }
}

pub(crate) async fn the_next_attempt_waits_as_long_as_the_broker_asks<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(vec![impatient("1", 3)], true).await;
    let broker = Scripted::new(|_, _| {
        Does::Answer(BrokerError::transient("locked").with_retry_after(FAR))
    });
    let summary = relay(&database, &broker, config())
        .run_until_idle(std::future::pending::<()>())
        .await;
    assert_eq!((summary.claimed, summary.retrying), (1, 1));
    let waiting = database.outbox().waiting(&Default::default(), 10).await.unwrap();
    let wait = waiting[0].due_at.signed_duration_since(Utc::now());
    assert!(
        wait > TimeDelta::minutes(50),
        "its policy says at once, and the broker an hour: {wait}"
    );
    assert_balanced(&database).await;
}

/// Half of the sends, or all but one, have no end; the others go on in the room that is
/// left.
pub(crate) async fn sends_that_hang_leave_the_rest_of_the_room_to_the_others<
    D: Database,
>() {
    for hanging in [10, 19] {
        let database = D::fresh().await;
        let hung = (0..hanging).map(|number| impatient(&format!("hung-{number}"), 3));
        let healthy = (0..100).map(|number| impatient(&format!("{number}"), 3));
        database.enqueue(hung.chain(healthy).collect(), true).await;
        let broker =
            Scripted::new(
                |id, _| if id.starts_with("hung") { Does::Hang } else { Does::Ack },
            );
        let config =
            config().in_flight(20).send_timeout(FAR).shutdown_timeout(Duration::ZERO);
        let relay = relay(&database, &broker, config);
        let summary = run_until::<D>(&relay, broker.confirms(100)).await;
        assert_eq!(summary.acknowledged, 100, "{hanging} hang");
        assert!(broker.most() <= 20);
    }
}

/// While a send hangs, the broker is tried again all the same.
pub(crate) async fn a_send_that_hangs_keeps_no_outage_on<D: Database>() {
    let database = D::fresh().await;
    let healthy = (0..5).map(|number| impatient(&format!("{number}"), 3));
    database
        .enqueue([impatient("hung", 3)].into_iter().chain(healthy).collect(), true)
        .await;
    let tries = AtomicUsize::new(0);
    let broker = Scripted::new(move |id, _| match id {
        "hung" => Does::Hang,
        _ if tries.fetch_add(1, Ordering::SeqCst) < 8 => {
            Does::Answer(BrokerError::unreachable("connection refused"))
        }
        _ => Does::Ack,
    });
    let relay = relay(
        &database,
        &broker,
        config().send_timeout(FAR).shutdown_timeout(Duration::ZERO),
    );
    let summary = run_until::<D>(&relay, broker.confirms(5)).await;
    assert_eq!((summary.acknowledged, summary.failed), (5, 0), "{summary:?}");
}

/// Each retry is made when it is due, however seldom the store is asked otherwise.
pub(crate) async fn no_retry_waits_for_a_poll<D: Database>() {
    let database = D::fresh().await;
    let after = |id: &str, millis: u64| {
        let policy =
            RetryPolicy::new(3, Backoff::Fixed(Duration::from_millis(millis))).unwrap();
        build(id, None, policy)
    };
    database.enqueue(vec![after("1", 600), after("2", 200), after("3", 400)], true).await;
    let broker = Scripted::new(|_, times| match times {
        1 => Does::Answer(BrokerError::transient("busy")),
        _ => Does::Ack,
    });
    let relay = relay(&database, &broker, config().poll_interval(FAR));
    run_until::<D>(&relay, broker.confirms(3)).await;
    assert_eq!(broker.confirmed(), ["2", "3", "1"]);
}
