//! Why a step was not stored, and why a stored instance was not loaded.

use std::error::Error;
use std::fmt;

use crate::store::StoreError;
use crate::workflow::{AdvanceError, NotStoredError, RecordError};

/// A database did not store a step: no row has changed, and nothing leaves.
///
/// Roll the transaction back: it may hold a part of the step.
///
/// ```
/// use integration_automation_patterns::workflow::{NotStoredError, StepError};
///
/// let error = StepError::from(NotStoredError::Overtaken { wanted: 3, found: 4 });
/// assert_eq!(
///     error.to_string(),
///     "wanted to follow revision 3 of the instance, and found revision 4: load it again"
/// );
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum StepError {
    /// The step cannot be stored, by any store.
    NotStored(NotStoredError),
    /// The database did not do what it was asked.
    Store(StoreError),
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStored(cause) => cause.fmt(f),
            Self::Store(cause) => cause.fmt(f),
        }
    }
}

impl Error for StepError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotStored(cause) => cause.source(),
            Self::Store(cause) => cause.source(),
        }
    }
}

impl From<NotStoredError> for StepError {
    fn from(cause: NotStoredError) -> Self {
        Self::NotStored(cause)
    }
}

impl From<AdvanceError> for StepError {
    fn from(cause: AdvanceError) -> Self {
        Self::NotStored(NotStoredError::Unwritable(cause))
    }
}

impl From<StoreError> for StepError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

/// Whether an error is that of a step whose event the outbox has of an earlier life: no
/// other attempt to store it finds the key unused.
pub(crate) fn is_of_an_earlier_life(error: &(dyn Error + 'static)) -> bool {
    let step = error.downcast_ref::<StepError>().and_then(|error| match error {
        StepError::NotStored(cause) => Some(cause),
        StepError::Store(_) => None,
    });
    let cause = step.or_else(|| error.downcast_ref::<NotStoredError>());
    matches!(cause, Some(NotStoredError::EarlierLife { .. }))
}

/// A stored instance was not loaded.
///
/// ```
/// use integration_automation_patterns::workflow::{LoadError, RecordError};
///
/// let error = LoadError::Row(RecordError::NeverStored);
/// assert_eq!(error.to_string(), "a stored instance has a revision, and found 0");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// The row is no instance of this table.
    Row(RecordError),
    /// The database did not do what it was asked, or the row holds what no program wrote.
    Store(StoreError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(cause) => cause.fmt(f),
            Self::Store(cause) => cause.fmt(f),
        }
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Row(cause) => cause.source(),
            Self::Store(cause) => cause.source(),
        }
    }
}

impl From<StoreError> for LoadError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}
