//! The outbox: events that wait, in the database of the business transaction that wrote
//! them, for a relay to send them.
//!
//! An event is enqueued in the caller's open transaction, so that it is there if and only
//! if the business change is. A [`Relay`](crate::relay::Relay) claims due events under a
//! lease, sends them, and settles what came of each. All that the relay does to a row
//! after its claim carries the claim's token: a worker that was too slow gets
//! [`LeaseLostError`], and changes nothing.
//!
//! | who | calls | and the row goes |
//! |---|---|---|
//! | the business transaction | `enqueue` | to `pending` |
//! | the relay | [`Store::claim`] | to `dispatched`: the attempt is counted before the send |
//! | the relay | [`Store::settle`] | to `acknowledged`, `retrying`, `failed` or `skipped` |
//! | the relay, when it has not sent | [`Store::settle`] with [`Claim::release`] | to where it was; the attempt is not counted |
//! | any relay, when a lease has ended | [`Store::claim`] | to `retrying` or `failed`: the attempt failed |
//! | a person | [`Admin::redrive`], [`Admin::discard`] | to `pending`, `skipped` |
//!
//! The database's clock decides what is due and when a lease ends. In PostgreSQL this is
//! the server's: the clocks of producers and relays may be wrong by hours. In SQLite it
//! is that of the one machine which has the file, and all of whose processes share it.
//! What a clock costs that is set meanwhile is said in [the
//! guide](crate::guide::operating#clocks).

#![doc(alias("transactional outbox", "at-least-once"))]

mod admin;
mod aside;
mod books;
pub(crate) mod change;
mod claim;
pub(crate) mod columns;
mod front;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub mod postgres;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub mod sqlite;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use static_assertions::{assert_impl_all, assert_not_impl_any};

pub use self::admin::{
    Admin, Counts, DeadLetter, Filter, Finding, HistoryEntry, Redrive, RedriveError,
    RedriveOutcome, Waiting,
};
pub use self::claim::{Claim, LeaseLostError, Settlement};
pub(crate) use self::claim::{Lease, Token, storable};
use crate::reason::reason;

assert_impl_all!(Claim: Send, Sync);
assert_not_impl_any!(Claim: Clone);
assert_not_impl_any!(Settlement: Clone);

/// What a relay needs of a database.
///
/// It is sealed: `sqlite::Outbox` and `postgres::Outbox` implement it, and nothing outside
/// this crate can, so that it may grow. To call it, for a relay of your own, is fine.
pub trait Store: sealed::Sealed + Send + Sync + 'static {
    /// Claims up to `order.limit` due events, the one that has waited longest first, and
    /// counts an attempt of each.
    ///
    /// Before that, events whose lease has ended are failed, and go to `retrying` or
    /// `failed` as their policy says. An event with an ordering key is due only when no
    /// earlier one of its key is under way: one that is found blocked so is put aside
    /// until the earlier one is over, and costs later claims nothing.
    fn claim(
        &self,
        order: &ClaimOrder,
    ) -> impl Future<Output = Result<Claimed, StoreError>> + Send;

    /// Stores what became of claimed events, in one transaction.
    ///
    /// The answer names the events whose lease had ended: nothing was stored of those.
    /// Where the statement as a whole fails, nothing is stored of any, and the
    /// settlements can be tried again.
    fn settle(
        &self,
        settlements: &[Settlement],
    ) -> impl Future<Output = Result<Vec<LeaseLostError>, StoreError>> + Send;

    /// Lets the leases of events that are still being sent last `lease` from now. The
    /// answer as of [`settle`](Self::settle).
    fn renew(
        &self,
        held: &[HeldLease],
        lease: Duration,
    ) -> impl Future<Output = Result<Vec<LeaseLostError>, StoreError>> + Send;

    /// Waits until there may be something to claim, and no longer than `at_most`. It is a
    /// hint: who relies on it alone misses events.
    fn wait(&self, at_most: Duration) -> impl Future<Output = ()> + Send;
}

pub(crate) mod sealed {
    /// What this crate's own outboxes are.
    pub trait Sealed {}
}

/// What a relay asks of a store.
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
    /// Who claims, as the audit trail will say it.
    pub worker: String,
    /// How many events at the most.
    pub limit: usize,
    /// How long the claim holds, by the database's clock, unless it is renewed.
    pub lease: Duration,
    /// What an event that failed for good does to the later ones of its ordering key.
    pub on_dead_letter: OnDeadLetter,
    /// Event types to leave where they are: the broker takes none of them for now.
    pub except: Vec<String>,
    /// The one type of event to claim, where that is not any: to try whether the broker
    /// takes it again.
    pub only: Option<String>,
}

impl ClaimOrder {
    /// An order of any type of event, where a dead letter blocks its ordering key.
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

/// What a store answers to a claim.
#[derive(Debug, Default)]
#[non_exhaustive]
#[must_use = "claimed events wait for their settlement until the lease ends"]
pub struct Claimed {
    /// The events to send.
    pub claims: Vec<Claim>,
    /// The events of relays that did not settle in time, as they are now.
    pub expired: Vec<crate::AnyEnvelope>,
    /// Rows that are no valid event, each with the reason. They are dead letters now.
    pub quarantined: Vec<(String, String)>,
    /// How many events were put aside, as an earlier one of their key is under way. Where
    /// there are any, the next claim may find more events, even if this one found few.
    pub blocked: usize,
}

/// A lease that a relay still holds, to be renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLease {
    pub(crate) lease: Lease,
    pub(crate) event: crate::EventId,
}

/// A database did not do what it was asked.
pub struct StoreError {
    doing: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl StoreError {
    pub(crate) fn new(
        doing: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { doing, source: source.into() }
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("doing", &self.doing)
            .field("source", &self.source)
            .finish()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, reason(&*self.source))?;
        #[cfg(feature = "postgres")]
        if let Some(hint) = crate::postgres::hint(&*self.source) {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

/// What enqueuing did. There is no third outcome, so that a match needs no `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// The event is in the outbox, once the transaction is committed.
    New,
    /// An event of this id, from the same system and of the same type, was there before:
    /// it is the same event, and there is still one of it. (Payloads are not compared.)
    Duplicate,
}
