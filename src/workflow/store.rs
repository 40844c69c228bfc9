//! What every store says of what it did, or did not do.

use std::error::Error;
use std::fmt;

use chrono::{DateTime, Utc};

use super::advance::AdvanceError;
use super::id::CorrelationError;
use super::journal::Entry;
use super::record::RecordError;
use super::reply::ReplyError;
use crate::EventId;

/// What beginning an instance did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It is there, and its first command waits to be sent.
    New,
    /// It was there before: nothing is written, and nothing is sent.
    AlreadyThere,
}

/// What receiving a reply did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// The instance took a step.
    Moved,
    /// It waits for something else by now: the journal says so.
    Late,
}

/// One line of the journal.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JournalLine {
    /// The instance.
    pub instance: EventId,
    /// The revision after the step.
    pub revision: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// What moved it.
    pub entry: Entry,
}

/// A step was not stored.
///
/// ```
/// use integration_automation_patterns::workflow::NotStoredError;
///
/// let error = NotStoredError::Overtaken { wanted: 3, found: 4 };
/// assert_eq!(
///     error.to_string(),
///     "wanted to follow revision 3 of the instance, and found revision 4: load it again"
/// );
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum NotStoredError {
    /// Something of the step has no stored form.
    Unwritable(AdvanceError),
    /// Somebody else moved the instance meanwhile.
    Overtaken {
        /// The revision that the step follows from.
        wanted: u64,
        /// The revision that is there.
        found: u64,
    },
    /// The command that the step takes back has left.
    StillOut {
        /// The command.
        command: EventId,
    },
    /// The outbox has the event already, and this instance has never sent it: an instance
    /// of the same key did, before it was purged.
    EarlierLife {
        /// The event.
        event: EventId,
    },
}

impl fmt::Display for NotStoredError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unwritable(cause) => cause.fmt(f),
            Self::Overtaken { wanted, found } => write!(
                f,
                "wanted to follow revision {wanted} of the instance, and found revision \
                 {found}: load it again"
            ),
            Self::StillOut { command } => write!(
                f,
                "the command {command} has left, so nobody knows yet that it will not be \
                 done: wait for its reply, forestall it, or vouch for it"
            ),
            Self::EarlierLife { event } => write!(
                f,
                "wanted to send the event {event}, and found it in the outbox: an instance \
                 of this business key ran before and was purged, so the event would not \
                 leave again. A key is for one life: begin under another key, or try again \
                 once the outbox has purged what the first life has sent"
            ),
        }
    }
}

impl Error for NotStoredError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unwritable(cause) => cause.source(),
            Self::Overtaken { .. } | Self::StillOut { .. } | Self::EarlierLife { .. } => {
                None
            }
        }
    }
}

/// A reply was not taken, or a deadline not run.
///
/// ```
/// use integration_automation_patterns::workflow::ReceiveError;
///
/// let found = "0a4ff2b8-5e0c-5d7c-9c52-7f6c1dbd2b5e".parse()?;
/// let error = ReceiveError::NoSuchInstance { found };
/// assert!(error.to_string().starts_with("there is no instance 0a4ff2b8"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ReceiveError {
    /// It does not say which command it answers.
    Correlation(CorrelationError),
    /// It answers another workflow.
    OtherWorkflow {
        /// The name of this one.
        wanted: &'static str,
        /// The name in the correlation.
        found: String,
    },
    /// The instance is not there.
    NoSuchInstance {
        /// The id in the correlation.
        found: EventId,
    },
    /// The row is no instance.
    Row(RecordError),
    /// The reply cannot be taken.
    Reply(ReplyError),
    /// The step was not stored.
    NotStored(NotStoredError),
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Correlation(cause) => cause.fmt(f),
            Self::OtherWorkflow { wanted, found } => {
                write!(f, "wanted a reply to `{wanted}`, and found one to {found:?}")
            }
            Self::NoSuchInstance { found } => {
                write!(f, "there is no instance {found}: was it purged?")
            }
            Self::Row(cause) => cause.fmt(f),
            Self::Reply(cause) => cause.fmt(f),
            Self::NotStored(cause) => cause.fmt(f),
        }
    }
}

impl Error for ReceiveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Correlation(cause) => cause.source(),
            Self::Row(cause) => cause.source(),
            Self::Reply(cause) => cause.source(),
            Self::NotStored(cause) => cause.source(),
            Self::OtherWorkflow { .. } | Self::NoSuchInstance { .. } => None,
        }
    }
}

impl From<RecordError> for ReceiveError {
    fn from(cause: RecordError) -> Self {
        Self::Row(cause)
    }
}

impl From<ReplyError> for ReceiveError {
    fn from(cause: ReplyError) -> Self {
        Self::Reply(cause)
    }
}

impl From<NotStoredError> for ReceiveError {
    fn from(cause: NotStoredError) -> Self {
        Self::NotStored(cause)
    }
}
