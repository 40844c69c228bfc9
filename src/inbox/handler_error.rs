//! `HandlerError`: why a handler failed, and whether that is the event's fault or the
//! database's.

use std::any::Any;
use std::error::Error;
#[cfg(feature = "sqlite")]
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::FailureClass;
use crate::store::StoreErrorKind;

/// Why a handler failed.
///
/// `?` converts any error into one, also the boxed errors of other crates. It is
/// transient, with all the error's causes in its reason, or permanent if a payload [could
/// not be read](crate::ReadError). [`Classify`](super::Classify) overrides that.
///
/// If one of the causes is a database that would refuse any event just then (a deadlock,
/// a serialization failure, a lock timeout, a full disk, a lost connection), it is not
/// the event's fault: no attempt is spent, and the event comes again.
///
/// It does not implement [`std::error::Error`], so that `?` can convert any error into
/// it.
///
/// ```
/// use integration_automation_patterns::FailureClass;
/// use integration_automation_patterns::inbox::HandlerError;
///
/// fn invoice(amount: &str) -> Result<u32, HandlerError> {
///     let amount = amount.parse()?;
///     if amount == 0 {
///         Err(HandlerError::permanent("an invoice of nothing"))
///     } else {
///         Ok(amount)
///     }
/// }
/// assert_eq!(invoice("7"), Ok(7));
/// assert_eq!(
///     invoice("seven"),
///     Err(HandlerError::transient("invalid digit found in string"))
/// );
/// assert_eq!(
///     invoice("0").map_err(|error| error.class),
///     Err(FailureClass::Permanent)
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerError {
    /// Whether another attempt could succeed.
    pub class: FailureClass,
    /// What went wrong.
    pub reason: String,
    /// Whether it spends an attempt.
    pub(crate) counts: bool,
    /// What kept the database from it, if a database is among the causes.
    pub(crate) kind: Option<StoreErrorKind>,
}

impl HandlerError {
    /// Another attempt may succeed.
    pub fn transient(reason: impl Into<String>) -> Self {
        Self::of(FailureClass::Transient, reason.into())
    }

    /// No attempt will.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self::of(FailureClass::Permanent, reason.into())
    }

    const fn of(class: FailureClass, reason: String) -> Self {
        Self { class, reason, counts: true, kind: None }
    }
}

/// Whether a database is among the causes, and refused what it would have refused of
/// every event.
pub(crate) fn is_of_the_database(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        #[cfg(feature = "postgres")]
        if let Some(error) = error.downcast_ref() {
            return super::postgres::is_of_the_database(error);
        }
        #[cfg(feature = "sqlite")]
        if let Some(error) = error.downcast_ref() {
            return crate::store::sqlite::is_of_the_database(error);
        }
        cause = error.source();
    }
    false
}

/// Runs a handler, whose panic is a failure too: one poison event must not end the
/// consumer again and again.
#[cfg(feature = "sqlite")]
pub(crate) fn caught(
    handler: impl FnOnce() -> Result<(), HandlerError>,
) -> Result<(), HandlerError> {
    catch_unwind(AssertUnwindSafe(handler)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

/// What a panic says, as a failure.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> HandlerError {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    HandlerError::transient(format!(
        "the handler panicked: {}",
        said.unwrap_or("it says no more")
    ))
}
