//! The order of a key at its consumer: what comes early waits, and nothing waits forever.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use integration_automation_patterns::audit::{Action, AuditRecord, AuditTrail};
use integration_automation_patterns::inbox::Held;
use integration_automation_patterns::inbox::worker::{
    ByKey, OnDeadLetter, OnMissing, WorkerConfig,
};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Decision, DeliveryStatus, Envelope};
use tokio::sync::watch;

use super::feed::{Told, feed};
use super::{Does, Gate, How, Running, Works, keyed_lead, until};
use crate::suite::Database;

type Recorded = watch::Sender<Vec<(Action, String)>>;

/// The held events by their ids, with what each waits for.
pub(super) fn named(held: Vec<Held>) -> Vec<(String, Option<String>)> {
    let name = |held: Held| {
        (held.event.id().to_string(), held.after.map(|after| after.to_string()))
    };
    held.into_iter().map(name).collect()
}

/// How a worker keeps an order, and what its inbox records.
fn in_order(order: impl Into<Option<ByKey>>) -> (How, Recorded) {
    let recorded = Recorded::new(Vec::new());
    let observer = recorded.clone();
    let observe = move |record: &AuditRecord| {
        let line = (record.action, record.event_id.to_string());
        observer.send_modify(|lines| lines.push(line));
        Ok(())
    };
    let how = How::default();
    let trail = AuditTrail::new("erp", Arc::new(observe));
    let config = WorkerConfig::default().poll_interval(Duration::from_millis(20));
    let config = match order.into() {
        Some(order) => config.order(order),
        None => config.purge_interval(Duration::from_millis(20)),
    };
    (How { inbox: how.inbox.with_audit_trail(trail), config, ..how }, recorded)
}

/// The next of a key, which names the one before it.
pub(super) fn next(id: &str, after: &str, does: Does) -> Envelope<Pending> {
    let event = keyed_lead(id, "lead-7", does);
    let builder = Envelope::builder("crm", event.payload().clone());
    let builder = builder.id(id.parse().unwrap()).ordering_key("lead-7");
    builder.tag("keyafter", after).build().unwrap()
}

async fn happened(recorded: &Recorded, action: Action, id: &str) {
    until(recorded, |lines| lines.contains(&(action, id.to_owned()))).await;
}

async fn effects<D: Works>(database: &D) -> Vec<String> {
    database.texts("SELECT name FROM effect ORDER BY place").await
}

async fn works<D: Works>(database: &D, how: &How) -> (super::feed::Feed, Running) {
    let (feed, fed) = feed();
    let worker = database.work(fed, Gate::closed(), how.clone()).await;
    (feed, worker)
}

/// Any broker, any number of consumers: the effects are those of the outbox's order.
pub(crate) async fn an_early_event_waits_for_the_one_before_it<D: Works>() {
    let database = D::fresh().await;
    let (how, recorded) = in_order(ByKey::default());
    let (feed, worker) = works(&database, &how).await;
    // The broker need keep neither, nor make anything of them that it delivers again.
    feed.deliver(next("3", "2", Does::Write));
    feed.told(1).await;
    feed.deliver_again(next("3", "2", Does::Write));
    feed.deliver(next("2", "1", Does::Write));
    feed.told(3).await;
    let waiting = [("3", "2"), ("2", "1")];
    let waiting = waiting.map(|(id, after)| (id.to_owned(), Some(after.to_owned())));
    assert_eq!(database.held().await, waiting);
    assert_eq!(effects(&database).await, [""; 0]);
    feed.deliver(keyed_lead("1", "lead-7", Does::Write));
    happened(&recorded, Action::Process, "3").await;
    feed.deliver_again(next("3", "2", Does::Write));
    let told = feed.told(5).await;
    assert_eq!(told, ["3", "3", "2", "1", "3"].map(|id| Told::Ack(id.into())));
    assert_eq!(effects(&database).await, ["1", "2", "3"]);
    let summary = worker.end().await;
    let counts = (summary.processed, summary.held, summary.duplicates, summary.overdue);
    assert_eq!(counts, (3, 2, 2, 0));
    assert_eq!(database.held().await, []);
}

/// The broker has nothing left to deliver: the worker itself makes the attempts.
pub(crate) async fn a_held_event_that_fails_is_tried_again_and_blocks_its_key<
    D: Works,
>() {
    let database = D::fresh().await;
    let (how, recorded) = in_order(ByKey::default());
    let (feed, worker) = works(&database, &how).await;
    feed.deliver(next("3", "2", Does::Write));
    feed.deliver(next("2", "1", Does::Fail));
    feed.deliver(keyed_lead("1", "lead-7", Does::Write));
    let failed = (Action::Fail, "2".to_owned());
    let often =
        |lines: &Vec<_>| lines.iter().filter(|line| **line == failed).count() == 3;
    until(&recorded, often).await;
    let sql = "SELECT failure_reason || ' ' || attempts FROM inbox_event WHERE id = '2'";
    assert_eq!(database.texts(sql).await, ["no such country 3"]);
    assert_eq!(database.held().await, [("3".to_owned(), Some("2".to_owned()))]);
    assert!(database.discard(next("2", "1", Does::Fail)).await);
    happened(&recorded, Action::Process, "3").await;
    assert_eq!(effects(&database).await, ["1", "3"]);
    let summary = worker.end().await;
    let counts = (summary.processed, summary.retrying, summary.dead_lettered);
    assert_eq!(counts, (2, 2, 1));
}

pub(crate) async fn a_dead_letter_is_passed_by_where_that_is_declared<D: Works>() {
    let database = D::fresh().await;
    let (how, recorded) = in_order(ByKey::default().on_dead_letter(OnDeadLetter::Skip));
    let (feed, worker) = works(&database, &how).await;
    feed.deliver(next("3", "2", Does::Write));
    feed.deliver(next("2", "1", Does::Refuse));
    feed.deliver(keyed_lead("1", "lead-7", Does::Write));
    happened(&recorded, Action::Process, "3").await;
    feed.deliver(next("4", "2", Does::Write));
    happened(&recorded, Action::Process, "4").await;
    assert_eq!(effects(&database).await, ["1", "3", "4"]);
    assert_eq!(worker.end().await.dead_lettered, 1);
}

pub(crate) async fn what_the_inbox_has_no_room_for_stays_at_the_broker<D: Works>() {
    let database = D::fresh().await;
    let (how, recorded) = in_order(ByKey::default().hold(1));
    let (feed, worker) = works(&database, &how).await;
    feed.deliver(next("3", "2", Does::Write));
    feed.told(1).await;
    feed.deliver(next("2", "1", Does::Write));
    assert!(matches!(&feed.told(2).await[1], Told::Nack(id, _) if id == "2"));
    feed.deliver(keyed_lead("1", "lead-7", Does::Write));
    feed.told(3).await;
    feed.deliver_again(next("2", "1", Does::Write));
    happened(&recorded, Action::Process, "3").await;
    assert_eq!(effects(&database).await, ["1", "2", "3"]);
    assert_eq!(worker.end().await.held, 1);
}

/// Lets all patience end.
async fn wait_no_longer<D: Database>(database: &D) {
    let past = D::moment(DateTime::<Utc>::UNIX_EPOCH);
    let sql = format!("UPDATE inbox_event SET received_at = {past}, due_at = {past}");
    database.sql(&format!("{sql} WHERE held_after IS NOT NULL")).await;
}

pub(crate) async fn a_missing_event_is_waited_for_as_long_as_declared<D: Works>() {
    for (on_missing, action) in
        [(OnMissing::GoOn, Action::Process), (OnMissing::DeadLetter, Action::Reject)]
    {
        let database = D::fresh().await;
        let (how, recorded) = in_order(ByKey::default().on_missing(on_missing));
        let (feed, worker) = works(&database, &how).await;
        feed.deliver(next("3", "2", Does::Write));
        feed.deliver(next("2", "1", Does::Write));
        feed.told(2).await;
        wait_no_longer(&database).await;
        happened(&recorded, action, "2").await;
        // It goes on with its key, or blocks it: the next one has not lost its patience.
        match on_missing {
            OnMissing::GoOn => {
                happened(&recorded, Action::Process, "3").await;
                assert_eq!(effects(&database).await, ["2", "3"]);
                // What comes late all the same has its effect.
                feed.deliver(keyed_lead("1", "lead-7", Does::Write));
                happened(&recorded, Action::Process, "1").await;
            }
            OnMissing::DeadLetter => {
                assert_eq!(effects(&database).await, [""; 0]);
                let sql = "SELECT failure_reason FROM inbox_event WHERE id = '2'";
                let reason = database.texts(sql).await.concat();
                let wanted =
                    "1 comes before it, of the same ordering key, and was missing";
                assert!(reason.starts_with(wanted), "{reason}");
                let waits = [("3".to_owned(), Some("2".to_owned()))];
                assert_eq!(database.held().await, waits);
            }
        }
        let overdue = u64::from(on_missing == OnMissing::GoOn);
        assert_eq!(worker.end().await.overdue, overdue);
    }
}

pub(crate) async fn a_person_frees_what_is_held<D: Works>() {
    let database = D::fresh().await;
    let (how, recorded) = in_order(ByKey::default());
    let (feed, worker) = works(&database, &how).await;
    feed.deliver(next("3", "2", Does::Write));
    feed.deliver(next("2", "1", Does::Write));
    feed.deliver(next("5", "4", Does::Write));
    feed.told(3).await;
    let decision = Decision::new("on-call", "1 was lost at the broker").unwrap();
    let event = next("2", "1", Does::Write);
    let freed = worker.worker.redrive(event, decision).await.unwrap();
    assert_eq!(freed, Some(DeliveryStatus::Processed));
    happened(&recorded, Action::Process, "3").await;
    assert_eq!(effects(&database).await, ["2", "3"]);
    assert!(database.discard(next("5", "4", Does::Write)).await);
    assert_eq!(database.held().await, []);
    assert_eq!(worker.end().await.processed, 1);
}

/// Neither does anything stay held that was so under the setting.
pub(crate) async fn without_the_setting_nothing_waits<D: Works>() {
    let database = D::fresh().await;
    let (how, _) = in_order(ByKey::default());
    let (feed, worker) = works(&database, &how).await;
    feed.deliver(next("3", "2", Does::Write));
    feed.told(1).await;
    worker.end().await;
    let (how, recorded) = in_order(None);
    let (feed, worker) = works(&database, &how).await;
    happened(&recorded, Action::Process, "3").await;
    feed.deliver(next("6", "5", Does::Write));
    happened(&recorded, Action::Process, "6").await;
    assert_eq!(effects(&database).await, ["3", "6"]);
    assert_eq!(worker.end().await.held, 0);
}

/// A handler that ends its process must not do so forever.
pub(crate) async fn an_attempt_that_never_ended_is_counted<D: Works>() {
    let database = D::fresh().await;
    let (how, recorded) = in_order(ByKey::default());
    let (feed, worker) = works(&database, &how).await;
    feed.deliver(next("2", "1", Does::Write));
    feed.told(1).await;
    worker.end().await;
    // As an attempt leaves it whose process has ended: its third.
    let past = D::moment(DateTime::<Utc>::UNIX_EPOCH);
    database
        .sql(&format!(
            "UPDATE inbox_event SET attempts = 3, held_after = NULL, due_at = {past}, \
             last_attempt = 'begun'"
        ))
        .await;
    let (_feed, worker) = works(&database, &how).await;
    happened(&recorded, Action::Fail, "2").await;
    assert_eq!(effects(&database).await, [""; 0]);
    let sql = "SELECT status FROM inbox_event";
    assert_eq!(database.texts(sql).await, ["failed"]);
    assert_eq!(worker.end().await.dead_lettered, 1);
}

/// Protects the budget of a held event from a deadlock, and the reason from being lost.
pub(crate) async fn what_the_database_refuses_spends_no_attempt_of_a_held_event<
    D: Works,
>() {
    let database = D::fresh().await;
    let (how, recorded) = in_order(ByKey::default());
    let ((feed, fed), gate) = (feed(), Gate::closed());
    let worker = database.work(fed, gate.clone(), how).await;
    feed.deliver(next("2", "1", Does::Busy));
    feed.told(1).await;
    feed.deliver(keyed_lead("1", "lead-7", Does::Write));
    until(&worker.incidents, |incidents| !incidents.is_empty()).await;
    let sql = "SELECT failure_reason || ' ' || attempts FROM inbox_event WHERE id = '2'";
    let stored = database.texts(sql).await.concat();
    assert!(stored.starts_with("an attempt was taken back: "), "{stored}");
    assert!(stored.ends_with(" 1"), "{stored}");
    gate.open();
    let past = D::moment(DateTime::<Utc>::UNIX_EPOCH);
    database.sql(&format!("UPDATE inbox_event SET due_at = {past} WHERE id = '2'")).await;
    happened(&recorded, Action::Process, "2").await;
    assert_eq!(effects(&database).await, ["1", "2"]);
    let sql = "SELECT '' || attempts FROM inbox_event WHERE id = '2'";
    assert_eq!(database.texts(sql).await, ["1"]);
    let summary = worker.end().await;
    assert_eq!((summary.processed, summary.retrying), (2, 0));
}

/// Protects a long key from being gone through at every attempt of its first event.
pub(crate) async fn what_waits_behind_a_waiting_event_is_left_alone<D: Works>() {
    let database = D::fresh().await;
    let (how, recorded) = in_order(ByKey::default());
    let (feed, worker) = works(&database, &how).await;
    feed.deliver(next("4", "3", Does::Write));
    feed.deliver(next("3", "2", Does::Write));
    feed.deliver(next("2", "1", Does::Fail));
    feed.told(3).await;
    let far = D::moment("9000-01-01T00:00:00Z".parse().unwrap());
    database.sql(&format!("UPDATE inbox_event SET due_at = {far} WHERE id = '4'")).await;
    feed.deliver(keyed_lead("1", "lead-7", Does::Write));
    let failed = (Action::Fail, "2".to_owned());
    let often =
        |lines: &Vec<_>| lines.iter().filter(|line| **line == failed).count() == 3;
    until(&recorded, often).await;
    worker.end().await;
    let sql = format!("SELECT id FROM inbox_event WHERE due_at = {far}");
    assert_eq!(database.texts(&sql).await, ["4"]);
}

/// Protects the budget of a held event from a worker that stops while its handler runs.
pub(crate) async fn a_held_event_whose_handler_is_left_spends_no_attempt<D: Works>() {
    let database = D::fresh().await;
    let (mut how, recorded) = in_order(ByKey::default());
    how.config = how.config.shutdown_timeout(Duration::from_millis(50));
    let ((feed, fed), gate) = (feed(), Gate::closed());
    let worker = database.work(fed, gate.clone(), how.clone()).await;
    feed.deliver(next("2", "1", Does::Wait));
    feed.told(1).await;
    feed.deliver(keyed_lead("1", "lead-7", Does::Write));
    gate.until_waiting(1).await;
    worker.end().await;
    gate.open();
    let ended = "SELECT status FROM inbox_event WHERE status <> 'retrying' AND id = '2'";
    if D::HANDLERS_BLOCK {
        // The handler goes on, and ends well.
        while database.texts(ended).await.is_empty() {
            tokio::task::yield_now().await;
        }
    } else {
        let past = D::moment(DateTime::<Utc>::UNIX_EPOCH);
        let due = format!("UPDATE inbox_event SET due_at = {past} WHERE id = '2'");
        database.sql(&due).await;
        let (_feed, fed) = super::feed::feed();
        let worker = database.work(fed, gate, how).await;
        happened(&recorded, Action::Process, "2").await;
        worker.end().await;
    }
    let sql = "SELECT status || ' ' || attempts FROM inbox_event WHERE id = '2'";
    assert_eq!(database.texts(sql).await, ["processed 1"]);
    assert_eq!(effects(&database).await, ["1", "2"]);
}
