//! The outbox as people see it: counts, dead letters and what is decided about them,
//! retention, and the check of rows and histories.

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

/// What people ask of an outbox, and decide.
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
/// It is sealed: `sqlite::Outbox` and `postgres::Outbox` implement it, and nothing outside
/// this crate can, so that it may grow.
pub trait Admin: sealed::Sealed + Send + Sync {
    /// How much there is, in each state.
    fn counts(&self) -> impl Future<Output = Result<Counts, StoreError>> + Send;

    /// The dead letters that a filter names, the oldest first, no more than `limit`.
    fn dead_letters(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DeadLetter>, StoreError>> + Send;

    /// The dead letters that a filter names and that are no valid event, the oldest
    /// first, each with the reason. They are not among the
    /// [`dead_letters`](Self::dead_letters), and no decision reaches them until their row
    /// is repaired.
    fn unreadable(
        &self,
        filter: &Filter,
    ) -> impl Future<Output = Result<Vec<Finding>, StoreError>> + Send;

    /// The events under way that a filter names, the one that has been due longest first,
    /// no more than `limit`.
    fn waiting(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Waiting>, StoreError>> + Send;

    /// One event with all that happened to it; nothing where there is none of this id.
    fn get(
        &self,
        id: &EventId,
    ) -> impl Future<Output = Result<Option<EventHistory>, StoreError>> + Send;

    /// Sends the dead letters that a filter names again, with all attempts of their
    /// policy.
    ///
    /// It goes in pages, each a transaction of its own: a redrive that is interrupted is
    /// simply called again.
    #[doc(alias("replay", "requeue"))]
    fn redrive(
        &self,
        filter: &Filter,
        order: &Redrive,
    ) -> impl Future<Output = Result<Vec<(EventId, RedriveOutcome)>, StoreError>> + Send;

    /// Discards the dead letters that a filter names: they become `skipped`.
    fn discard(
        &self,
        filter: &Filter,
        decision: &Decision,
    ) -> impl Future<Output = Result<Vec<EventId>, StoreError>> + Send;

    /// Removes up to `limit` events that were done (acknowledged, processed or skipped)
    /// longer than `age` ago, with their history, and says how many: call it until it
    /// says less than `limit`. Dead letters stay. Ordering keys are forgotten of which no
    /// event was confirmed for more than three days.
    ///
    /// An id that is purged is new again: let `age` be longer than any source may deliver
    /// its own event a second time.
    fn purge(
        &self,
        age: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Checks rows and histories: every row is an event that a walk through the lifecycle
    /// leads to, and every entry of the history has its event and leads to the next.
    /// Where the list is empty, nothing is wrong.
    #[doc(alias = "reconciliation")]
    fn verify(&self) -> impl Future<Output = Result<Vec<Finding>, StoreError>> + Send;
}

/// How much an outbox holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// The events in each state; a state without any is left out.
    pub by_status: BTreeMap<DeliveryStatus, u64>,
    /// The number of events that have made so many attempts, of those not yet done.
    pub by_attempts: BTreeMap<u32, u64>,
    /// How long the event that has been due longest has been so.
    pub oldest_due: Option<Duration>,
}

impl Counts {
    /// The events in one state.
    pub fn of(&self, status: DeliveryStatus) -> u64 {
        self.by_status.get(&status).copied().unwrap_or(0)
    }

    /// The events that a relay still has to do with: pending, dispatched or retrying.
    pub fn under_way(&self) -> u64 {
        use DeliveryStatus::{Dispatched, Pending, Retrying};
        [Pending, Dispatched, Retrying]
            .into_iter()
            .fold(0, |sum, status| sum.saturating_add(self.of(status)))
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.by_status.values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// An event that a relay still has to do with: pending, dispatched or retrying.
#[derive(Debug)]
#[non_exhaustive]
pub struct Waiting {
    /// The event.
    pub event: AnyEnvelope,
    /// When its next attempt may begin; of a dispatched event, when its lease ends.
    pub due_at: DateTime<Utc>,
    /// Who is sending it, where it is dispatched.
    pub claimed_by: Option<String>,
    /// The first event of its ordering key before it that is not done: it waits for that
    /// one too, which may be a dead letter.
    pub behind: Option<EventId>,
}

/// An event, and all that happened to it.
#[derive(Debug)]
#[non_exhaustive]
pub struct EventHistory {
    /// The event as it is now.
    pub event: AnyEnvelope,
    /// What happened to it, the oldest first.
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
    /// Who: the worker, the person, or nobody where a business transaction did it.
    pub by: Option<String>,
    /// The state after it.
    pub status: DeliveryStatus,
    /// The attempts after it.
    pub attempts: u32,
    /// Why, where somebody said so.
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
    /// window where they differ.
    pub dedup_window: Duration,
    /// Redrive even what the consumers may have forgotten. Such an event may take effect
    /// twice: say in the decision's reason why that does not matter.
    pub force: bool,
}

/// What became of one dead letter that was to be redriven. There is no third outcome, so
/// that a match needs no `_`.
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
    /// The redrive of events whose consumers still know them.
    pub const fn new(decision: Decision, dedup_window: Duration) -> Self {
        Self { decision, dedup_window, force: false }
    }

    /// The same, of those too that consumers may have forgotten.
    #[must_use = "this returns the changed order; the original is consumed"]
    pub fn force(self) -> Self {
        Self { force: true, ..self }
    }
}

/// An event whose row or history is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The event's id, or its sequence number where there is none.
    pub event: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.event, self.what)
    }
}
