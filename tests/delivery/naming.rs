//! The chain of a key: which event a claim names as the one before.

use integration_automation_patterns::outbox::{
    Admin, Claim, OnDeadLetter, Redrive, Settlement, Store,
};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Decision, Envelope};

use crate::suite::*;

/// Claims all that is due, past dead letters, and says which event each names.
async fn named<D: Database>(database: &D) -> (Vec<Claim>, Vec<(String, Option<String>)>) {
    let mut order = order("relay-1", 10);
    order.on_dead_letter = OnDeadLetter::Skip;
    let claims = database.outbox().claim(&order).await.unwrap().claims;
    let name =
        |claim: &Claim| (claim.id().to_string(), claim.tags().get("keyafter").cloned());
    let names = claims.iter().map(name).collect();
    (claims, names)
}

async fn ends<D: Database>(
    database: &D,
    expected: &[(&str, Option<&str>)],
    end: impl Fn(Claim) -> Settlement,
) {
    let (claims, names) = named(database).await;
    let names: Vec<(&str, Option<&str>)> =
        names.iter().map(|(id, after)| (id.as_str(), after.as_deref())).collect();
    assert_eq!(names, expected);
    for claim in claims {
        assert!(settle(database, end(claim)).await.is_empty());
    }
}

fn of_another_source(id: &str, key: &str) -> Envelope<Pending> {
    let payload = keyed(id, key).payload().clone();
    let event = Envelope::builder("billing", payload).id(id.parse().unwrap());
    event.ordering_key(key).tag("keyafter", "of-an-outbox-upstream").build().unwrap()
}

/// A consumer would wait for an event that never comes, or not for one that does.
pub(crate) async fn each_event_of_a_key_names_the_one_confirmed_before_it<D: Database>() {
    let database = D::fresh().await;
    let events = ["a1", "a2", "a3", "a4"].map(|id| keyed(id, "a"));
    database.enqueue(events.into(), true).await;
    database.enqueue(vec![event("plain"), of_another_source("x1", "a")], true).await;
    let acknowledge = |claim: Claim| claim.acknowledge();
    ends(&database, &[("a1", None), ("plain", None)], acknowledge).await;
    // The same, however often it is sent.
    ends(&database, &[("a2", Some("a1"))], |claim| claim.release("not now")).await;
    ends(&database, &[("a2", Some("a1"))], |claim| claim.reject("unknown")).await;
    ends(&database, &[("a3", Some("a1"))], acknowledge).await;
    // What comes late names nothing: others have gone on without it.
    let insists = Redrive::new(
        Decision::new("on-call", "mended").unwrap(),
        std::time::Duration::from_secs(7 * 24 * 60 * 60),
    );
    database.outbox().redrive(&Default::default(), &insists).await.unwrap();
    ends(&database, &[("a2", None)], acknowledge).await;
    ends(&database, &[("a4", Some("a3"))], acknowledge).await;
    // Another source has a chain of its own, and what it was told elsewhere is not ours.
    ends(&database, &[("x1", None)], acknowledge).await;
    database.enqueue(vec![keyed("a5", "a")], true).await;
    ends(&database, &[("a5", Some("a4"))], acknowledge).await;
    assert_balanced(&database).await;
}

/// A consumer forgets what it has handled, and must not wait for that.
pub(crate) async fn a_key_at_rest_begins_anew<D: Database>() {
    let database = D::fresh().await;
    let rests = |days: u32| {
        format!("UPDATE outbox_chain SET confirmed_on = confirmed_on - {days}")
    };
    database
        .enqueue(vec![keyed("a1", "a"), keyed("a2", "a"), keyed("a3", "a")], true)
        .await;
    ends(&database, &[("a1", None)], Claim::acknowledge).await;
    database.sql(&rests(3)).await;
    database.outbox().purge(std::time::Duration::ZERO, 100).await.unwrap();
    ends(&database, &[("a2", Some("a1"))], Claim::acknowledge).await;
    database.sql(&rests(4)).await;
    ends(&database, &[("a3", None)], |claim| claim.release("only looked")).await;
    database.outbox().purge(std::time::Duration::ZERO, 100).await.unwrap();
    // Had it stayed, this would be its turn again.
    database.sql("UPDATE outbox_chain SET confirmed_on = confirmed_on + 4").await;
    ends(&database, &[("a3", None)], Claim::acknowledge).await;
}
