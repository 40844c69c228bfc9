//! `Record`: an envelope as plain data, and `rehydrate`, the one door back, where every
//! invariant is checked.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use chrono::{DateTime, Utc};

use super::erased::AnyEnvelope;
use super::event::sealed::Payload as _;
use super::event::{Body, BuildError, Payload, WrongEventError};
use super::facts::{Extras, Facts};
use super::history::{Decision, Failure, FailureClass, to_micros};
use super::id::EventId;
use super::state::{DeliveryStatus, State};
use super::{Envelope, builder};
use crate::refused::Refused;
use crate::retry::RetryPolicy;

/// An envelope as plain data: what is stored, listed and moved between processes.
///
/// Every field is public and nothing is checked, as in a row of a database. The way out
/// of an envelope is `From`, or [`Envelope::to_record`], which leaves it where it is; the
/// way back in is [`rehydrate`](Self::rehydrate), which checks everything.
///
/// `B` is the typed payload itself, or bytes.
///
/// ```
/// use integration_automation_patterns::{
///     DeliveryStatus, Envelope, RawEvent, Record,
/// };
///
/// let event =
///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
/// let record = Record::from(event.dispatch());
/// assert_eq!(record.status, DeliveryStatus::Dispatched);
/// assert_eq!(record.attempts, 1);
///
/// let back = record.clone().rehydrate()?;
/// assert_eq!(Record::from(back), record);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Record<B = Vec<u8>> {
    /// The idempotency key.
    pub id: EventId,
    /// What happened.
    pub event_type: Cow<'static, str>,
    /// The system that the event comes from.
    pub source_system: Cow<'static, str>,
    /// The business data.
    pub payload: B,
    /// The workflow, request or transaction that the event belongs to.
    pub correlation_id: Option<String>,
    /// The version of the payload's schema.
    pub schema_version: Cow<'static, str>,
    /// When the event was created.
    pub created_at: DateTime<Utc>,
    /// The state.
    pub status: DeliveryStatus,
    /// The number of attempts since the event was created or last redriven.
    pub attempts: u32,
    /// How the event is retried.
    pub retry_policy: RetryPolicy,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// The last failure of an attempt.
    pub failure: Option<Failure>,
    /// The last decision that gave a dead letter a new budget.
    pub redriven: Option<Decision>,
    /// The decision that discarded a dead letter.
    pub discarded: Option<Decision>,
}

impl<B: Body> Record<B> {
    /// The envelope that this record describes: the only way from stored data to an
    /// envelope.
    ///
    /// What is checked is listed at [`RehydrateError`]. A budget may have been lowered
    /// since the record was stored: more attempts than it allows are refused only where
    /// another attempt would follow.
    ///
    /// # Errors
    ///
    /// [`RehydrateError`], with the record given back as it was.
    ///
    /// ```
    /// use integration_automation_patterns::{Envelope, RawEvent, Record};
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// let mut record = Record::from(event);
    /// record.attempts = 2;
    ///
    /// let refused = record.rehydrate().unwrap_err();
    /// assert_eq!(
    ///     refused.to_string(),
    ///     "a pending event has made no attempt, and this record counts 2"
    /// );
    /// assert_eq!(refused.into_value().attempts, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rehydrate(
        self,
    ) -> Result<AnyEnvelope<B::Payload>, Refused<Self, RehydrateError>> {
        match self.check() {
            Ok(()) => {
                let status = self.status;
                Ok(AnyEnvelope::from_facts(self.into_facts(), status))
            }
            Err(cause) => Err(Refused::new(self, cause)),
        }
    }

    fn check(&self) -> Result<(), RehydrateError> {
        B::Payload::expect(&self.event_type, &self.schema_version)
            .map_err(RehydrateError::WrongEvent)?;
        builder::check::<B::Payload>(
            &self.event_type,
            &self.source_system,
            self.created_at,
        )
        .map_err(RehydrateError::Build)?;
        self.check_history()
    }

    /// Whether a walk through the lifecycle can have led here.
    fn check_history(&self) -> Result<(), RehydrateError> {
        use DeliveryStatus::*;

        let Self { status, attempts, .. } = *self;
        let (redriven, discarded) = (self.redriven.is_some(), self.discarded.is_some());
        match (status, attempts) {
            (Skipped, _) | (Pending, 0) => {}
            (Pending, _) => {
                return Err(RehydrateError::AttemptsWhilePending { attempts });
            }
            (_, 0) => return Err(RehydrateError::NeverAttempted { status }),
            _ => {}
        }
        let Some(failure) = &self.failure else {
            return match (status, attempts) {
                (Retrying | Failed, _) | (_, 2..) => {
                    Err(RehydrateError::FailureMissing { status, attempts })
                }
                _ if redriven || discarded => Err(RehydrateError::DecisionWithoutFailure),
                _ => Ok(()),
            };
        };
        if discarded && (status != Skipped || attempts == 0) {
            return Err(RehydrateError::DiscardedInVain { status, attempts });
        }
        let of_an_earlier_budget = match status {
            Pending => true,
            Dispatched | Acknowledged | Processed => attempts == 1,
            Skipped => attempts == 0,
            Retrying | Failed => false,
        };
        if of_an_earlier_budget && !redriven {
            return Err(RehydrateError::FailureTooEarly { status, attempts });
        }
        let budget_left = self.next_attempt_after(failure).is_some();
        match (status, failure.class) {
            (Retrying, FailureClass::Permanent) => Err(RehydrateError::RetryingForGood),
            (Retrying, FailureClass::Transient) if !budget_left => {
                Err(RehydrateError::NoBudgetLeft { attempts })
            }
            (Failed, FailureClass::Transient) if budget_left => {
                Err(RehydrateError::BudgetLeft { attempts })
            }
            (Skipped, FailureClass::Transient) if discarded && budget_left => {
                Err(RehydrateError::BudgetLeft { attempts })
            }
            (Skipped, FailureClass::Permanent)
                if !(discarded || redriven && attempts <= 1) =>
            {
                Err(RehydrateError::SkippedWithoutDecision)
            }
            (Dispatched | Acknowledged | Processed, FailureClass::Permanent)
                if !of_an_earlier_budget =>
            {
                Err(RehydrateError::SentAgainForGood { status })
            }
            _ => Ok(()),
        }
    }

    fn next_attempt_after(&self, failure: &Failure) -> Option<DateTime<Utc>> {
        let started_at =
            self.redriven.as_ref().map_or(to_micros(self.created_at), Decision::at);
        self.retry_policy.next_attempt_at(
            &self.id,
            self.attempts,
            started_at,
            to_micros(failure.at),
        )
    }

    fn into_facts(self) -> Facts<B::Payload> {
        let extras = Extras {
            correlation_id: self.correlation_id.filter(|text| !text.is_empty()),
            tags: self.tags,
            retry_policy: Some(self.retry_policy)
                .filter(|policy| *policy != B::Payload::default_retry_policy()),
            failure: self
                .failure
                .map(|failure| Failure { at: to_micros(failure.at), ..failure }),
            redriven: self.redriven,
            discarded: self.discarded,
        };
        Facts {
            id: self.id,
            source_system: self.source_system,
            extras: (extras != Extras::default()).then(|| Box::new(extras)),
            created_at: to_micros(self.created_at),
            attempts: self.attempts,
            payload: B::Payload::from_stored(
                self.event_type,
                self.schema_version,
                self.payload,
            ),
        }
    }
}

impl<P: Payload> AnyEnvelope<P> {
    /// A record of this moment, which leaves the envelope where it is: store it, then go
    /// on.
    ///
    /// ```
    /// use integration_automation_patterns::{
    ///     AnyEnvelope, DeliveryStatus, Envelope, RawEvent,
    /// };
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// let any = AnyEnvelope::from(event);
    /// assert_eq!(any.to_record().status, DeliveryStatus::Pending);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_record(&self) -> Record<P::Body>
    where
        P::Body: Clone,
    {
        Record::of(self, self.status(), self.payload().body().clone())
    }
}

impl<B> Record<B> {
    fn from_facts<P: Payload<Body = B>>(facts: Facts<P>, status: DeliveryStatus) -> Self {
        let retry_policy = facts.retry_policy();
        let extras = facts.extras.map(|extras| *extras).unwrap_or_default();
        let (event_type, schema_version, payload) = facts.payload.into_stored();
        Self {
            id: facts.id,
            event_type,
            source_system: facts.source_system,
            payload,
            correlation_id: extras.correlation_id,
            schema_version,
            created_at: facts.created_at,
            status,
            attempts: facts.attempts,
            retry_policy,
            tags: extras.tags,
            failure: extras.failure,
            redriven: extras.redriven,
            discarded: extras.discarded,
        }
    }

    /// A record of an envelope that goes on, with a payload of its own.
    pub(super) fn of<P: Payload>(
        facts: &Facts<P>,
        status: DeliveryStatus,
        payload: B,
    ) -> Self {
        Self {
            id: facts.id().clone(),
            event_type: facts.event_type().to_owned().into(),
            source_system: facts.source_system.clone(),
            payload,
            correlation_id: facts.correlation_id().map(str::to_owned),
            schema_version: facts.schema_version().to_owned().into(),
            created_at: facts.created_at(),
            status,
            attempts: facts.attempts(),
            retry_policy: facts.retry_policy(),
            tags: facts.tags().clone(),
            failure: facts.failure().cloned(),
            redriven: facts.redriven().cloned(),
            discarded: facts.discarded().cloned(),
        }
    }
}

impl<S: State, P: Payload> From<Envelope<S, P>> for Record<P::Body> {
    fn from(envelope: Envelope<S, P>) -> Self {
        Self::from_facts(envelope.facts, S::STATUS)
    }
}

impl<P: Payload> From<AnyEnvelope<P>> for Record<P::Body> {
    fn from(envelope: AnyEnvelope<P>) -> Self {
        let (facts, status) = envelope.into_facts();
        Self::from_facts(facts, status)
    }
}

impl<B> fmt::Debug for Record<B> {
    /// Everything but the payload and the tags, which may hold what no log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id)
            .field("event_type", &self.event_type)
            .field("source_system", &self.source_system)
            .field("correlation_id", &self.correlation_id)
            .field("schema_version", &self.schema_version)
            .field("created_at", &self.created_at)
            .field("status", &self.status)
            .field("attempts", &self.attempts)
            .field("retry_policy", &self.retry_policy)
            .field("failure", &self.failure)
            .field("redriven", &self.redriven)
            .field("discarded", &self.discarded)
            .finish_non_exhaustive()
    }
}

/// A record that no walk through the lifecycle can have led to.
///
/// ```
/// use integration_automation_patterns::{
///     DeliveryStatus, Envelope, RawEvent, Record, RehydrateError,
/// };
///
/// let event =
///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
/// let record = Record { status: DeliveryStatus::Processed, ..Record::from(event) };
/// let refused = record.rehydrate().unwrap_err();
/// assert_eq!(
///     *refused.cause(),
///     RehydrateError::NeverAttempted { status: DeliveryStatus::Processed }
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RehydrateError {
    /// What no envelope may be, whatever its state.
    Build(BuildError),
    /// The record is of another event than the payload type.
    WrongEvent(WrongEventError),
    /// A pending event with attempts.
    AttemptsWhilePending {
        /// The count in the record.
        attempts: u32,
    },
    /// A state that only an attempt leads to, without one.
    NeverAttempted {
        /// The status in the record.
        status: DeliveryStatus,
    },
    /// Retrying, failed, or a second attempt, and no failure that led there.
    FailureMissing {
        /// The status in the record.
        status: DeliveryStatus,
        /// The count in the record.
        attempts: u32,
    },
    /// A failure before any attempt can have failed, in an event that nobody redrove.
    FailureTooEarly {
        /// The status in the record.
        status: DeliveryStatus,
        /// The count in the record.
        attempts: u32,
    },
    /// Retrying, after a permanent failure.
    RetryingForGood,
    /// Sent again, after a permanent failure.
    SentAgainForGood {
        /// The status in the record.
        status: DeliveryStatus,
    },
    /// Retrying, with the budget of attempts or of time spent.
    NoBudgetLeft {
        /// The count in the record.
        attempts: u32,
    },
    /// Failed or discarded after a transient failure, with budget left.
    BudgetLeft {
        /// The count in the record.
        attempts: u32,
    },
    /// Skipped after a permanent failure, and nobody decided that.
    SkippedWithoutDecision,
    /// Redriven or discarded by a person, and never failed.
    DecisionWithoutFailure,
    /// Discarded by a person, and not skipped, or never attempted.
    DiscardedInVain {
        /// The status in the record.
        status: DeliveryStatus,
        /// The count in the record.
        attempts: u32,
    },
}

impl fmt::Display for RehydrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(cause) => cause.fmt(f),
            Self::WrongEvent(cause) => cause.fmt(f),
            Self::AttemptsWhilePending { attempts } => {
                write!(f, "a pending event has made no attempt, and this record counts {attempts}")
            }
            Self::NeverAttempted { status } => {
                write!(f, "a {status} event has made at least 1 attempt, and this record counts 0")
            }
            Self::FailureMissing { status, attempts } => write!(
                f,
                "a {status} event with {attempts} attempts has had a failure, and this record holds none: \
                 give its class, reason and time (of an import, say so)"
            ),
            Self::FailureTooEarly { status, attempts } => write!(
                f,
                "a {status} event with {attempts} attempts that nobody redrove has had no failure, and this record \
                 holds one"
            ),
            Self::RetryingForGood => {
                f.write_str("a retrying event has had a transient failure, and this record holds a permanent one")
            }
            Self::SentAgainForGood { status } => {
                write!(f, "a permanent failure allows no further attempt, and this record is {status} after one")
            }
            Self::NoBudgetLeft { attempts } => write!(
                f,
                "a retrying event has budget left, and this record's {attempts} attempts (or the time since) spent it"
            ),
            Self::BudgetLeft { attempts } => write!(
                f,
                "a transient failure leads to failed when the budget is spent, and this record's {attempts} attempts \
                 leave some"
            ),
            Self::SkippedWithoutDecision => f.write_str(
                "only a person skips an event that failed for good, and this record holds nobody's decision",
            ),
            Self::DecisionWithoutFailure => {
                f.write_str("a person decides on an event that failed, and this record holds no failure")
            }
            Self::DiscardedInVain { status, attempts } => write!(
                f,
                "an event that was discarded has been attempted and is skipped, and this record is {status} with \
                 {attempts} attempts"
            ),
        }
    }
}

impl Error for RehydrateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Build(cause) => cause.source(),
            Self::WrongEvent(cause) => cause.source(),
            _ => None,
        }
    }
}
