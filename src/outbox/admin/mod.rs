//! Administration of an outbox: counts, dead letters and decisions about them, retention,
//! and the check of rows and histories.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) mod decision;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) mod listing;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::sealed;
use crate::audit::Action;
use crate::store::{DeadLetter, Filter, StoreError};
use crate::{AnyEnvelope, Decision, DeliveryStatus, EventId};

/// What people ask of an outbox, and decide about its events.
///
/// ```
/// # #[cfg(feature = "sqlite")] {
/// use integration_automation_patterns::Decision;
/// use integration_automation_patterns::outbox::{Admin, Filter, sqlite::Outbox};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime =
/// #     tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// # runtime.block_on(async {
/// let outbox = Outbox::open(":memory:")?;
/// let billing =
///     Filter { source_system: Some("billing".to_owned()), ..Filter::default() };
/// assert!(outbox.dead_letters(&billing, 100).await?.is_empty());
/// let decision = Decision::new("on-call", "a test of ours")?;
/// assert_eq!(outbox.discard(&billing, &decision).await?, []);
/// assert_eq!(outbox.verify().await?, []); // nothing is wrong
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })
/// # }
/// # main().unwrap();
/// # }
/// ```
///
/// It is sealed, so that it may grow: only `sqlite::Outbox` and `postgres::Outbox`
/// implement it.
pub trait Admin: sealed::Sealed + Send + Sync {
    /// How many events there are in each state.
    fn counts(&self) -> impl Future<Output = Result<Counts, StoreError>> + Send;

    /// Up to `limit` dead letters that match a filter, oldest first.
    fn dead_letters(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DeadLetter>, StoreError>> + Send;

    /// The dead letters that match a filter and are not valid events, oldest first, each
    /// with the reason. They are not among the [`dead_letters`](Self::dead_letters), and
    /// no decision reaches them until their row is repaired.
    fn unreadable(
        &self,
        filter: &Filter,
    ) -> impl Future<Output = Result<Vec<Finding>, StoreError>> + Send;

    /// Up to `limit` events under way that match a filter, longest overdue first.
    fn waiting(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Waiting>, StoreError>> + Send;

    /// One event with everything that happened to it; `None` if the id is unknown.
    fn get(
        &self,
        id: &EventId,
    ) -> impl Future<Output = Result<Option<EventHistory>, StoreError>> + Send;

    /// Redrives the dead letters that match a filter: they are sent again, with all
    /// attempts of their policy.
    ///
    /// It works in pages, each a transaction of its own. If it is interrupted, call it
    /// again.
    #[doc(alias("replay", "requeue"))]
    fn redrive(
        &self,
        filter: &Filter,
        order: &Redrive,
    ) -> impl Future<Output = Result<Vec<(EventId, RedriveOutcome)>, StoreError>> + Send;

    /// Discards the dead letters that match a filter: they become `skipped`.
    fn discard(
        &self,
        filter: &Filter,
        decision: &Decision,
    ) -> impl Future<Output = Result<Vec<EventId>, StoreError>> + Send;

    /// Removes up to `limit` events that were done (acknowledged, processed or skipped)
    /// longer than `age` ago, with their history, and returns how many. Call it until it
    /// returns less than `limit`. Dead letters stay. It also forgets ordering keys of
    /// which no event was confirmed for more than three days.
    ///
    /// A purged id is new again: choose an `age` after which no source delivers its own
    /// event a second time.
    fn purge(
        &self,
        age: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Checks that the lifecycle leads along each history to its row, and that every
    /// entry of the history has its event. An empty list means that nothing is wrong.
    #[doc(alias = "reconciliation")]
    fn verify(&self) -> impl Future<Output = Result<Vec<Finding>, StoreError>> + Send;
}

/// How much an outbox holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// The events in each state; a state without any is left out.
    pub by_status: BTreeMap<DeliveryStatus, u64>,
    /// How many events that are not yet done have made each number of attempts.
    pub by_attempts: BTreeMap<u32, u64>,
    /// How long the longest overdue event has been due.
    pub oldest_due: Option<Duration>,
}

impl Counts {
    /// How many events are in one state.
    pub fn of(&self, status: DeliveryStatus) -> u64 {
        self.by_status.get(&status).copied().unwrap_or(0)
    }

    /// How many events are under way: pending, dispatched or retrying.
    pub fn under_way(&self) -> u64 {
        use DeliveryStatus::{Dispatched, Pending, Retrying};
        [Pending, Dispatched, Retrying]
            .into_iter()
            .fold(0, |sum, status| sum.saturating_add(self.of(status)))
    }

    /// How many events there are.
    pub fn total(&self) -> u64 {
        self.by_status.values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// An event under way: pending, dispatched or retrying.
#[derive(Debug)]
#[non_exhaustive]
pub struct Waiting {
    /// The event.
    pub event: AnyEnvelope,
    /// When its next attempt may begin; of a dispatched event, when its lease ends.
    pub due_at: DateTime<Utc>,
    /// The relay that is sending it, if it is dispatched.
    pub claimed_by: Option<String>,
    /// The earliest event of its ordering key that is not done and that it waits for,
    /// which may be a dead letter.
    pub behind: Option<EventId>,
}

/// An event, and everything that happened to it.
#[derive(Debug)]
#[non_exhaustive]
pub struct EventHistory {
    /// The event as it is now.
    pub event: AnyEnvelope,
    /// What happened to it, oldest first.
    pub entries: Vec<HistoryEntry>,
}

/// One thing that happened to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// When, by the database's clock.
    pub at: DateTime<Utc>,
    /// What was done.
    pub action: Action,
    /// Who did it: a relay or a person; `None` if it was a business transaction.
    pub by: Option<String>,
    /// The state after it.
    pub status: DeliveryStatus,
    /// The attempts after it.
    pub attempts: u32,
    /// Why, if a reason was given.
    pub reason: Option<String>,
}

/// A person's order to redrive dead letters.
///
/// ```
/// use integration_automation_patterns::Decision;
/// use integration_automation_patterns::outbox::Redrive;
/// use std::time::Duration;
///
/// let week = Duration::from_secs(7 * 24 * 60 * 60);
/// let order = Redrive::new(Decision::new("on-call", "billing is back")?, week);
/// assert!(!order.force && order.force().force);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// Who, and why.
    pub decision: Decision,
    /// How long the consumers' [inboxes](crate::inbox) remember an event: the shortest
    /// window, if they differ.
    pub dedup_window: Duration,
    /// Whether to redrive even events that the consumers may have forgotten. Such an
    /// event may take effect twice: say in the decision's reason why that does not
    /// matter.
    pub force: bool,
}

/// The outcome of a redrive for one dead letter. There is no third one, so that a match
/// needs no `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedriveOutcome {
    /// It is pending again.
    Redriven,
    /// It stays a dead letter.
    Refused(RedriveError),
}

/// A redrive was refused: the consumers may have processed this event and forgotten it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedriveError {
    /// When it was first sent.
    pub first_sent_at: DateTime<Utc>,
    /// How long its new attempts may take.
    pub horizon: Duration,
    /// How long consumers remember.
    pub dedup_window: Duration,
}

impl fmt::Display for RedriveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "it was first sent at {}, its new attempts may take {:?}, and its consumers \
             remember an event for {:?}: it could take effect twice (make sure that it \
             cannot, then redrive with `force`)",
            self.first_sent_at.format("%Y-%m-%d %H:%M:%S UTC"),
            self.horizon,
            self.dedup_window
        )
    }
}

impl std::error::Error for RedriveError {}

impl Redrive {
    /// A redrive of events that their consumers still remember.
    pub const fn new(decision: Decision, dedup_window: Duration) -> Self {
        Self { decision, dedup_window, force: false }
    }

    /// Redrives also events that the consumers may have forgotten.
    #[must_use = "this returns the changed order; the original is consumed"]
    pub fn force(self) -> Self {
        Self { force: true, ..self }
    }
}

/// An event whose row or history is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The event's id, or its sequence number if it has none.
    pub event: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.event, self.what)
    }
}
