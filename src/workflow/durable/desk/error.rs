//! `DeskError`: why an operator's order was not carried out.

use std::error::Error;
use std::fmt;

use crate::EventId;
use crate::store::StoreError;
use crate::workflow::durable::StepError;
use crate::workflow::{NotDecidedError, NotStoredError, RecordError};

/// An operator's order was not carried out: nothing has changed.
///
/// ```
/// use integration_automation_patterns::workflow::DeskError;
///
/// let error = DeskError::OtherTable { workflow: "hiring".to_owned() };
/// assert_eq!(
///     error.to_string(),
///     "the desk has no table of the workflow hiring: name it with `Desk::of`"
/// );
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum DeskError {
    /// The instance is not there.
    NoSuchInstance {
        /// The id.
        found: EventId,
    },
    /// The desk was not given the table of the instance's workflow.
    OtherTable {
        /// The workflow.
        workflow: String,
    },
    /// The row is no instance of the table.
    Row(RecordError),
    /// The order is not legal where the instance stands.
    NotDecided(NotDecidedError),
    /// The program's own code panicked: its steps, its data, its calendar or its
    /// directory.
    Panicked,
    /// The step was not stored.
    Step(StepError),
}

impl fmt::Display for DeskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchInstance { found } => {
                write!(f, "there is no instance {found}: was it purged?")
            }
            Self::OtherTable { workflow } => write!(
                f,
                "the desk has no table of the workflow {workflow}: name it with \
                 `Desk::of`"
            ),
            Self::Row(cause) => cause.fmt(f),
            Self::NotDecided(cause) => cause.fmt(f),
            Self::Panicked => f.write_str("the code of the workflow panicked"),
            Self::Step(cause) => cause.fmt(f),
        }
    }
}

impl Error for DeskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Row(cause) => cause.source(),
            Self::NotDecided(cause) => cause.source(),
            Self::Step(cause) => cause.source(),
            Self::NoSuchInstance { .. } | Self::OtherTable { .. } | Self::Panicked => {
                None
            }
        }
    }
}

impl From<StepError> for DeskError {
    fn from(cause: StepError) -> Self {
        Self::Step(cause)
    }
}

impl From<NotStoredError> for DeskError {
    fn from(cause: NotStoredError) -> Self {
        Self::Step(cause.into())
    }
}

impl From<StoreError> for DeskError {
    fn from(cause: StoreError) -> Self {
        Self::Step(cause.into())
    }
}
