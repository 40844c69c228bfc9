//! The steps of a delivery as types: its receipt, the fresh event in its transaction, and
//! the proofs of what is stored.

use std::fmt;
use std::future::{Future, Ready, ready};
use std::ops::ControlFlow;
use std::time::Duration;

use super::reply::Reply;
use crate::Envelope;
use crate::broker::{Ack, BrokerError, Stored};
use crate::state::Acknowledged;

/// The outcome of receiving a delivery. The list is complete: a consumer must handle
/// each.
#[must_use = "the delivery is not settled: handle the event, or ack or nack the rest"]
pub enum Receipt<Tx, A> {
    /// The event is new, or has another attempt: run the handler.
    New(Fresh<Tx, A>),
    /// The event was processed before, or is a dead letter of this inbox: ack the
    /// delivery.
    Duplicate(Committed<A>),
    /// The event was forestalled, and is to have no effect any more: ack the delivery.
    Forestalled(Committed<A>),
    /// The event is a dead letter of this inbox now: the
    /// [`InboxConfig`](super::InboxConfig) does not name its kind or version, or its
    /// attempts are spent. Ack the delivery.
    DeadLettered(Committed<A>),
    /// The event is [left](super::InboxConfig::leave_unknown) to a consumer that knows
    /// its kind and version: nack the delivery.
    RetryLater(RetryLater<A>),
}

impl<Tx, A> Receipt<Tx, A> {
    /// The event to handle, or else what is left to settle.
    pub(super) fn fresh(self) -> ControlFlow<Handled<A>, Fresh<Tx, A>> {
        ControlFlow::Break(match self {
            Self::New(fresh) => return ControlFlow::Continue(fresh),
            Self::Duplicate(committed) => Handled::Duplicate(committed),
            Self::Forestalled(committed) => Handled::Forestalled(committed),
            Self::DeadLettered(committed) => Handled::DeadLettered(committed),
            Self::RetryLater(later) => Handled::RetryLater(later),
        })
    }
}

impl<Tx, A> fmt::Debug for Receipt<Tx, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New(fresh) => fresh.fmt(f),
            Self::Duplicate(_) => f.write_str("Duplicate"),
            Self::Forestalled(_) => f.write_str("Forestalled"),
            Self::DeadLettered(_) => f.write_str("DeadLettered"),
            Self::RetryLater(later) => later.fmt(f),
        }
    }
}

/// An event to handle, with the transaction in which its effect belongs: the proof that
/// no effect of it is committed.
///
/// Dropped, it rolls back, and the event comes again.
#[must_use = "the effect is not committed: call `commit` or `fail`"]
pub struct Fresh<Tx, A> {
    pub(super) transaction: Tx,
    pub(super) event: Envelope<Acknowledged>,
    pub(super) reply: Reply<A>,
}

impl<Tx, A> Fresh<Tx, A> {
    /// The event.
    pub const fn event(&self) -> &Envelope<Acknowledged> {
        &self.event
    }

    /// Works in the span of this event's processing (feature `tracing`), so that what it
    /// logs, and what it enqueues, is part of the trace. `process` does so by itself.
    pub fn in_span<T>(&self, handler: impl FnOnce() -> T) -> T {
        self.reply.span().in_scope(handler)
    }

    /// Never compiles: its error tells a program that acks too early what to do instead.
    #[doc(hidden)]
    pub fn ack(self) -> Ready<Result<(), BrokerError>>
    where
        Self: Stored,
    {
        ready(Ok(()))
    }

    /// The same for an asynchronous handler.
    pub fn instrument<F: Future>(&self, handler: F) -> impl Future<Output = F::Output> {
        self.reply.span().instrument(handler)
    }
}

impl<Tx, A> fmt::Debug for Fresh<Tx, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fresh").field("event", &self.event).finish_non_exhaustive()
    }
}

/// The proof that the outcome of a delivery is committed: only this acks the delivery.
#[must_use = "the delivery is not acked, and the broker makes it again: call `ack`"]
pub struct Committed<A> {
    acker: A,
}

impl<A> Committed<A> {
    pub(super) const fn new(acker: A) -> Self {
        Self { acker }
    }
}

impl<A: Ack> Committed<A> {
    /// Acks the delivery: the broker does not deliver the event again.
    ///
    /// # Errors
    ///
    /// An error of the broker. Nothing is lost: the event comes again, as a duplicate.
    pub async fn ack(self) -> Result<(), BrokerError> {
        self.acker.ack().await
    }
}

impl<A> fmt::Debug for Committed<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committed").finish_non_exhaustive()
    }
}

/// The stored outcome of a delivery: [`settle`](Self::settle) acks or nacks it. The list
/// is complete.
#[must_use = "the delivery is neither acked nor nacked: call `settle`"]
pub enum Handled<A> {
    /// The effect is committed.
    Processed(Committed<A>),
    /// The event was processed before, or is a dead letter of this inbox.
    Duplicate(Committed<A>),
    /// The event was forestalled, and had no effect.
    Forestalled(Committed<A>),
    /// The event is a dead letter of this inbox now.
    DeadLettered(Committed<A>),
    /// The event comes again after a while: the failure of its handler is stored, or it
    /// is [left](super::InboxConfig::leave_unknown) to another consumer.
    RetryLater(RetryLater<A>),
    /// The inbox holds the event until the one before it is handled, for a worker that
    /// keeps an order (`WorkerConfig::order`).
    Held(Committed<A>),
}

impl<A> fmt::Debug for Handled<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processed(_) => f.write_str("Processed"),
            Self::Duplicate(_) => f.write_str("Duplicate"),
            Self::Forestalled(_) => f.write_str("Forestalled"),
            Self::DeadLettered(_) => f.write_str("DeadLettered"),
            Self::RetryLater(later) => later.fmt(f),
            Self::Held(_) => f.write_str("Held"),
        }
    }
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl<A> Handled<A> {
    /// The state of the event.
    pub(crate) const fn status(&self) -> crate::DeliveryStatus {
        use crate::DeliveryStatus;

        match self {
            Self::Processed(_) | Self::Duplicate(_) => DeliveryStatus::Processed,
            Self::Forestalled(_) => DeliveryStatus::Skipped,
            Self::DeadLettered(_) => DeliveryStatus::Failed,
            Self::RetryLater(_) | Self::Held(_) => DeliveryStatus::Retrying,
        }
    }
}

impl<A: Ack> Handled<A> {
    /// Acks the delivery, or nacks it if the event is to come again.
    ///
    /// # Errors
    ///
    /// An error of the broker. Nothing is lost: the event comes again.
    pub async fn settle(self) -> Result<(), BrokerError> {
        match self {
            Self::Processed(committed)
            | Self::Duplicate(committed)
            | Self::Forestalled(committed)
            | Self::DeadLettered(committed)
            | Self::Held(committed) => committed.ack().await,
            Self::RetryLater(later) => later.nack().await,
        }
    }
}

/// The proof that an event may come again: its failure is stored, or there is nothing to
/// store.
#[must_use = "the delivery is not nacked: call `nack`"]
pub struct RetryLater<A> {
    acker: A,
    after: Duration,
}

impl<A: Ack> RetryLater<A> {
    /// Nacks the delivery: it asks the broker to deliver the event again
    /// [`after`](Self::after) a wait.
    ///
    /// # Errors
    ///
    /// An error of the broker, which delivers the event again in its own time.
    pub async fn nack(self) -> Result<(), BrokerError> {
        self.acker.nack(self.after).await
    }
}

impl<A> RetryLater<A> {
    pub(super) const fn new(acker: A, after: Duration) -> Self {
        Self { acker, after }
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
