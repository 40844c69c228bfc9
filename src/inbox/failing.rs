//! An event that fails on its way through the inbox: what the retry policy makes of it,
//! and what follows where its transaction has ended before that is stored.

use chrono::{DateTime, Utc};

use super::config::Refusal;
use super::entry::{Entry, LastAttempt};
use super::handler_error::is_of_the_database;
use super::reply::Reply;
use super::{Committed, Handled, HandlerError, RetryLater};
use crate::reason::reason;
use crate::state::{Acknowledged, Failed};
use crate::store::{Row, StoreError, StoreErrorKind, storable};
use crate::trace::End;
use crate::{AnyEnvelope, DeliveryStatus, Envelope, Facts, FailureClass, RawEvent};

/// What an error says was being done.
const HANDLING: &str = "running the handler";
const COMMITTING: &str = "committing an effect";
pub(crate) const STORING: &str = "storing a failure";

/// An event that is about to fail, and why.
#[derive(Debug)]
pub(crate) enum Failing {
    /// The inbox does not admit it; if it is unknown, another configuration may.
    Refused { event: Envelope<Acknowledged>, reason: String, is_unknown: bool },
    /// Its attempts are spent.
    Spent(Envelope<Failed>),
    /// Its handler failed.
    Handler { event: Envelope<Acknowledged>, error: HandlerError },
}

impl Failing {
    pub(crate) fn refused(event: Envelope<Acknowledged>, refusal: Refusal) -> Self {
        let Refusal { reason, is_unknown, .. } = refusal;
        Self::Refused { event, reason, is_unknown }
    }

    /// The event as it is after its failure, at this time of the database.
    pub(crate) fn at(self, at: DateTime<Utc>) -> Outcome {
        let mut last_attempt = LastAttempt::Ended;
        let (event, end) = match self {
            Self::Refused { event, reason, is_unknown } => {
                if is_unknown {
                    last_attempt = LastAttempt::Unknown;
                }
                (event.reject_at(storable(reason), at).into(), End::DeadLettered)
            }
            Self::Spent(event) => {
                // Its last attempt may be under way all the same.
                last_attempt = LastAttempt::Begun;
                (event.into(), End::Transient)
            }
            Self::Handler { event, error } => {
                let (class, reason) = (error.class, storable(error.reason));
                let event = match class {
                    FailureClass::Transient => event.fail_at(reason, at).into(),
                    FailureClass::Permanent => event.reject_at(reason, at).into(),
                };
                (event, class.into())
            }
        };
        Outcome { event, at, end, last_attempt }
    }
}

/// What has become of an event that failed: it waits for another attempt, or is a dead
/// letter. To be reported once it is stored.
#[derive(Debug)]
pub(crate) struct Outcome {
    event: AnyEnvelope,
    at: DateTime<Utc>,
    end: End,
    last_attempt: LastAttempt,
}

impl Outcome {
    /// What is to be stored of it. If the inbox holds the event, it makes the next
    /// attempt by itself.
    pub(crate) fn entry(&self) -> Entry {
        let due_at = match &self.event {
            AnyEnvelope::Retrying(event) => Some(event.next_attempt_at()),
            _ => None,
        };
        Entry { row: Row::of(&self.event), last_attempt: self.last_attempt, due_at }
    }

    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn event(&self) -> &Facts<RawEvent> {
        &self.event
    }

    /// Reports the failure: the broker delivers the event again, or never.
    pub(crate) fn report<A>(self, reply: Reply<A>) -> Handled<A> {
        let Self { event, at, .. } = &self;
        match event {
            AnyEnvelope::Retrying(event) => {
                let wait = event.next_attempt_at().signed_duration_since(at);
                let wait = wait.to_std().unwrap_or_default();
                Handled::RetryLater(RetryLater::new(self.failed(reply), wait))
            }
            _ if reply.is_buried() => Handled::Duplicate(reply.duplicate(event, *at)),
            _ => Handled::DeadLettered(self.bury(reply)),
        }
    }

    /// Reports a dead letter.
    pub(crate) fn bury<A>(self, reply: Reply<A>) -> Committed<A> {
        Committed::new(self.failed(reply))
    }

    fn failed<A>(&self, reply: Reply<A>) -> A {
        reply.failed(&self.event, self.at, self.end)
    }
}

/// Why an attempt has neither its effect nor its failure stored.
pub(crate) enum Unkept<A> {
    /// It is no fault of the event: there is nothing to store.
    Untouched(StoreError),
    /// The failure is to be stored in a transaction of its own.
    Ended(Box<Ended<A>>),
}

/// An attempt whose transaction has ended without its effect.
pub(crate) struct Ended<A> {
    failing: Failing,
    reply: Reply<A>,
    /// What `process` returns where the failure is not stored.
    error: StoreError,
    by: EndedBy,
}

/// Who ended a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndedBy {
    Inbox,
    /// The handler, by SQL. It may have committed, and the event with it.
    Handler,
}

/// What an error says of a transaction that its handler has ended.
const ENDED: &str = "the transaction has ended already, by SQL of the handler or by a \
     rollback that the database made: what was committed by then stays, and where the \
     event was among it, it comes again as a duplicate (leave BEGIN, COMMIT and ROLLBACK \
     to the inbox)";

impl<A> Unkept<A> {
    /// The handler failed, and its failure spends no attempt.
    pub(crate) fn of_no_attempt(error: HandlerError) -> Self {
        let kind = error.kind.unwrap_or(StoreErrorKind::Other);
        Self::Untouched(StoreError::of(kind, HANDLING, error.reason))
    }

    /// The handler succeeded, and the commit failed.
    pub(crate) fn of_commit<E>(
        error: E,
        by: EndedBy,
        event: Envelope<Acknowledged>,
        reply: Reply<A>,
    ) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let error = match by {
            EndedBy::Handler => {
                StoreError::of(StoreErrorKind::TransactionEnded, COMMITTING, ENDED)
            }
            EndedBy::Inbox => StoreError::new(COMMITTING, error),
        };
        if is_of_the_database(&error) {
            return Self::Untouched(error);
        }
        let why = HandlerError::transient(reason(&error));
        let failing = Failing::Handler { event, error: why };
        Self::Ended(Box::new(Ended { failing, reply, error, by }))
    }

    /// The handler failed, and had ended the transaction.
    pub(crate) fn of_handler(
        why: HandlerError,
        event: Envelope<Acknowledged>,
        reply: Reply<A>,
    ) -> Self {
        let told = format!("{ENDED}; the handler failed: {}", why.reason);
        Self::Ended(Box::new(Ended {
            failing: Failing::Handler { event, error: why },
            reply,
            error: StoreError::of(StoreErrorKind::TransactionEnded, STORING, told),
            by: EndedBy::Handler,
        }))
    }

    pub(crate) fn into_error(self) -> StoreError {
        match self {
            Self::Untouched(error) => error,
            Self::Ended(ended) => ended.error,
        }
    }
}

/// What follows of an [`Ended`] attempt, by what its row says meanwhile.
pub(crate) struct Late<A> {
    reply: Reply<A>,
    error: StoreError,
    by: EndedBy,
}

impl<A> Ended<A> {
    pub(crate) fn into_parts(self) -> (Failing, Late<A>) {
        let Self { failing, reply, error, by } = self;
        (failing, Late { reply, error, by })
    }
}

/// What the row of an event says to a failure that is stored after its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    /// The failure is the last thing that happened to the event: it is to be stored.
    Nothing,
    /// Another delivery has begun or failed a later attempt.
    Retried,
    /// The event is a dead letter, and counted as one.
    Buried,
    /// Another consumer processed the event, or this handler itself committed by SQL; or
    /// a person discarded it.
    Done,
}

impl Meanwhile {
    /// Reads the row, locked until the failure is stored.
    pub(crate) fn of(now: Option<&Entry>, outcome: &Outcome) -> Self {
        let Some(Entry { row, .. }) = now else { return Self::Nothing };
        let attempts = i64::from(outcome.event.attempts());
        let is_over = !matches!(outcome.event, AnyEnvelope::Retrying(_));
        match row.status.parse() {
            Ok(DeliveryStatus::Retrying) if row.attempts > attempts && !is_over => {
                Self::Retried
            }
            Ok(DeliveryStatus::Retrying) => Self::Nothing,
            Ok(DeliveryStatus::Failed) => Self::Buried,
            _ => Self::Done,
        }
    }
}

impl<A> Late<A> {
    /// Reports the failure, which is stored if nothing happened meanwhile: no failure is
    /// counted twice.
    ///
    /// # Errors
    ///
    /// The handler has ended the transaction, and the event is done.
    pub(crate) fn report(
        self,
        outcome: Outcome,
        meanwhile: Meanwhile,
    ) -> Result<Handled<A>, StoreError> {
        match (meanwhile, self.by) {
            (Meanwhile::Nothing | Meanwhile::Retried, _) => {
                Ok(outcome.report(self.reply))
            }
            (Meanwhile::Done, EndedBy::Handler) => Err(self.error),
            (Meanwhile::Buried | Meanwhile::Done, _) => {
                Ok(Handled::Duplicate(self.reply.duplicate(&outcome.event, outcome.at)))
            }
        }
    }
}
