//! What people do with an outbox: redrive, discard, retention, and whether the books
//! balance.

use std::time::Duration;

use integration_automation_patterns::outbox::{Admin, Filter, Redrive, RedriveOutcome};
use integration_automation_patterns::{Decision, DeliveryStatus};

use crate::suite::*;

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

fn decision() -> Decision {
    Decision::new("on-call", "the account exists now").unwrap()
}

/// Dead letters of these ids.
async fn dead<D: Database>(database: &D, ids: &[&str]) {
    database.enqueue(ids.iter().map(|id| impatient(id, 2)).collect(), true).await;
    for claim in claim(database, "relay-1", ids.len()).await.claims {
        settle(database, claim.reject("unknown account")).await;
    }
}

pub(crate) async fn a_redrive_gives_a_new_budget<D: Database>() {
    let database = D::fresh().await;
    dead(&database, &["1", "2"]).await;
    let verdicts = database
        .outbox()
        .redrive(&Filter::id(id("1")), &Redrive::new(decision(), WEEK))
        .await
        .unwrap();
    assert_eq!(verdicts, [(id("1"), RedriveOutcome::Redriven)]);
    assert_eq!(status(&database, "1").await, (DeliveryStatus::Pending, 0));
    assert_eq!(status(&database, "2").await, (DeliveryStatus::Failed, 1));

    let again = claim_one(&database).await;
    assert_eq!(
        (again.attempts(), again.redriven().map(Decision::by)),
        (1, Some("on-call"))
    );
    settle(&database, again.fail("timeout")).await;
    let again = claim_one(&database).await;
    settle(&database, again.acknowledge()).await;
    assert_balanced(&database).await;
}

pub(crate) async fn a_redrive_past_the_window_needs_a_person_to_insist<D: Database>() {
    let database = D::fresh().await;
    dead(&database, &["1"]).await;
    let long_ago = D::moment(chrono::Utc::now() - chrono::TimeDelta::days(8));
    database.sql(&format!("UPDATE outbox_event SET first_sent_at = {long_ago}")).await;
    let order = Redrive::new(decision(), WEEK);
    let verdicts = database.outbox().redrive(&Filter::default(), &order).await.unwrap();
    assert!(
        matches!(&verdicts[0].1, RedriveOutcome::Refused(refused) if refused.dedup_window == WEEK),
        "{verdicts:?}"
    );
    assert_eq!(
        status(&database, "1").await,
        (DeliveryStatus::Failed, 1),
        "it stays a dead letter"
    );

    let verdicts =
        database.outbox().redrive(&Filter::default(), &order.force()).await.unwrap();
    assert_eq!(verdicts, [(id("1"), RedriveOutcome::Redriven)]);
    let moments = database.outbox().get(&id("1")).await.unwrap().unwrap().entries;
    let last = moments.last().unwrap();
    assert_eq!(
        (last.by.as_deref(), last.reason.as_deref()),
        (Some("on-call"), Some("the account exists now"))
    );
    assert_balanced(&database).await;
}

pub(crate) async fn an_interrupted_redrive_is_called_again<D: Database>() {
    let database = D::fresh().await;
    dead(&database, &["1", "2", "3"]).await;
    let order = Redrive::new(decision(), WEEK);
    database.outbox().redrive(&Filter::id(id("2")), &order).await.unwrap(); // as far as it came
    let rest = database.outbox().redrive(&Filter::default(), &order).await.unwrap();
    assert_eq!(
        rest,
        [(id("1"), RedriveOutcome::Redriven), (id("3"), RedriveOutcome::Redriven)],
        "and no event twice"
    );
    assert_eq!(database.outbox().redrive(&Filter::default(), &order).await.unwrap(), []);
    assert_balanced(&database).await;
}

pub(crate) async fn what_is_discarded_is_over<D: Database>() {
    let database = D::fresh().await;
    dead(&database, &["1", "2"]).await;
    let wrong =
        Filter { reason_contains: Some("timeout".to_owned()), ..Filter::default() };
    assert_eq!(database.outbox().discard(&wrong, &decision()).await.unwrap(), []);
    let right =
        Filter { reason_contains: Some("account".to_owned()), ..Filter::id(id("2")) };
    assert_eq!(database.outbox().discard(&right, &decision()).await.unwrap(), [id("2")]);
    let found = database.outbox().get(&id("2")).await.unwrap().unwrap();
    let (event, moments) = (found.event, found.entries);
    assert_eq!(event.discarded().map(Decision::by), Some("on-call"));
    assert_eq!(moments.last().map(|moment| moment.status), Some(DeliveryStatus::Skipped));
    assert!(claim(&database, "relay-1", 10).await.claims.is_empty());
    assert_balanced(&database).await;
}

pub(crate) async fn retention_removes_what_is_done_and_nothing_else<D: Database>() {
    let database = D::fresh().await;
    dead(&database, &["dead"]).await;
    database
        .enqueue((0..5).map(|number| event(&format!("{number}"))).collect(), true)
        .await;
    let claims = claim(&database, "relay-1", 4).await.claims;
    for claim in claims {
        settle(&database, claim.acknowledge()).await;
    }
    assert_eq!(
        database.outbox().purge(WEEK, 100).await.unwrap(),
        0,
        "nothing is a week old"
    );
    assert_eq!(
        database.outbox().purge(Duration::ZERO, 3).await.unwrap(),
        3,
        "in batches"
    );
    assert_eq!(database.outbox().purge(Duration::ZERO, 3).await.unwrap(), 1);
    let counts = database.outbox().counts().await.unwrap();
    assert_eq!(
        (
            counts.of(DeliveryStatus::Failed),
            counts.of(DeliveryStatus::Pending),
            counts.total()
        ),
        (1, 1, 2)
    );
    assert_balanced(&database).await;
}

pub(crate) async fn counts_and_ages<D: Database>() {
    let database = D::fresh().await;
    assert_eq!(database.outbox().counts().await.unwrap(), Default::default());
    dead(&database, &["dead"]).await;
    database.enqueue(vec![impatient("again", 3)], true).await;
    let again = claim_one(&database).await;
    settle(&database, again.fail("timeout")).await;
    database.enqueue(vec![event("new")], true).await;
    let counts = database.outbox().counts().await.unwrap();
    assert_eq!((counts.under_way(), counts.total()), (2, 3));
    assert_eq!(counts.by_attempts, [(0, 1), (1, 2)].into());
    assert!(counts.oldest_due.is_some_and(|age| age < WEEK));
}

pub(crate) async fn what_waits_is_listed_with_what_it_waits_for<D: Database>() {
    let database = D::fresh().await;
    dead(&database, &["done with"]).await;
    let events =
        vec![keyed("1", "customer-7"), event("2"), keyed("3", "customer-7"), event("4")];
    database.enqueue(events, true).await;
    let first = claim_one(&database).await;
    settle(&database, first.fail("timeout")).await;
    let second = claim_one(&database).await;
    assert_eq!(second.id(), &id("2"));

    let waiting = database.outbox().waiting(&Filter::default(), 10).await.unwrap();
    let mut seen: Vec<_> = waiting
        .iter()
        .map(|one| {
            let behind = one.behind.as_ref().map(ToString::to_string);
            (
                one.event.id().to_string(),
                one.event.status().as_str(),
                one.claimed_by.as_deref(),
                behind,
            )
        })
        .collect();
    assert!(
        waiting.is_sorted_by_key(|one| one.due_at),
        "the one that has been due longest comes first"
    );
    assert_eq!(seen[0].0, "3");
    seen.sort();
    assert_eq!(
        seen,
        [
            ("1".to_owned(), "retrying", None, None),
            ("2".to_owned(), "dispatched", Some("relay-1"), None),
            ("3".to_owned(), "pending", None, Some("1".to_owned())),
            ("4".to_owned(), "pending", None, None),
        ]
    );
    assert_eq!(database.outbox().waiting(&Filter::default(), 1).await.unwrap().len(), 1);
    let timeouts =
        Filter { reason_contains: Some("time".to_owned()), ..Filter::default() };
    assert_eq!(database.outbox().waiting(&timeouts, 10).await.unwrap().len(), 1);
    settle(&database, second.acknowledge()).await;
}

pub(crate) async fn a_dead_letter_that_is_no_event_is_listed_apart<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(vec![event("torn")], true).await;
    database
        .sql("UPDATE outbox_event SET retry_policy = 'often' WHERE id = 'torn'")
        .await;
    assert_eq!(claim(&database, "relay-1", 1).await.quarantined.len(), 1);
    dead(&database, &["whole"]).await;

    let letters = database.outbox().dead_letters(&Filter::default(), 10).await.unwrap();
    assert_eq!(
        letters.iter().map(|letter| letter.event.id()).collect::<Vec<_>>(),
        [&id("whole")]
    );
    let torn = database.outbox().unreadable(&Filter::default()).await.unwrap();
    assert_eq!(
        torn.iter().map(|finding| finding.event.as_str()).collect::<Vec<_>>(),
        ["torn"]
    );
    assert!(torn[0].what.contains("often"), "{torn:?}");
    assert_eq!(database.outbox().unreadable(&Filter::id(id("whole"))).await.unwrap(), []);
    assert_eq!(
        database.outbox().discard(&Filter::id(id("torn")), &decision()).await.unwrap(),
        []
    );

    database
        .sql("UPDATE outbox_event SET retry_policy = '3 fixed 30s' WHERE id = 'torn'")
        .await;
    assert_eq!(database.outbox().unreadable(&Filter::default()).await.unwrap(), []);
    assert_eq!(
        database.outbox().discard(&Filter::id(id("torn")), &decision()).await.unwrap(),
        [id("torn")]
    );
}

/// Protects an operator from rows that are no event, and hide those that are.
pub(crate) async fn rows_that_are_no_event_hide_no_others<D: Database>() {
    let database = D::fresh().await;
    let torn = ["torn-1", "torn-2", "torn-3"];
    dead(&database, &torn).await;
    dead(&database, &["whole-1", "whole-2"]).await;
    database.enqueue(vec![event("waiting-torn"), event("waiting")], true).await;
    let tear = "UPDATE outbox_event SET retry_policy = 'often' WHERE id LIKE '%torn%'";
    database.sql(tear).await;

    for (limit, expected) in [(0, 0), (1, 1), (2, 2), (10, 2)] {
        let all = Filter::default();
        let letters = database.outbox().dead_letters(&all, limit).await.unwrap();
        let listed: Vec<_> = letters.iter().map(|letter| letter.event.id()).collect();
        assert_eq!(listed, [&id("whole-1"), &id("whole-2")][..expected], "{limit}");
    }
    let waiting = database.outbox().waiting(&Filter::default(), 1).await.unwrap();
    let waiting: Vec<_> = waiting.iter().map(|one| one.event.id()).collect();
    assert_eq!(waiting, [&id("waiting")]);
}

pub(crate) async fn the_books_show_what_was_tampered_with<D: Database>() {
    let database = D::fresh().await;
    let names = ["status", "attempts", "lease", "history", "orphan"];
    database.enqueue(names.iter().map(|id| impatient(id, 3)).collect(), true).await;
    for claim in claim(&database, "relay-1", 10).await.claims {
        settle(&database, claim.fail("timeout")).await;
    }
    assert_balanced(&database).await;
    let past = D::moment(chrono::DateTime::UNIX_EPOCH);
    for sql in [
        format!("UPDATE outbox_event SET status = 'acknowledged', due_at = NULL, done_at = {past} WHERE id = 'status'"),
        "UPDATE outbox_event SET attempts = 2 WHERE id = 'attempts'".to_owned(),
        "UPDATE outbox_event SET due_at = NULL WHERE id = 'lease'".to_owned(),
        "DELETE FROM outbox_history WHERE event = (SELECT sequence FROM outbox_event WHERE id = 'history')".to_owned(),
        "DELETE FROM outbox_event WHERE id = 'orphan'".to_owned(),
    ] {
        database.sql(&sql).await;
    }
    let findings = database.outbox().verify().await.unwrap();
    let found: Vec<&str> =
        findings.iter().map(|finding| finding.event.as_str()).collect();
    assert_eq!(
        found,
        ["status", "attempts", "lease", "history", "sequence 5"],
        "{findings:#?}"
    );
}
