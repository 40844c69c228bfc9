//! A reply as it arrives: of which type, and whether it can be read.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::wire::{Wire, WireError};
use crate::event::WrongEventError;
use crate::retry::{Backoff, RetryPolicy};
use crate::{Event, RawEvent};

/// A reply that answers a command, and cannot be taken.
///
/// It is permanent: the same bytes are refused again, so the event becomes a dead letter
/// for a person, and is not discarded.
///
/// ```
/// use integration_automation_patterns::workflow::ReplyError;
///
/// let error = ReplyError::Unexpected {
///     wanted: vec!["erp.stock.held", "erp.stock.refused"],
///     found: "crm.lead.created".into(),
/// };
/// assert_eq!(
///     error.to_string(),
///     "wanted a reply of the type erp.stock.held or erp.stock.refused, and found \
///      \"crm.lead.created\""
/// );
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ReplyError {
    /// No reply to this command has the type.
    Unexpected {
        /// The types of its replies.
        wanted: Vec<&'static str>,
        /// The type of the event.
        found: Box<str>,
    },
    /// It is of another schema version.
    WrongEvent(WrongEventError),
    /// The bytes cannot be read.
    Unreadable(WireError),
    /// The table has no such step.
    NoSuchStep {
        /// The name in the correlation.
        found: Box<str>,
    },
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected { wanted, found } => write!(
                f,
                "wanted a reply of the type {}, and found {found:?}",
                wanted.join(" or ")
            ),
            Self::WrongEvent(cause) => cause.fmt(f),
            Self::Unreadable(_) => f.write_str("the reply cannot be read"),
            Self::NoSuchStep { found } => {
                write!(f, "wanted a reply to a step of the workflow, and found {found:?}")
            }
        }
    }
}

impl Error for ReplyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::WrongEvent(cause) => cause.source(),
            Self::Unreadable(cause) => Some(cause),
            Self::Unexpected { .. } | Self::NoSuchStep { .. } => None,
        }
    }
}

/// The reply, where the event is one of its type.
pub(super) fn read<R: Event + Wire>(event: &RawEvent) -> Option<Result<R, ReplyError>> {
    if event.event_type() != R::TYPE {
        return None;
    }
    let (wanted, found) = (R::SCHEMA_VERSION, event.schema_version());
    if found != wanted {
        let wrong = WrongEventError::SchemaVersion { wanted, found: found.into() };
        return Some(Err(ReplyError::WrongEvent(wrong)));
    }
    Some(R::read(event.bytes()).map_err(ReplyError::Unreadable))
}

/// Five minutes in all: a question between machines, which people are asked where it is not
/// answered in time.
const SOON: RetryPolicy = RetryPolicy::retries(
    11,
    Backoff::Exponential {
        base: Duration::from_millis(500),
        max: Duration::from_secs(60),
    },
);

/// The participant of a silent step has seen to it that the step was not done and never
/// will be: the answer to a [`Forestall`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forestalled;

impl Event for Forestalled {
    const TYPE: &'static str = "workflow.step.forestalled";
    const RETRY_POLICY: RetryPolicy = SOON;
}

impl Wire for Forestalled {
    fn write(&self) -> Result<Vec<u8>, WireError> {
        Ok(b"{}".to_vec())
    }

    fn read(_: &[u8]) -> Result<Self, WireError> {
        Ok(Self)
    }
}

/// The command that asks a participant whether a silent step was done, and else to see to
/// it that it never will be. Which command that is, its correlation says:
/// [`Correlation::supersedes`](super::Correlation::supersedes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forestall;

impl Event for Forestall {
    const TYPE: &'static str = "workflow.step.forestall";
    const RETRY_POLICY: RetryPolicy = SOON;
}

impl Wire for Forestall {
    fn write(&self) -> Result<Vec<u8>, WireError> {
        Ok(b"{}".to_vec())
    }

    fn read(_: &[u8]) -> Result<Self, WireError> {
        Ok(Self)
    }
}
