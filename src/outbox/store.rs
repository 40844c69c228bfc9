//! What a relay asks of its database, and what the database answers.

use std::future::Future;
use std::time::Duration;

use super::admin::Finding;
use super::claim::{Claim, HeldLease, LeaseLostError, Settlement};
use crate::AnyEnvelope;
use crate::store::StoreError;

/// What a relay needs of a database.
///
/// It is sealed: only `sqlite::Outbox` and `postgres::Outbox` implement it. A relay
/// relies on more than the methods say: the database's clock ends leases, tokens fence
/// every later write, and keys keep their order through late commits. You may call it
/// from a relay of your own. Events of another database are
/// [forwarded](crate::guide::drivers#a-database-that-is-none-of-the-two) into one of
/// these.
#[diagnostic::on_unimplemented(
    message = "a relay cannot claim events from `{Self}`",
    label = "needs an outbox: `outbox::sqlite::Outbox::open(..)`, `outbox::postgres::Outbox::connect(..)`"
)]
pub trait Store: sealed::Sealed + Send + Sync + 'static {
    /// Claims up to `order.limit` due events, longest overdue first, and counts an
    /// attempt of each.
    ///
    /// First it fails the attempts whose lease has ended: their events go to `retrying`
    /// or `failed`, as their policy says. An event with an ordering key is due only while
    /// no earlier event of its key is under way. A claim sets a blocked event aside until
    /// the earlier one is over, so that it costs later claims nothing.
    fn claim(
        &self,
        order: &ClaimOrder,
    ) -> impl Future<Output = Result<Claimed, StoreError>> + Send;

    /// Stores what became of claimed events, in one transaction.
    ///
    /// The answer names the events whose lease had ended: nothing was stored of those.
    /// After an error, or if the caller did not wait for the answer, all or none are
    /// stored. Call it again with the same settlements: what is stored already counts as
    /// stored, and is not stored twice.
    fn settle(
        &self,
        settlements: &[Settlement],
    ) -> impl Future<Output = Result<Vec<LeaseLostError>, StoreError>> + Send;

    /// Extends the leases of events that are still being sent to `lease` from now. It
    /// answers as [`settle`](Self::settle) does.
    fn renew(
        &self,
        held: &[HeldLease],
        lease: Duration,
    ) -> impl Future<Output = Result<Vec<LeaseLostError>, StoreError>> + Send;

    /// Waits until there may be something to claim, but no longer than `at_most`. It is a
    /// hint: a relay that relies on it alone misses events.
    fn wait(&self, at_most: Duration) -> impl Future<Output = ()> + Send;
}

pub(crate) mod sealed {
    /// An outbox of this crate.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be a store of a relay: only the outboxes of this crate keep what it relies on",
        label = "forward its events into an outbox of SQLite or PostgreSQL: the guide's chapter on drivers shows how"
    )]
    pub trait Sealed {}
}

/// What a relay asks for in a claim.
///
/// ```
/// use integration_automation_patterns::outbox::{ClaimOrder, OnDeadLetter};
/// use std::time::Duration;
///
/// let mut order = ClaimOrder::new("relay-1", 100, Duration::from_secs(30));
/// assert_eq!(order.on_dead_letter, OnDeadLetter::Block);
/// order.except.push("billing.invoice.issued".to_owned());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClaimOrder {
    /// The name of the relay, as the audit trail shows it.
    pub worker: String,
    /// The most events to claim.
    pub limit: usize,
    /// How long the claim holds, by the database's clock, unless it is renewed.
    pub lease: Duration,
    /// What an event that failed for good does to the later ones of its ordering key.
    pub on_dead_letter: OnDeadLetter,
    /// Event types to leave alone, since the broker takes none of them for now.
    pub except: Vec<String>,
    /// The only event type to claim, if set: to find out whether the broker takes it
    /// again.
    pub only: Option<String>,
}

impl ClaimOrder {
    /// A claim of any type of event, in which a dead letter blocks its ordering key.
    pub fn new(worker: impl Into<String>, limit: usize, lease: Duration) -> Self {
        Self {
            worker: worker.into(),
            limit,
            lease,
            on_dead_letter: OnDeadLetter::default(),
            except: Vec::new(),
            only: None,
        }
    }
}

/// What an event that failed for good does to the later ones of its ordering key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDeadLetter {
    /// They wait until a person has redriven or discarded it. Other keys go on.
    #[default]
    Block,
    /// They go on without it.
    Skip,
}

/// The answer to a claim.
#[derive(Debug, Default)]
#[non_exhaustive]
#[must_use = "claimed events wait for their settlement until the lease ends"]
pub struct Claimed {
    /// The events to send.
    pub claims: Vec<Claim>,
    /// The events of relays that did not settle in time, as they are now.
    pub expired: Vec<AnyEnvelope>,
    /// Rows that are not valid events. They are dead letters now.
    pub quarantined: Vec<Finding>,
    /// How many events were set aside because an earlier one of their key is under way.
    /// If there are any, the next claim may find more events, even if this one found few.
    pub blocked: usize,
}
