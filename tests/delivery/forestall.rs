//! An event is forestalled: it has had its effect, or it never will, whatever comes first.

use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use integration_automation_patterns::audit::AuditTrail;
use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::{
    Counts, Forestalled, Handled, HandlerError, InboxConfig, Remembered,
};
use integration_automation_patterns::{Decision, DeliveryStatus, RetryPolicy};

use crate::suite::*;

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A database that has an inbox, too, with a table of effects.
pub(crate) trait Participant: Database + Sync {
    fn with_inbox() -> impl Future<Output = Self> + Send;
    /// Handles a delivery: its effect is a row, and then it ends so.
    fn handle(
        &self,
        delivery: Delivery<()>,
        then: Result<(), HandlerError>,
    ) -> impl Future<Output = Handled<()>> + Send;
    /// Forestalls an event of `crm` in one transaction, and commits it or not.
    fn forestall(
        &self,
        id: &str,
        asked_at: DateTime<Utc>,
        commit: bool,
    ) -> impl Future<Output = Forestalled> + Send;
    fn discard(&self, id: &str, decision: Decision) -> impl Future<Output = bool> + Send;
    fn inbox_counts(&self) -> impl Future<Output = Counts> + Send;
    fn remembered(&self, id: &str) -> impl Future<Output = Option<Remembered>> + Send;
    /// The number that a query answers.
    fn number(&self, sql: &str) -> impl Future<Output = i64> + Send;
}

pub(crate) fn inbox_config() -> InboxConfig {
    InboxConfig::new(WEEK, RetryPolicy::DEFAULT).unwrap().retry_policy(at_once(9))
}

/// By a person whose name is what the inbox calls itself when it forestalls.
fn decision() -> Decision {
    Decision::new("forestall", "it was a test").unwrap()
}

pub(crate) fn silent() -> AuditTrail {
    AuditTrail::silent()
}

async fn deliver<P: Participant>(participant: &P, name: &str) -> Handled<()> {
    participant.handle(Delivery::new(event(name), ()), Ok(())).await
}

async fn fail<P: Participant>(participant: &P, name: &str, error: HandlerError) {
    let delivery = Delivery::new(event(name), ());
    let _failed = participant.handle(delivery, Err(error)).await;
}

async fn effects<P: Participant>(participant: &P, name: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM effect WHERE id = '{name}'");
    participant.number(&sql).await
}

async fn forestall<P: Participant>(participant: &P, name: &str) -> Forestalled {
    participant.forestall(name, Utc::now(), true).await
}

/// Protects an undo from the event that it undoes: a late one, one that is tried again,
/// one that a person would redrive.
pub(crate) async fn what_is_forestalled_has_had_its_effect_or_never_will<
    P: Participant,
>() {
    let participant = P::with_inbox().await;
    fail(&participant, "retrying", HandlerError::transient("locked")).await;
    fail(&participant, "dead", HandlerError::permanent("no such account")).await;
    fail(&participant, "discarded", HandlerError::permanent("no such account")).await;
    assert!(participant.discard("discarded", decision()).await);
    let _processed = deliver(&participant, "processed").await;
    fail(&participant, "held", HandlerError::transient("locked")).await;
    let later = P::moment(Utc::now() + TimeDelta::hours(1));
    let hold = format!(
        "UPDATE inbox_event SET held_after = 'other', due_at = {later} WHERE id = 'held'"
    );
    participant.sql(&hold).await;
    assert_eq!(participant.inbox_counts().await.held, 1);

    use Forestalled::{NeverWill, WasDone};
    for (name, expected) in [
        ("new", NeverWill),
        ("retrying", NeverWill),
        ("dead", NeverWill),
        ("held", NeverWill),
        ("discarded", NeverWill),
        ("processed", WasDone),
    ] {
        for _ in 0..2 {
            assert_eq!(forestall(&participant, name).await, expected, "{name}");
        }
        let again = Delivery::new(event(name), ()).redelivered(true);
        let handled = participant.handle(again, Ok(())).await;
        match (name, &handled) {
            ("processed" | "discarded", Handled::Duplicate(_)) => {}
            (_, Handled::Forestalled(_)) => {}
            _ => panic!("{name}: {handled:?}"),
        }
        let had = i64::from(name == "processed");
        assert_eq!(effects(&participant, name).await, had, "{name}");
        let kept = participant.remembered(name).await.unwrap();
        assert_eq!(
            (kept.status == DeliveryStatus::Skipped, kept.event.is_some()),
            (had == 0, !matches!(name, "processed" | "new")),
            "{name}"
        );
        let discarded = participant.discard(name, decision()).await;
        assert!(!discarded, "a person finds it settled: {name}");
    }
    let counts = participant.inbox_counts().await;
    assert_eq!((counts.of(DeliveryStatus::Skipped), counts.forestalled), (5, 4));
    assert_eq!((counts.held, counts.of(DeliveryStatus::Retrying)), (0, 0));
}

/// Protects from "it was never done" about what was done and purged.
pub(crate) async fn what_the_inbox_cannot_remember_is_forgotten_for_good<
    P: Participant,
>() {
    let participant = P::with_inbox().await;
    let long_ago = Utc::now() - TimeDelta::days(8);
    let _processed = deliver(&participant, "processed").await;
    fail(&participant, "retrying", HandlerError::transient("locked")).await;
    use Forestalled::{Forgotten, NeverWill, WasDone};
    for (name, expected) in
        [("unknown", Forgotten), ("retrying", NeverWill), ("processed", WasDone)]
    {
        for _ in 0..2 {
            let was = participant.forestall(name, long_ago, true).await;
            assert_eq!(was, expected, "{name}");
        }
    }
    // Asked by a later clock, the answer is the same.
    assert_eq!(forestall(&participant, "unknown").await, Forgotten);
    let late = deliver(&participant, "unknown").await;
    assert!(matches!(late, Handled::Forestalled(_)), "{late:?}");
    assert_eq!(effects(&participant, "unknown").await, 0);
}

/// Protects the event from an undo that never was; and the successors of a key from one
/// that never comes.
pub(crate) async fn what_is_rolled_back_forestalls_nothing<P: Participant>() {
    let participant = P::with_inbox().await;
    let undone = participant.forestall("1", Utc::now(), false).await;
    assert_eq!(undone, Forestalled::NeverWill);
    assert!(participant.remembered("1").await.is_none());
    assert!(matches!(deliver(&participant, "1").await, Handled::Processed(_)));

    fail(&participant, "next", HandlerError::transient("locked")).await;
    let later = P::moment(Utc::now() + TimeDelta::hours(1));
    let hold = format!(
        "UPDATE inbox_event SET held_after = 'first', due_at = {later} WHERE id = 'next'"
    );
    participant.sql(&hold).await;
    let soon = P::moment(Utc::now() + TimeDelta::minutes(30));
    let due = format!("SELECT count(*) FROM inbox_event WHERE due_at < {soon}");
    assert_eq!(participant.number(&due).await, 0);
    assert_eq!(forestall(&participant, "first").await, Forestalled::NeverWill);
    assert_eq!(participant.number(&due).await, 1, "its turn has come");
}

/// Protects the account: whoever asks, by any of eight connections, hears what came of the
/// event, and all hear the same.
pub(crate) async fn eight_at_once_agree_on_one_end_of_an_event<P: Participant>() {
    let participant = P::with_inbox().await;
    let (mut done, mut never) = (0, 0);
    for number in 0..25 {
        let name = format!("e{number}");
        let comes = async |redelivered: bool| {
            let delivery = Delivery::new(event(&name), ()).redelivered(redelivered);
            let handled = participant.handle(delivery, Ok(())).await;
            i64::from(matches!(handled, Handled::Processed(_)))
        };
        let asks = async || forestall(&participant, &name).await;
        let (a, was_a, b, was_b, c, was_c, d, was_d) = tokio::join!(
            comes(false),
            asks(),
            comes(true),
            asks(),
            comes(false),
            asks(),
            comes(true),
            asks(),
        );
        assert!(
            [was_b, was_c, was_d].iter().all(|was| *was == was_a),
            "{name}: {was_a:?}"
        );
        let effects = effects(&participant, &name).await;
        assert_eq!((effects, a + b + c + d), (effects, effects));
        match was_a {
            Forestalled::WasDone => done += effects,
            Forestalled::NeverWill => never += 1 - effects,
            Forestalled::Forgotten => panic!("it is young"),
        }
    }
    assert_eq!(done + never, 25, "what they heard is so");
}
