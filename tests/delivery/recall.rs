//! An event is recalled: it is not sent any more, or it is out already, and never both.

use integration_automation_patterns::audit::Action;
use integration_automation_patterns::outbox::{Admin, Claim, Recalled, Settlement};
use integration_automation_patterns::{Decision, DeliveryStatus};

use crate::suite::*;

fn decision() -> Decision {
    Decision::new("sales desk", "the customer has cancelled").unwrap()
}

/// Claims the only event that is due, and ends its attempt.
async fn attempt<D: Database>(database: &D, end: impl Fn(Claim) -> Settlement) {
    let settlement = end(claim_one(database).await);
    assert!(settle(database, settlement).await.is_empty());
}

/// Protects from a command that is carried out after its step was given up; and the books
/// from an event that nobody can say was given up by whom.
pub(crate) async fn what_no_relay_has_is_taken_back<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(vec![impatient("retrying", 3)], true).await;
    attempt(&database, |claim| claim.fail("timeout")).await;
    database.sql("UPDATE outbox_event SET due_at = NULL").await;
    database.enqueue(vec![impatient("failed", 3)], true).await;
    attempt(&database, |claim| claim.reject("unknown account")).await;
    database.enqueue(vec![event("pending")], true).await;
    let now = D::moment(chrono::Utc::now());
    let due = "UPDATE outbox_event SET due_at = {now} WHERE status = 'retrying'";
    database.sql(&due.replace("{now}", &now)).await;

    for (name, attempts) in [("pending", 0), ("retrying", 1), ("failed", 1)] {
        assert_eq!(database.recall(&id(name), decision(), false).await, Recalled::Taken);
        assert_ne!(
            status(&database, name).await.0,
            DeliveryStatus::Skipped,
            "rolled back"
        );
        for _ in 0..2 {
            let recalled = database.recall(&id(name), decision(), true).await;
            assert_eq!(recalled, Recalled::Taken);
        }
        assert_eq!(status(&database, name).await, (DeliveryStatus::Skipped, attempts));
        let history = database.outbox().get(&id(name)).await.unwrap().unwrap();
        assert_eq!(
            history.event.tags().get("skip_reason").map(String::as_str),
            Some("the customer has cancelled")
        );
        let entries = &history.entries;
        let last = entries.last().unwrap();
        assert_eq!(
            (last.action, last.by.as_deref(), last.reason.as_deref()),
            (Action::Discard, Some("sales desk"), Some("the customer has cancelled"))
        );
        let decided = entries.iter().filter(|one| one.action == Action::Discard);
        assert_eq!(decided.count(), 1, "the first decision stands");
    }
    assert!(claim(&database, "relay-1", 10).await.claims.is_empty());
    assert_balanced(&database).await;
    let gone = database.outbox().purge(std::time::Duration::ZERO, 10).await.unwrap();
    assert_eq!(gone, 3, "retention takes them as it takes what is done");
}

/// Protects from the belief that a command never left.
pub(crate) async fn what_is_out_stays_out<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(vec![event("1")], true).await;
    let claim = claim_one(&database).await;
    let recall = async || database.recall(&id("1"), decision(), true).await;
    assert_eq!(recall().await, Recalled::StillOut(DeliveryStatus::Dispatched));
    assert!(settle(&database, claim.acknowledge()).await.is_empty(), "the lease holds");
    assert_eq!(recall().await, Recalled::StillOut(DeliveryStatus::Acknowledged));
    let unknown = database.recall(&id("2"), decision(), true).await;
    assert_eq!(unknown, Recalled::NotThere);
    assert_balanced(&database).await;
}

/// Protects the later commands of an instance from waiting for one that never comes.
pub(crate) async fn what_is_taken_back_lets_the_next_of_its_key_go<D: Database>() {
    let database = D::fresh().await;
    let events = ["a1", "a2", "a3"].map(|id| keyed(id, "a"));
    database.enqueue(events.into(), true).await;
    // The claim puts the others aside.
    let claimed = claim(&database, "relay-1", 10).await;
    assert_eq!(ids(&claimed.claims), ["a1"]);
    let aside = database.recall(&id("a2"), decision(), true).await;
    assert_eq!(aside, Recalled::Taken);
    for claim in claimed.claims {
        settle(&database, claim.release("not now")).await;
    }
    let first = database.recall(&id("a1"), decision(), true).await;
    assert_eq!(first, Recalled::Taken);
    assert_eq!(ids(&claim(&database, "relay-1", 10).await.claims), ["a3"]);
    assert_balanced(&database).await;
}

/// Protects from both: an event that is sent, and taken for one that never left.
pub(crate) async fn an_event_is_claimed_or_recalled_and_never_both<D: Database>() {
    const EVENTS: usize = 60;
    let database = D::fresh().await;
    let name = |number: usize| format!("e{number}");
    database.enqueue((0..EVENTS).map(|n| event(&name(n))).collect(), true).await;
    let recalls = async |remainder: usize| {
        let mut taken = Vec::new();
        for number in (0..EVENTS).rev().filter(|number| number % 4 == remainder) {
            match database.recall(&id(&name(number)), decision(), true).await {
                Recalled::Taken => taken.push(name(number)),
                Recalled::StillOut(DeliveryStatus::Dispatched) => {}
                other => panic!("{other:?}"),
            }
        }
        taken
    };
    let claims = async |worker: &str| {
        let mut claimed = Vec::new();
        loop {
            let found = claim(&database, worker, 3).await.claims;
            if found.is_empty() {
                return claimed;
            }
            claimed.extend(ids(&found));
        }
    };
    let (a, b, c, d, e, f, g, h) = tokio::join!(
        recalls(0),
        recalls(1),
        recalls(2),
        recalls(3),
        claims("1"),
        claims("2"),
        claims("3"),
        claims("4"),
    );
    let mut all = [a, b, c, d, e, f, g, h].concat();
    all.sort();
    let mut wanted: Vec<String> = (0..EVENTS).map(name).collect();
    wanted.sort();
    assert_eq!(all, wanted, "each once");
    assert_balanced(&database).await;
}
