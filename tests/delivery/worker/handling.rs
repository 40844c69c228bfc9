//! What a handler is given, and what becomes of what it answers.

use std::time::Duration;

use integration_automation_patterns::broker::in_process;
use integration_automation_patterns::inbox::worker::WorkerConfig;
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::{Decision, DeliveryStatus, RawEvent};

use super::feed::{Told, feed};
use super::{Does, Gate, How, Works, lead, raw};

const EFFECTS: &str = "SELECT name FROM effect ORDER BY name";

fn acks(ids: &[&str]) -> Vec<Told> {
    ids.iter().map(|id| Told::Ack((*id).to_owned())).collect()
}

pub(crate) async fn each_event_reaches_its_handler_as_its_type<D: Works>() {
    let (database, (feed, fed)) = (D::fresh().await, feed());
    let worker = database.work(fed, Gate::closed(), How::default()).await;
    feed.deliver(lead("1", Does::Write));
    let old = RawEvent::new("crm.lead.created", br#"{"name":"2"}"#);
    feed.deliver(raw("2", old));
    feed.deliver(raw("3", RawEvent::new("crm.lead.closed", "3")));
    feed.told(3).await;
    let summary = worker.end().await;
    assert_eq!((summary.received, summary.processed), (3, 3));
    assert_eq!(database.texts(EFFECTS).await, ["1", "2", "closed 3"]);
}

pub(crate) async fn what_no_handler_can_read_is_a_dead_letter_that_says_why<D: Works>() {
    let (database, (feed, fed)) = (D::fresh().await, feed());
    let worker = database.work(fed, Gate::closed(), How::default()).await;
    feed.deliver(raw("1", RawEvent::new("crm.lead.merged", b"{}")));
    let newer = RawEvent::new("crm.lead.created", b"{}").with_schema_version("9.0");
    feed.deliver(raw("2", newer));
    let poison = RawEvent::new("crm.lead.created", b"no json").with_schema_version("2.0");
    feed.deliver(raw("3", poison));
    feed.deliver(raw("4", RawEvent::new("crm.lead.closed", [0xff])));
    feed.told(4).await;
    assert_eq!(worker.end().await.dead_lettered, 4);
    let sql =
        "SELECT failure_reason FROM inbox_event WHERE status = 'failed' ORDER BY id";
    let reasons = database.texts(sql).await;
    let wanted = [
        "unknown event type \"crm.lead.merged\": ",
        "unknown schema version \"9.0\" of crm.lead.created: this inbox takes in 1.0, 2.0",
        "the payload cannot be decoded: expected ident at line 1 column 2",
        "the payload cannot be decoded: invalid utf-8 sequence",
    ];
    for (reason, wanted) in reasons.iter().zip(wanted) {
        assert!(reason.starts_with(wanted), "{reason}");
    }
    assert_eq!(reasons.len(), 4);
}

pub(crate) async fn what_follows_carries_its_cause_and_is_made_once<D: Works>() {
    let (database, (feed, fed)) = (D::fresh().await, feed());
    let worker = database.work(fed, Gate::closed(), How::default()).await;
    feed.deliver(super::keyed_lead("1", "lead-1", Does::Write));
    feed.told(1).await;
    // As if the first had been forgotten: the handler runs again.
    database.sql("DELETE FROM inbox_event").await;
    feed.deliver(super::keyed_lead("1", "lead-1", Does::Write));
    feed.told(2).await;
    assert_eq!(worker.end().await.processed, 2);
    assert_eq!(database.texts(EFFECTS).await, ["1", "1"]);
    let outbox = |column: &str| format!("SELECT {column} FROM outbox_event");
    let tags = database.texts(&outbox("CAST(tags AS text)")).await;
    assert_eq!(tags.len(), 1, "one event follows, however often it is made: {tags:?}");
    let tags: serde_json::Value = serde_json::from_str(&tags[0]).unwrap();
    assert_eq!(tags["causationid"], "1");
    assert_eq!(database.texts(&outbox("correlation_id")).await, ["1"]);
    assert_eq!(database.texts(&outbox("ordering_key")).await, ["lead-1"]);
}

pub(crate) async fn a_failing_handler_is_tried_as_often_as_its_policy_says<D: Works>() {
    let (database, (feed, fed)) = (D::fresh().await, feed());
    let worker = database.work(fed, Gate::closed(), How::default()).await;
    for (round, id) in [(1, "1"), (2, "1"), (3, "1")] {
        feed.deliver_again(lead(id, Does::Fail));
        feed.told(round).await;
    }
    for id in ["2", "2", "2"] {
        feed.deliver_again(lead(id, Does::Panic));
    }
    feed.deliver(lead("3", Does::Refuse));
    let told = feed.told(7).await;
    let nack = |id: &str| Told::Nack(id.to_owned(), Duration::ZERO);
    assert_eq!(told[..3], [nack("1"), nack("1"), Told::Ack("1".into())]);
    assert_eq!(told.iter().filter(|told| **told == nack("2")).count(), 2, "{told:?}");
    let summary = worker.end().await;
    assert_eq!((summary.retrying, summary.dead_lettered), (4, 3));
    let sql =
        "SELECT failure_reason FROM inbox_event WHERE status = 'failed' ORDER BY id";
    assert_eq!(
        database.texts(sql).await,
        [
            "no such country",
            "the handler panicked: a lead that nobody can read",
            "an unlawful lead"
        ]
    );
    assert_eq!(database.texts(EFFECTS).await, [""; 0], "what failed wrote nothing");
}

pub(crate) async fn a_dead_letter_is_redriven_by_its_handler<D: Works>() {
    let (database, (feed, fed)) = (D::fresh().await, feed());
    let worker = database.work(fed, Gate::closed(), How::default()).await;
    database.sql("ALTER TABLE effect RENAME TO gone").await;
    for round in 1..=3 {
        feed.deliver_again(lead("1", Does::Write));
        feed.told(round).await;
    }
    let redriven = async |id: &str| {
        let decision = Decision::new("on-call", "the table is back").unwrap();
        worker.worker.redrive(lead(id, Does::Write), decision).await.unwrap()
    };
    assert_eq!(redriven("1").await, Some(DeliveryStatus::Retrying), "it fails again");
    database.sql("ALTER TABLE gone RENAME TO effect").await;
    assert_eq!(redriven("2").await, None, "no such event is there");
    assert_eq!(redriven("1").await, Some(DeliveryStatus::Processed));
    assert_eq!(redriven("1").await, None, "it is done");
    assert_eq!(database.texts(EFFECTS).await, ["1"]);
    assert_eq!(worker.end().await.dead_lettered, 1);
}

pub(crate) async fn events_that_share_a_transaction_fail_alone<D: Works>() {
    share_a_transaction::<D>(false).await;
    share_a_transaction::<D>(true).await;
}

async fn share_a_transaction<D: Works>(again: bool) {
    const EVENTS: usize = 90;
    let (database, (feed, fed)) = (D::fresh().await, feed());
    let does = |n: usize| match n % 10 {
        3 => Does::Fail,
        5 => Does::Refuse,
        7 => Does::Panic,
        _ => Does::Write,
    };
    for n in 10..10 + EVENTS {
        feed.deliver_as(again, lead(&n.to_string(), does(n)));
    }
    let how = How { config: WorkerConfig::default().lanes(1), ..How::default() };
    let worker = database.work(fed, Gate::closed(), how).await;
    let told = feed.told(EVENTS).await;
    let acked = |n: &usize| matches!(does(*n), Does::Write | Does::Refuse);
    for n in 10..10 + EVENTS {
        let is_acked = told.contains(&Told::Ack(n.to_string()));
        assert_eq!(is_acked, acked(&n), "{n}");
    }
    let summary = worker.end().await;
    let (tenth, written) = (EVENTS as u64 / 10, EVENTS as u64 / 10 * 7);
    assert_eq!((summary.processed, summary.dead_lettered), (written, tenth));
    assert_eq!((summary.retrying, summary.unstored), (2 * tenth, 0));
    let wanted = (10..10 + EVENTS).filter(|n| does(*n) == Does::Write);
    let wanted: Vec<String> = wanted.map(|n| n.to_string()).collect();
    assert_eq!(database.texts(EFFECTS).await, wanted);
    let begun =
        "SELECT id FROM inbox_event WHERE attempts <> 1 OR last_attempt IS NOT NULL";
    assert_eq!(
        database.texts(begun).await,
        [""; 0],
        "one attempt of each, and it has ended"
    );
}

pub(crate) async fn what_the_database_refuses_at_the_commit_falls_alone<D: Works>() {
    refused_at_the_commit::<D>(false).await;
    refused_at_the_commit::<D>(true).await;
}

async fn refused_at_the_commit<D: Works>(again: bool) {
    let (database, (feed, fed)) = (D::fresh().await, feed());
    // The first keeps the lane busy until the others wait, and so share a transaction.
    let gate = Gate::closed();
    let config = WorkerConfig::default().lanes(1);
    let worker = database.work(fed, gate.clone(), How { config, ..How::default() }).await;
    feed.deliver(lead("1", Does::Wait));
    gate.until_waiting(1).await;
    let does = [Does::Write, Does::Orphan, Does::Fail, Does::Write, Does::Write];
    for (place, does) in does.into_iter().enumerate() {
        feed.deliver_as(again, lead(&(place + 2).to_string(), does));
    }
    gate.open();
    feed.told(6).await;
    let summary = worker.end().await;
    assert_eq!((summary.processed, summary.retrying), (4, 2));
    assert_eq!((summary.unstored, summary.dead_lettered), (0, 0));
    assert_eq!(database.texts(EFFECTS).await, ["1", "2", "5", "6"]);
    let failed = "SELECT id || ' ' || CAST(attempts AS text) FROM inbox_event \
                  WHERE status = 'retrying' ORDER BY id";
    assert_eq!(database.texts(failed).await, ["3 1", "4 1"], "one attempt was spent");
}

pub(crate) async fn what_was_delivered_twice_has_its_effect_once<D: Works>() {
    let (database, (feed, fed)) = (D::fresh().await, feed());
    let worker = database.work(fed, Gate::closed(), How::default()).await;
    for again in [false, true, false] {
        if again {
            feed.deliver_again(lead("1", Does::Write));
        } else {
            feed.deliver(lead("1", Does::Write));
        }
    }
    assert_eq!(feed.told(3).await, acks(&["1", "1", "1"]));
    let watched = std::sync::Arc::clone(&worker.worker);
    let summary = worker.end().await;
    assert_eq!((summary.processed, summary.duplicates), (1, 2));
    assert_eq!(watched.progress(), summary, "one run is all that was done");
    assert_eq!(database.texts(EFFECTS).await, ["1"]);
}

pub(crate) async fn what_is_too_old_is_purged<D: Works>() {
    let (database, (feed, fed)) = (D::fresh().await, feed());
    let how = How { until_idle: true, ..How::default() };
    let first = database.work(fed, Gate::closed(), how.clone()).await;
    feed.deliver(lead("1", Does::Write));
    feed.deliver(lead("2", Does::Write));
    feed.told(2).await;
    assert_eq!(first.ended().await.purged, 0);
    let past = D::moment(chrono::DateTime::UNIX_EPOCH);
    database
        .sql(&format!("UPDATE inbox_event SET received_at = {past} WHERE id = '1'"))
        .await;
    let (_, fed) = super::feed::feed();
    let second = database.work(fed, Gate::closed(), how).await;
    assert_eq!(second.ended().await.purged, 1);
    assert_eq!(database.texts("SELECT id FROM inbox_event").await, ["2"]);
}

pub(crate) async fn a_relay_and_a_worker_deliver_every_event_once<D: Works>() {
    const EVENTS: usize = 60;
    let database = D::fresh().await;
    let (broker, listener) = in_process(16);
    let relay =
        Relay::new("relay-1", database.outbox().clone(), broker, RelayConfig::default())
            .unwrap();
    // What follows goes the same way, and no handler is for it: it is a dead letter.
    let worker = database.work(listener, Gate::closed(), How::default()).await;
    let leads: Vec<_> =
        (10..10 + EVENTS).map(|n| lead(&n.to_string(), Does::Write)).collect();
    database.enqueue(leads, true).await;
    let watched = std::sync::Arc::clone(&worker.worker);
    let relayed = relay.run(async {
        while watched.progress().dead_lettered < EVENTS as u64 {
            tokio::task::yield_now().await;
        }
    });
    let relayed = tokio::time::timeout(Duration::from_secs(60), relayed).await;
    assert_eq!(relayed.expect("all is delivered").acknowledged, 2 * EVENTS as u64);
    let summary = worker.end().await;
    assert_eq!(
        (summary.processed, summary.dead_lettered),
        (EVENTS as u64, EVENTS as u64)
    );
    let wanted: Vec<String> = (10..10 + EVENTS).map(|n| n.to_string()).collect();
    assert_eq!(database.texts(EFFECTS).await, wanted);
}
