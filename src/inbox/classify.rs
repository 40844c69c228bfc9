//! What a handler's errors are: `?` takes whatever can be boxed, and `.transient()` or
//! `.permanent()` says which kind of failure it is.

use std::error::Error;

use super::HandlerError;
use super::handler_error::is_of_the_database;
use crate::reason::reason;
use crate::store::error::kind_of;
#[cfg(all(feature = "workflow", any(feature = "postgres", feature = "sqlite")))]
use crate::workflow::is_of_an_earlier_life;
use crate::{FailureClass, ReadError};

type BoxedError = Box<dyn Error + Send + Sync>;

/// What ends a handler by `?`: every error, text, and the boxed errors of other crates
/// (`anyhow`, `eyre`, `Box<dyn Error + Send + Sync>`).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot end a handler: it may not be sent to another thread",
    label = "needs `Error + Send + Sync`, as `anyhow::Error` has it",
    note = "or say what went wrong as text: `.map_err(|error| error.to_string())`"
)]
pub trait HandlerCause: Into<BoxedError> {}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxedError>> HandlerCause for E {}

/// Says which kind of failure the error of a result is, where `?` alone would say
/// transient.
///
/// ```
/// use integration_automation_patterns::FailureClass;
/// use integration_automation_patterns::inbox::{Classify, HandlerError};
///
/// fn amount(text: &str) -> Result<u32, HandlerError> {
///     let amount = text.parse::<u32>().permanent()?;
///     amount.checked_sub(1).ok_or("an invoice of nothing").transient()
/// }
/// assert_eq!(amount("7"), Ok(6));
/// assert_eq!(amount("seven").unwrap_err().class, FailureClass::Permanent);
/// assert_eq!(amount("0"), Err(HandlerError::transient("an invoice of nothing")));
/// ```
pub trait Classify<T> {
    /// Another attempt may succeed.
    ///
    /// # Errors
    ///
    /// The error, as a transient one.
    fn transient(self) -> Result<T, HandlerError>;

    /// No attempt will succeed: the event becomes a dead letter.
    ///
    /// What a database refuses of every event (a deadlock, a full disk, a lost
    /// connection) is no failure of this one, and still spends no attempt.
    ///
    /// # Errors
    ///
    /// The error, as a permanent one.
    fn permanent(self) -> Result<T, HandlerError>;
}

impl<T, E: HandlerCause> Classify<T> for Result<T, E> {
    fn transient(self) -> Result<T, HandlerError> {
        self.map_err(|error| classified(FailureClass::Transient, &*error.into()))
    }

    fn permanent(self) -> Result<T, HandlerError> {
        self.map_err(|error| classified(FailureClass::Permanent, &*error.into()))
    }
}

impl<E: HandlerCause> From<E> for HandlerError {
    /// Transient; permanent, where the payload [could not be read](ReadError), and where a
    /// workflow's step would send what the outbox has of an earlier life
    /// (`workflow::NotStoredError::EarlierLife`).
    fn from(error: E) -> Self {
        let error: BoxedError = error.into();
        let class = if is_for_good(&*error) {
            FailureClass::Permanent
        } else {
            FailureClass::Transient
        };
        classified(class, &*error)
    }
}

fn classified(class: FailureClass, error: &(dyn Error + 'static)) -> HandlerError {
    HandlerError {
        class,
        reason: reason(error),
        counts: !is_of_the_database(error),
        kind: kind_of(error),
    }
}

/// Whether no other attempt finds it otherwise.
fn is_for_good(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<ReadError>() || is_of_an_earlier_life(error) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(not(all(feature = "workflow", any(feature = "postgres", feature = "sqlite"))))]
const fn is_of_an_earlier_life(_: &(dyn Error + 'static)) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Envelope, Event, RawEvent};

    /// An error of a program that keeps its cause.
    #[derive(Debug)]
    struct Importing(ReadError);

    impl std::fmt::Display for Importing {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the import failed")
        }
    }

    impl Error for Importing {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    struct Lead;

    impl Event for Lead {
        const TYPE: &'static str = "crm.lead.created";
    }

    fn read(event: &Envelope<crate::state::Pending>) -> Result<Lead, HandlerError> {
        Ok(event.read(|_| Err("unexpected end"))?)
    }

    #[test]
    fn what_cannot_be_read_is_permanent_however_deep_it_is_wrapped() {
        let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b""));
        let Ok(event) = event.build() else { return };
        let fault = read(&event).err();
        assert_eq!(fault.map(|fault| fault.class), Some(FailureClass::Permanent));
        let error = event.read(|_| Err::<Lead, _>("unexpected end"));
        let wrapped = error.map_err(Importing);
        let fault = wrapped.map_err(HandlerError::from).err();
        assert_eq!(fault.map(|fault| fault.class), Some(FailureClass::Permanent));
    }

    #[test]
    fn boxed_errors_keep_their_causes_and_are_transient() {
        let boxed: BoxedError = Box::new(std::io::Error::other("connection reset"));
        assert_eq!(
            HandlerError::from(boxed),
            HandlerError::transient("connection reset")
        );
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn a_busy_database_is_no_fault_of_the_event_whatever_is_said_of_it() {
        let busy = || {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
            Err::<(), _>(rusqlite::Error::SqliteFailure(code, None))
        };
        let counts = |fault: Result<(), HandlerError>| fault.err().map(|it| it.counts);
        assert_eq!(counts(busy().permanent()), Some(false));
        assert_eq!(counts(busy().transient()), Some(false));
        assert_eq!(counts(busy().map_err(Into::into)), Some(false));
        assert_eq!(counts(Err("no such country").permanent()), Some(true));
    }
}
