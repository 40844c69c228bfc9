//! How a worker rests while something is away, and how it ends.

use std::time::Duration;

use integration_automation_patterns::inbox::worker::{ByKey, WorkerConfig};
use integration_automation_patterns::relay::OutageKind;

use super::feed::{Told, feed};
use super::order::next;
use super::{Does, Gate, How, Works, keyed_lead, lead, until};

pub(crate) async fn a_worker_that_stops_ends_what_it_has_begun_and_nothing_else<
    D: Works,
>() {
    let (database, (feed, fed)) = (D::fresh().await, feed());
    let gate = Gate::closed();
    let how = How { config: WorkerConfig::default().lanes(1), ..How::default() };
    let worker = database.work(fed, gate.clone(), how).await;
    feed.deliver(lead("1", Does::Wait));
    feed.deliver(lead("2", Does::Write));
    gate.until_waiting(1).await;
    while worker.worker.progress().received < 2 {
        tokio::task::yield_now().await;
    }
    let health = worker.worker.health();
    assert!(health.is_well() && health.in_hand == 2, "{health:?}");
    drop(worker.stop);
    // What was only taken goes back at once.
    let told = feed.told(1).await;
    assert_eq!(told, [Told::Dropped("2".into())]);
    gate.open();
    let summary = worker.task.await.unwrap();
    assert_eq!((summary.received, summary.processed), (2, 1));
    assert_eq!(feed.told(2).await[1], Told::Ack("1".into()));
    assert_eq!(database.texts("SELECT name FROM effect").await, ["1"]);
    assert_eq!(worker.worker.health().in_hand, 0);
}

pub(crate) async fn a_handler_that_outlasts_the_shutdown_is_left<D: Works>() {
    let (database, (feed, fed)) = (D::fresh().await, feed());
    let gate = Gate::closed();
    let how = How {
        config: WorkerConfig::default().shutdown_timeout(Duration::from_millis(50)),
        ..How::default()
    };
    let worker = database.work(fed, gate.clone(), how).await;
    feed.deliver(lead("1", Does::Wait));
    gate.until_waiting(1).await;
    let summary = worker.end().await;
    assert_eq!((summary.received, summary.processed), (1, 0));
    gate.open();
    // The event comes again, and has its effect once, whichever of the two had it.
    let (again, fed) = super::feed::feed();
    let worker = database.work(fed, gate, How::default()).await;
    again.deliver_again(lead("1", Does::Wait));
    assert_eq!(again.told(1).await, [Told::Ack("1".into())]);
    let summary = worker.end().await;
    assert_eq!(summary.processed + summary.duplicates, 1);
    assert_eq!(database.texts("SELECT name FROM effect").await, ["1"]);
}

pub(crate) async fn a_worker_rests_while_the_database_fails<D: Works>() {
    let (database, (feed, fed)) = (D::fresh().await, feed());
    let worker = database.work(fed, Gate::closed(), How::default()).await;
    database.sql("ALTER TABLE inbox_event RENAME TO gone").await;
    feed.deliver(lead("1", Does::Write));
    let rests = "the worker pauses, as the store fails at handling an event: ";
    until(&worker.incidents, |told| told.iter().any(|told| told.starts_with(rests)))
        .await;
    let health = worker.worker.health();
    let outage = health.store.as_ref().expect("an outage is on");
    assert_eq!(outage.kind, OutageKind::Store("handling an event"));
    assert!(!health.is_well() && health.broker.is_none());
    database.sql("ALTER TABLE gone RENAME TO inbox_event").await;
    let over =
        "the worker goes on: the database answers again at handling an event, after ";
    until(&worker.incidents, |told| told.iter().any(|told| told.starts_with(over))).await;
    assert_eq!(feed.told(1).await, [Told::Dropped("1".into())], "it was not answered");
    feed.deliver_again(lead("1", Does::Write));
    assert_eq!(feed.told(2).await[1], Told::Ack("1".into()));
    // A purge or a look at held events that met the outage, too, is tried again.
    while !worker.worker.health().is_well() {
        tokio::task::yield_now().await;
    }
    let summary = worker.end().await;
    assert_eq!((summary.processed, summary.dead_lettered), (1, 0));
    assert!(summary.unstored >= 1);
    let sql = "SELECT CAST(attempts AS text) FROM inbox_event";
    assert_eq!(database.texts(sql).await, ["1"], "no attempt was spent");
}

/// Protects a probe from a worker that takes deliveries, and leaves what it holds.
pub(crate) async fn what_keeps_held_events_from_their_handler_shows_in_the_health<
    D: Works,
>() {
    let (database, (feed, fed)) = (D::fresh().await, feed());
    let config = WorkerConfig::default().order(ByKey::default());
    let how = How { config, ..How::default() };
    let worker = database.work(fed, Gate::closed(), how).await;
    database.sql(D::REFUSE_ATTEMPTS).await;
    feed.deliver(next("2", "1", Does::Write));
    feed.deliver(keyed_lead("1", "lead-7", Does::Write));
    feed.told(2).await;
    let fails = |incidents: &Vec<String>| {
        incidents.iter().any(|one| one.contains("fails at taking held events up"))
    };
    until(&worker.incidents, fails).await;
    let health = worker.worker.health();
    let outage = health.held.as_ref().expect("an outage is on");
    assert!(outage.reason.contains("the disk is full"), "{outage}");
    assert!(!health.is_well() && health.store.is_none(), "{health:?}");
    database.sql(D::ADMIT_ATTEMPTS).await;
    let effects = "SELECT name FROM effect ORDER BY place";
    while database.texts(effects).await != ["1", "2"] {
        tokio::task::yield_now().await;
    }
    while !worker.worker.health().is_well() {
        tokio::task::yield_now().await;
    }
    assert_eq!(worker.end().await.processed, 2);
}

pub(crate) async fn a_worker_rests_while_the_broker_is_away<D: Works>() {
    let (database, (feed, fed)) = (D::fresh().await, feed());
    feed.fail("connection refused");
    feed.fail("connection refused");
    feed.deliver(lead("1", Does::Write));
    let worker = database.work(fed, Gate::closed(), How::default()).await;
    assert_eq!(feed.told(1).await, [Told::Ack("1".into())]);
    let told = until(&worker.incidents, |told| told.len() >= 2).await;
    assert_eq!(
        told[0],
        "the worker pauses, as the broker cannot be reached: connection refused"
    );
    assert!(
        told[1].starts_with("the worker goes on: the broker delivers again, after "),
        "{told:?}"
    );
    assert!(worker.worker.health().is_well());
    assert_eq!(worker.end().await.processed, 1);
}

pub(crate) async fn an_outage_ends_a_run_that_is_to_end_when_idle<D: Works>() {
    let (database, (feed, fed)) = (D::fresh().await, feed());
    feed.fail("connection refused");
    let config = WorkerConfig::default().poll_interval(Duration::from_secs(3600));
    let how = How { until_idle: true, config, ..How::default() };
    let worker = database.work(fed, Gate::closed(), how).await;
    assert_eq!(worker.ended().await.received, 0);
}

pub(crate) async fn a_consumer_at_its_end_ends_the_run<D: Works>() {
    let (database, (feed, fed)) = (D::fresh().await, feed());
    feed.deliver(lead("1", Does::Write));
    drop(feed);
    let worker = database.work(fed, Gate::closed(), How::default()).await;
    assert_eq!(worker.ended().await.processed, 1);
}

pub(crate) async fn a_broker_that_takes_no_answer_holds_nothing_up<D: Works>() {
    let (database, (feed, fed)) = (D::fresh().await, feed());
    let how = How {
        config: WorkerConfig::default().ack_timeout(Duration::from_millis(20)),
        ..How::default()
    };
    let worker = database.work(fed.without_answers(), Gate::closed(), how).await;
    feed.deliver(lead("1", Does::Write));
    feed.deliver(lead("2", Does::Write));
    feed.told(2).await;
    let told = until(&worker.incidents, |told| told.len() >= 2).await;
    assert!(
        told.contains(
            &"the ack or nack of 1 failed, and it comes again: no answer within 20ms"
                .to_owned()
        )
    );
    let summary = worker.end().await;
    assert_eq!((summary.processed, summary.unanswered), (2, 2));
}
