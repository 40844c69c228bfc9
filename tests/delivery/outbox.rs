//! The outbox: what claim and settle promise.

use std::time::Duration;

use integration_automation_patterns::audit::Action;
use integration_automation_patterns::outbox::{Admin, OnDeadLetter, Store};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::{Decision, DeliveryStatus};

use crate::suite::*;

pub(crate) async fn a_rolled_back_transaction_leaves_no_event<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(vec![event("1")], false).await;
    assert_eq!(database.outbox().counts().await.unwrap().total(), 0);
    database.enqueue(vec![event("1")], true).await;
    assert_eq!(database.outbox().counts().await.unwrap().total(), 1);
    assert_balanced(&database).await;
}

pub(crate) async fn the_same_id_twice_is_one_event<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(vec![event("1"), event("1")], true).await;
    database.enqueue(vec![event("1")], true).await;
    assert_eq!(ids(&claim(&database, "relay-1", 10).await.claims), ["1"]);
}

pub(crate) async fn an_attempt_is_counted_before_it_is_made<D: Database>() {
    let database = D::fresh().await;
    let sent = event("1");
    let facts = sent.to_record();
    database.enqueue(vec![sent], true).await;

    let claim = claim_one(&database).await;
    assert_eq!(
        status(&database, "1").await,
        (DeliveryStatus::Dispatched, 1),
        "stored before anything is sent"
    );
    let claimed = claim.event().to_record();
    assert_eq!((claimed.attempts, claimed.status), (1, DeliveryStatus::Dispatched));
    assert_eq!((&claimed.payload, &claimed.tags), (&facts.payload, &facts.tags));
    assert_eq!(
        (&claimed.correlation_id, claimed.created_at),
        (&facts.correlation_id, facts.created_at)
    );

    assert!(
        self::claim(&database, "relay-2", 10).await.claims.is_empty(),
        "nobody else gets it"
    );
    assert_eq!(settle(&database, claim.acknowledge()).await, []);
    assert_eq!(status(&database, "1").await, (DeliveryStatus::Acknowledged, 1));
    assert_balanced(&database).await;
}

pub(crate) async fn every_end_of_an_attempt_is_stored<D: Database>() {
    let database = D::fresh().await;
    let events = ["acknowledged", "failed", "rejected", "skipped", "spent"];
    database
        .enqueue(
            events
                .iter()
                .map(|id| build(id, None, at_once(if *id == "spent" { 1 } else { 3 })))
                .collect(),
            true,
        )
        .await;
    let claims = claim(&database, "relay-1", 10).await.claims;
    let settlements =
        claims.into_iter().map(|claim| match claim.id().to_string().as_str() {
            "acknowledged" => claim.acknowledge(),
            "rejected" => claim.reject("unknown account"),
            "skipped" => claim.skip("a duplicate"),
            _ => claim.fail("connection reset"),
        });
    assert_eq!(
        database.outbox().settle(&settlements.collect::<Vec<_>>()).await.unwrap(),
        []
    );

    assert_eq!(
        status(&database, "acknowledged").await,
        (DeliveryStatus::Acknowledged, 1)
    );
    assert_eq!(status(&database, "failed").await, (DeliveryStatus::Retrying, 1));
    assert_eq!(status(&database, "rejected").await, (DeliveryStatus::Failed, 1));
    assert_eq!(status(&database, "spent").await, (DeliveryStatus::Failed, 1));
    let skipped = database.outbox().get(&id("skipped")).await.unwrap().unwrap().event;
    assert_eq!(
        (skipped.status(), skipped.tags()["skip_reason"].as_str()),
        (DeliveryStatus::Skipped, "a duplicate")
    );
    assert_eq!(skipped.tags()["region"], "eu-west-1");

    assert_eq!(
        ids(&claim(&database, "relay-1", 10).await.claims),
        ["failed"],
        "due again at once, and nothing else"
    );
    let moments = database.outbox().get(&id("failed")).await.unwrap().unwrap().entries;
    let moments: Vec<_> = moments
        .iter()
        .map(|moment| (moment.action, moment.attempts, moment.reason.as_deref()))
        .collect();
    let expected = [
        (Action::Create, 0, None),
        (Action::Dispatch, 1, None),
        (Action::Fail, 1, Some("connection reset")),
        (Action::Dispatch, 2, None),
    ];
    assert_eq!(moments, expected);
    assert_balanced(&database).await;
}

/// A batch is settled as one, and one event of it may have been told to wait for ever: by
/// its program, or by plain SQL.
pub(crate) async fn a_wait_past_the_calendar_keeps_no_other_event<D: Database>() {
    let database = D::fresh().await;
    let ever = RetryPolicy::new(3, Backoff::Fixed(Duration::MAX)).unwrap();
    let expiring = build("expiring", None, ever);
    database
        .enqueue(
            vec![build("typed", None, ever), event("plain"), event("other"), expiring],
            true,
        )
        .await;
    database.sql("UPDATE outbox_event SET retry_policy = '3 fixed 9000000000000s' WHERE id = 'plain'").await;
    let mut claims = claim(&database, "relay-1", 4).await.claims;
    drop(claims.pop());
    let settlements =
        claims.into_iter().map(|claim| match claim.id().to_string().as_str() {
            "other" => claim.acknowledge(),
            _ => claim.fail("connection reset"),
        });
    assert_eq!(
        database.outbox().settle(&settlements.collect::<Vec<_>>()).await.unwrap(),
        []
    );
    assert_eq!(status(&database, "other").await.0, DeliveryStatus::Acknowledged);

    expire_leases(&database).await;
    assert_eq!(claim(&database, "relay-2", 4).await.expired.len(), 1);
    for id in ["typed", "plain", "expiring"] {
        assert_eq!(status(&database, id).await, (DeliveryStatus::Retrying, 1), "{id}");
    }
    assert_balanced(&database).await;
}

pub(crate) async fn a_late_settlement_changes_nothing<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(vec![impatient("1", 3)], true).await;
    let late = claim_one(&database).await;
    expire_leases(&database).await;

    let second = claim(&database, "relay-2", 1).await;
    assert_eq!(second.expired.len(), 1, "the first attempt has failed");
    assert_eq!(second.claims[0].attempts(), 2, "and the second is under way");

    let lost = settle(&database, late.acknowledge()).await;
    assert_eq!(lost[0].event, id("1"));
    assert_eq!(
        status(&database, "1").await,
        (DeliveryStatus::Dispatched, 2),
        "the late worker has changed nothing"
    );
    for second in second.claims {
        assert_eq!(settle(&database, second.acknowledge()).await, []);
    }
    assert_balanced(&database).await;

    // The same where nobody has noticed yet that the lease has ended.
    database.enqueue(vec![impatient("2", 3)], true).await;
    let late = claim_one(&database).await;
    expire_leases(&database).await;
    assert_eq!(settle(&database, late.fail("late")).await.len(), 1);
    assert_eq!(status(&database, "2").await, (DeliveryStatus::Dispatched, 1));
}

/// Protects what is stored from being taken for lost, where the first answer never came.
pub(crate) async fn a_settlement_is_stored_once_however_often_it_is_given<D: Database>() {
    let database = D::fresh().await;
    let events = ["acknowledged", "failed", "rejected", "released", "skipped"];
    database.enqueue(events.map(|id| impatient(id, 3)).into(), true).await;
    let claims = claim(&database, "relay-1", events.len()).await.claims;
    let settlements: Vec<_> = claims
        .into_iter()
        .map(|claim| match claim.id().to_string().as_str() {
            "acknowledged" => claim.acknowledge(),
            "failed" => claim.fail("timeout"),
            "rejected" => claim.reject("no such country"),
            "released" => claim.release("the broker is away"),
            _ => claim.skip("a test event"),
        })
        .collect();
    let mut recorded = Vec::new();
    for _ in 0..3 {
        assert_eq!(database.outbox().settle(&settlements).await.unwrap(), []);
        assert_balanced(&database).await;
        let mut entries = 0;
        for event in events {
            let found = database.outbox().get(&id(event)).await.unwrap();
            entries += found.unwrap().entries.len();
        }
        recorded.push(entries);
    }
    assert_eq!(recorded, [15; 3], "each was enqueued, claimed and settled");
    for (event, expected) in [
        ("acknowledged", (DeliveryStatus::Acknowledged, 1)),
        ("failed", (DeliveryStatus::Retrying, 1)),
        ("rejected", (DeliveryStatus::Failed, 1)),
        ("released", (DeliveryStatus::Pending, 0)),
        ("skipped", (DeliveryStatus::Skipped, 1)),
    ] {
        assert_eq!(status(&database, event).await, expected, "{event}");
    }
}

pub(crate) async fn the_sweep_changes_nothing_that_was_settled<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(vec![event("1")], true).await;
    let claimed = claim_one(&database).await;
    settle(&database, claimed.acknowledge()).await;
    expire_leases(&database).await;
    let swept = claim(&database, "relay-2", 10).await;
    assert!(swept.expired.is_empty() && swept.claims.is_empty());
    assert_eq!(status(&database, "1").await, (DeliveryStatus::Acknowledged, 1));
}

pub(crate) async fn a_renewed_lease_holds<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(vec![event("1"), event("2")], true).await;
    let claims = claim(&database, "relay-1", 2).await.claims;
    let held: Vec<_> = claims.iter().map(|claim| claim.lease()).collect();
    assert_eq!(
        database.outbox().renew(&held, Duration::from_secs(60)).await.unwrap(),
        []
    );

    expire_leases(&database).await;
    let lost = database.outbox().renew(&held, Duration::from_secs(60)).await.unwrap();
    assert_eq!(lost.len(), 2, "what has ended cannot be renewed");
    drop(claims);
}

pub(crate) async fn what_is_given_back_has_spent_nothing<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(vec![impatient("1", 2)], true).await;
    let claimed = claim_one(&database).await;
    assert_eq!(settle(&database, claimed.release("the relay was stopped")).await, []);
    assert_eq!(status(&database, "1").await, (DeliveryStatus::Pending, 0));

    let claimed = claim_one(&database).await;
    settle(&database, claimed.fail("timeout")).await;
    let claimed = claim_one(&database).await;
    assert_eq!(claimed.attempts(), 2);
    settle(&database, claimed.release("the relay was stopped")).await;
    assert_eq!(status(&database, "1").await, (DeliveryStatus::Retrying, 1));
    let claimed = claim_one(&database).await;
    settle(&database, claimed.acknowledge()).await;
    assert_balanced(&database).await;
}

pub(crate) async fn a_crash_loop_ends_as_a_dead_letter<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(vec![impatient("1", 3)], true).await;
    for attempt in 1..=3 {
        let claimed = claim(&database, "relay-1", 1).await;
        assert_eq!(claimed.claims[0].attempts(), attempt);
        drop(claimed); // as a crash does
        expire_leases(&database).await;
    }
    assert!(claim(&database, "relay-1", 1).await.claims.is_empty());
    assert_eq!(status(&database, "1").await, (DeliveryStatus::Failed, 3));
    let dead = database.outbox().dead_letters(&Default::default(), 10).await.unwrap();
    let failure = dead[0].event.failure().unwrap();
    assert_eq!(failure.reason, "the lease of relay-1 ended before the send was settled");
    assert_balanced(&database).await;
}

pub(crate) async fn events_of_one_key_never_overtake_one_another<D: Database>() {
    let database = D::fresh().await;
    let events = [
        keyed("a1", "a"),
        keyed("a2", "a"),
        keyed("b1", "b"),
        event("free"),
        keyed("a3", "a"),
    ];
    database.enqueue(events.into(), true).await;
    let mut claims = claim(&database, "relay-1", 10).await.claims;
    assert_eq!(ids(&claims), ["a1", "b1", "free"], "one of each key");
    assert!(
        claim(&database, "relay-2", 10).await.claims.is_empty(),
        "for other relays too"
    );

    // A failure keeps its place.
    let first = claims.remove(0);
    settle(&database, first.fail("connection reset")).await;
    assert!(claim(&database, "relay-2", 10).await.claims.is_empty());
    make_due(&database).await;
    for expected in ["a1", "a2", "a3"] {
        let next = claim_one(&database).await;
        assert_eq!(next.id().to_string(), expected);
        assert_eq!(settle(&database, next.acknowledge()).await, []);
    }
    drop(claims);
    assert_balanced(&database).await;
}

pub(crate) async fn a_dead_letter_blocks_its_key_or_is_passed_by<D: Database>() {
    let database = D::fresh().await;
    database
        .enqueue(vec![keyed("a1", "a"), keyed("a2", "a"), keyed("b1", "b")], true)
        .await;
    let mut claims = claim(&database, "relay-1", 10).await.claims;
    let b1 = claims.pop().unwrap();
    settle(&database, claims.pop().unwrap().reject("unknown account")).await;
    settle(&database, b1.acknowledge()).await;

    assert!(
        claim(&database, "relay-1", 10).await.claims.is_empty(),
        "a2 waits for a person"
    );
    let mut pass_by = order("relay-1", 10);
    pass_by.on_dead_letter = OnDeadLetter::Skip;
    let passed = database.outbox().claim(&pass_by).await.unwrap().claims;
    assert_eq!(ids(&passed), ["a2"]);
    for claim in passed {
        settle(&database, claim.release("only looked")).await;
    }

    let decision = Decision::new("on-call", "a test record").unwrap();
    database.outbox().discard(&Default::default(), &decision).await.unwrap();
    assert_eq!(
        ids(&claim(&database, "relay-1", 10).await.claims),
        ["a2"],
        "the key is free"
    );
}

pub(crate) async fn a_claim_of_any_size_is_answered<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(vec![event("1"), event("2")], true).await;
    assert!(claim(&database, "relay-1", 0).await.claims.is_empty());
    assert_eq!(ids(&claim(&database, "relay-1", usize::MAX).await.claims), ["1", "2"]);
}

pub(crate) async fn claimers_never_share_an_event<D: Database>() {
    let database = D::fresh().await;
    database
        .enqueue((0..200).map(|number| event(&format!("{number}"))).collect(), true)
        .await;
    let mut claimers = tokio::task::JoinSet::new();
    for worker in 0..4 {
        let outbox = database.outbox().clone();
        claimers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed =
                    outbox.claim(&order(&format!("relay-{worker}"), 7)).await.unwrap();
                if claimed.claims.is_empty() {
                    return mine;
                }
                mine.extend(ids(&claimed.claims));
            }
        });
    }
    let mut all: Vec<String> = claimers.join_all().await.into_iter().flatten().collect();
    all.sort();
    let count = all.len();
    all.dedup();
    assert_eq!((count, all.len()), (200, 200), "each event has one claimer");
}

pub(crate) async fn a_row_that_is_no_event_is_a_dead_letter<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(vec![event("poison"), event("good")], true).await;
    database
        .sql("UPDATE outbox_event SET retry_policy = 'often' WHERE id = 'poison'")
        .await;
    let claimed = claim(&database, "relay-1", 10).await;
    assert_eq!(ids(&claimed.claims), ["good"]);
    assert_eq!(claimed.quarantined[0].event, "poison");
    assert!(
        claimed.quarantined[0].what.contains("a retry policy is written as"),
        "{:?}",
        claimed.quarantined
    );
    assert!(claim(&database, "relay-1", 10).await.quarantined.is_empty(), "once");
    let findings = database.outbox().verify().await.unwrap();
    assert_eq!(
        findings.iter().map(|finding| finding.event.as_str()).collect::<Vec<_>>(),
        ["poison"]
    );
}
