//! What a database did not do, and why: in words, and as a kind that a program acts on.

use std::error::Error;
use std::fmt;

use super::kind::StoreErrorKind;
#[cfg(feature = "postgres")]
use super::postgres::refusal as postgres;
#[cfg(feature = "sqlite")]
use super::sqlite::refusal as sqlite;
use crate::reason::reason;

pub(crate) type BoxedError = Box<dyn Error + Send + Sync>;

/// A database did not do what it was asked.
///
/// It displays as what was being done; its [`source`](Error::source) says why, and the
/// source of that the next cause. `{error:#}` is the whole chain in one line.
///
/// ```
/// # #[cfg(feature = "sqlite")] {
/// use integration_automation_patterns::outbox::{StoreErrorKind, sqlite::Outbox};
///
/// let refused = Outbox::open("/no/such/folder/crm.db").unwrap_err();
/// assert_eq!(refused.to_string(), "opening the database");
/// assert!(format!("{refused:#}").contains("the path cannot be opened"));
/// assert_eq!(refused.kind(), StoreErrorKind::Unreachable);
/// # }
/// ```
pub struct StoreError {
    doing: &'static str,
    kind: StoreErrorKind,
    source: BoxedError,
}

impl StoreError {
    /// What kept the database from it.
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("doing", &self.doing)
            .field("kind", &self.kind)
            .field("source", &self.source)
            .finish()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.doing)?;
        if f.alternate() {
            write!(f, ": {}", reason(&*self.source))?;
        }
        Ok(())
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// Of which kind the first cause is that has one.
pub(crate) fn kind_of(source: &(dyn Error + 'static)) -> Option<StoreErrorKind> {
    let mut cause = Some(source);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<StoreError>() {
            return Some(error.kind);
        }
        #[cfg(feature = "postgres")]
        if let Some(kind) = error.downcast_ref().and_then(postgres::kind) {
            return Some(kind);
        }
        #[cfg(feature = "sqlite")]
        if let Some(kind) = error.downcast_ref().and_then(sqlite::kind) {
            return Some(kind);
        }
        cause = error.source();
    }
    None
}

/// How the databases make errors.
mod making {
    use std::borrow::Cow;

    use super::*;

    impl StoreError {
        /// What was being done, and why it failed; the kind is that of the first cause
        /// that has one.
        pub(crate) fn new(doing: &'static str, source: impl Into<BoxedError>) -> Self {
            Self::of(StoreErrorKind::Other, doing, source)
        }

        /// The same, of this kind where no cause has one.
        pub(crate) fn of(
            kind: StoreErrorKind,
            doing: &'static str,
            source: impl Into<BoxedError>,
        ) -> Self {
            let source = source.into();
            let kind = kind_of(&*source).unwrap_or(kind);
            Self { doing, kind, source: explained(source) }
        }
    }

    /// Names what was being done when something failed.
    pub(crate) trait Doing<T> {
        fn doing(self, doing: &'static str) -> Result<T, StoreError>;
    }

    impl<T, E: Into<BoxedError>> Doing<T> for Result<T, E> {
        fn doing(self, doing: &'static str) -> Result<T, StoreError> {
            self.map_err(|error| StoreError::new(doing, error))
        }
    }

    /// A cause, and what it means here.
    #[derive(Debug)]
    pub(crate) struct Explained {
        pub(crate) meaning: Cow<'static, str>,
        pub(crate) cause: BoxedError,
    }

    impl fmt::Display for Explained {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.meaning)
        }
    }

    impl Error for Explained {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.cause)
        }
    }

    /// An error of a driver that says its cause in its own text: the chain goes on after
    /// that cause.
    #[derive(Debug)]
    struct Once(BoxedError);

    impl fmt::Display for Once {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)
        }
    }

    impl Error for Once {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.0.source()?.source()
        }
    }

    fn once(error: BoxedError) -> BoxedError {
        let says_its_cause = |cause: &(dyn Error + 'static)| {
            error.to_string().ends_with(&cause.to_string())
        };
        if error.source().is_some_and(says_its_cause) {
            Box::new(Once(error))
        } else {
            error
        }
    }

    /// The error with what to do about it, where this crate knows that.
    fn explained(cause: BoxedError) -> BoxedError {
        let meaning: Option<&'static str> = None;
        #[cfg(feature = "postgres")]
        let meaning = meaning.or_else(|| postgres::meaning(cause.downcast_ref()?));
        #[cfg(feature = "sqlite")]
        let meaning = meaning.or_else(|| sqlite::meaning(cause.downcast_ref()?));
        let cause = once(cause);
        match meaning {
            Some(meaning) => Box::new(Explained { meaning: meaning.into(), cause }),
            None => cause,
        }
    }
}

pub(crate) use self::making::Doing;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use self::making::Explained;
