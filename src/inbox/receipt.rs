//! The steps of a delivery as types: a receipt, the first delivery with its transaction,
//! and the proofs of what is stored.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::Envelope;
use crate::audit::AuditTrail;
use crate::broker::{Ack, BrokerError};
use crate::hop::Hop;
use crate::state::Acknowledged;

/// What an inbox says of a delivery. The list is complete: a consumer must handle each.
#[must_use = "nothing has happened yet: have the effect and commit, or confirm the duplicate"]
pub enum Receipt<Tx, A> {
    /// It had no effect so far: this is the one.
    New(Fresh<Tx, A>),
    /// Its effect is stored already, or it is among the dead letters of this inbox.
    Duplicate(Committed<A>),
    /// It is of a kind or version that the [`InboxConfig`](super::InboxConfig) do not
    /// name, or its attempts are spent: it is a dead letter now.
    Rejected(Committed<A>),
    /// It is [left](super::InboxConfig::leave_unknown) to a consumer that knows its kind
    /// and version.
    Left(RetryLater<A>),
}

impl<Tx, A> fmt::Debug for Receipt<Tx, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New(first) => first.fmt(f),
            Self::Duplicate(_) => f.write_str("Duplicate"),
            Self::Rejected(_) => f.write_str("Rejected"),
            Self::Left(again) => f.debug_tuple("Left").field(again).finish(),
        }
    }
}

/// The proof that a delivery is the first of its event, with the transaction in which the
/// effect belongs.
///
/// Dropped, it rolls back, and the event comes again.
#[must_use = "the effect is not committed: call `commit`, or `fail`, or `reject`"]
pub struct Fresh<Tx, A> {
    pub(crate) transaction: Tx,
    /// Whether it is known to be no savepoint in another one.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "a savepoint of SQLite is a type of its own")
    )]
    pub(crate) outermost: bool,
    pub(crate) event: Envelope<Acknowledged>,
    pub(crate) answer: A,
    pub(crate) hop: Hop,
    pub(crate) trail: AuditTrail,
}

impl<Tx, A> Fresh<Tx, A> {
    /// The event: this process holds it, and nothing was done yet.
    pub const fn event(&self) -> &Envelope<Acknowledged> {
        &self.event
    }

    /// The transaction in which the effect belongs.
    pub const fn transaction(&self) -> &Tx {
        &self.transaction
    }

    /// Works in the span of this event's processing (feature `tracing`), so that what it
    /// logs, and what it enqueues, is part of the trace. `process` does so by itself.
    pub fn in_span<T>(&self, effect: impl FnOnce() -> T) -> T {
        self.hop.in_scope(effect)
    }

    /// The same of an effect that waits.
    pub fn instrument<F: Future>(&self, effect: F) -> impl Future<Output = F::Output> {
        self.hop.instrument(effect)
    }
}

impl<Tx, A> fmt::Debug for Fresh<Tx, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fresh").field("event", &self.event).finish_non_exhaustive()
    }
}

/// The proof that what became of a delivery is committed: only with it can the broker be
/// told.
#[must_use = "the broker was not told, and delivers the event again: call `ack`"]
pub struct Committed<A> {
    answer: A,
}

impl<A> Committed<A> {
    pub(crate) const fn new(answer: A) -> Self {
        Self { answer }
    }
}

impl<A: Ack> Committed<A> {
    /// Tells the broker that the event is dealt with.
    ///
    /// # Errors
    ///
    /// What the broker answers. Nothing is lost by it: the event comes again, as a
    /// duplicate.
    pub async fn ack(self) -> Result<(), BrokerError> {
        self.answer.ack().await
    }
}

impl<A> fmt::Debug for Committed<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committed").finish_non_exhaustive()
    }
}

/// What is stored of a delivery, to tell the broker. The list is complete:
/// [`settle`](Self::settle) handles each.
#[must_use = "the broker was not told: call `tell`"]
pub enum Handled<A> {
    /// The effect is committed.
    Processed(Committed<A>),
    /// It was a duplicate.
    Duplicate(Committed<A>),
    /// It is a dead letter of this inbox now.
    DeadLettered(Committed<A>),
    /// The event shall come again after a while: its effect failed for the moment, which
    /// is stored, or it is [left](super::InboxConfig::leave_unknown) to another consumer.
    RetryLater(RetryLater<A>),
}

impl<A> fmt::Debug for Handled<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processed(_) => f.write_str("Processed"),
            Self::Duplicate(_) => f.write_str("Duplicate"),
            Self::DeadLettered(_) => f.write_str("DeadLettered"),
            Self::RetryLater(again) => again.fmt(f),
        }
    }
}

impl<A: Ack> Handled<A> {
    /// Tells the broker.
    ///
    /// # Errors
    ///
    /// What the broker answers. Nothing is lost by it: the event comes again.
    pub async fn settle(self) -> Result<(), BrokerError> {
        match self {
            Self::Processed(committed)
            | Self::Duplicate(committed)
            | Self::DeadLettered(committed) => committed.ack().await,
            Self::RetryLater(again) => again.nack().await,
        }
    }
}

/// The proof that an event may come again: its failed effect is on record, or there is
/// nothing to record.
#[must_use = "the broker was not told: call `retry`"]
pub struct RetryLater<A> {
    answer: A,
    after: Duration,
}

impl<A: Ack> RetryLater<A> {
    /// Asks the broker to deliver the event again, after the wait that the inbox's rules
    /// give.
    ///
    /// # Errors
    ///
    /// What the broker answers. It delivers the event again anyhow, in its own time.
    pub async fn nack(self) -> Result<(), BrokerError> {
        self.answer.nack(self.after).await
    }
}

impl<A> RetryLater<A> {
    pub(crate) const fn new(answer: A, after: Duration) -> Self {
        Self { answer, after }
    }

    /// How long the broker is asked to wait.
    pub const fn after(&self) -> Duration {
        self.after
    }
}

impl<A> fmt::Debug for RetryLater<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryLater").field("after", &self.after).finish_non_exhaustive()
    }
}
