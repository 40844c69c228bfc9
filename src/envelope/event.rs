//! What a payload must say about itself: which event it is, under which schema version,
//! and how it is retried.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use super::raw::Parts;
pub use super::raw::RawEvent;
use crate::RetryPolicy;

/// A typed payload: one Rust type for one kind of event.
///
/// What is the same for every event of a kind is stated here once, and takes no room in
/// an envelope.
///
/// The type follows the convention `domain.entity.action`: three parts of lower-case
/// letters, digits, `_` and `-`. An envelope is not built where it does not (see
/// [`is_conventional`]).
///
/// There is no `dyn Event`, since a kind of event is a type: events of many kinds in one
/// place are envelopes of a [`RawEvent`], or an enum.
///
/// ```
/// use integration_automation_patterns::{Envelope, Event};
///
/// struct StudentUpdated {
///     student_id: u64,
/// }
///
/// impl Event for StudentUpdated {
///     const TYPE: &'static str = "enrollment.student.updated";
///     const SCHEMA_VERSION: &'static str = "2.0";
/// }
///
/// let event = Envelope::builder("sis", StudentUpdated { student_id: 7 }).build()?;
/// assert_eq!(event.event_type(), "enrollment.student.updated");
/// assert_eq!(event.schema_version(), "2.0");
/// assert_eq!(event.payload().student_id, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which event it is",
    label = "needs `impl Event for {Self}` with its TYPE, or to be carried as `RawEvent` bytes"
)]
pub trait Event: Sized {
    /// What happened, as `domain.entity.action`.
    const TYPE: &'static str;
    /// The version of the payload's schema; a reader of another version is refused.
    const SCHEMA_VERSION: &'static str = RawEvent::DEFAULT_SCHEMA_VERSION;
    /// How this kind of event is retried, unless an envelope says otherwise.
    const RETRY_POLICY: RetryPolicy = RetryPolicy::DEFAULT;
}

/// What an envelope can carry: every typed [`Event`], and [`RawEvent`]. Nothing else
/// implements it.
#[diagnostic::on_unimplemented(
    message = "an envelope cannot carry `{Self}`: it does not say which event it is",
    label = "needs `impl Event for {Self}` with its TYPE, or to be carried as `RawEvent` bytes"
)]
pub trait Payload: Sized + sealed::Payload<Stored = <Self as Payload>::Body> {
    /// What a [`Record`](crate::Record) of such an envelope holds: the typed value
    /// itself, or the raw bytes.
    type Body: Body<Payload = Self>;

    /// What happened.
    fn event_type(&self) -> &str;

    /// The version of the payload's schema.
    fn schema_version(&self) -> &str;
}

#[diagnostic::do_not_recommend]
impl<P: Event> Payload for P {
    type Body = P;

    fn event_type(&self) -> &str {
        P::TYPE
    }

    fn schema_version(&self) -> &str {
        P::SCHEMA_VERSION
    }
}

impl Payload for RawEvent {
    type Body = Vec<u8>;

    fn event_type(&self) -> &str {
        self.event_type()
    }

    fn schema_version(&self) -> &str {
        self.schema_version()
    }
}

/// What a [`Record`](crate::Record) can hold: every typed [`Event`], and bytes, each with
/// the payload that an envelope makes of it. Nothing else implements it.
#[diagnostic::on_unimplemented(
    message = "a record cannot hold `{Self}`: it does not say which event it is",
    label = "needs `impl Event for {Self}` with its TYPE, or to be bytes: `Vec<u8>`"
)]
pub trait Body: Sized + sealed::Body {
    /// What an envelope carries in its place.
    type Payload: Payload<Body = Self>;
}

#[diagnostic::do_not_recommend]
impl<P: Event> Body for P {
    type Payload = P;
}

impl Body for Vec<u8> {
    type Payload = RawEvent;
}

pub(super) mod sealed {
    use super::is_conventional;
    use super::{BuildError, Cow, Event, Parts, RawEvent, RetryPolicy, WrongEventError};

    pub trait Body {}
    #[diagnostic::do_not_recommend]
    impl<P: super::Event> Body for P {}
    impl Body for Vec<u8> {}

    #[diagnostic::on_unimplemented(
        message = "an envelope cannot carry `{Self}`: it does not say which event it is",
        label = "needs `impl Event for {Self}` with its TYPE, or to be carried as `RawEvent` bytes"
    )]
    pub trait Payload: Sized {
        /// What is stored of it: its `Body`.
        type Stored;

        fn default_retry_policy() -> RetryPolicy;

        /// What must hold of the event type of any envelope.
        fn check(event_type: &str) -> Result<(), BuildError>;

        /// Whether bytes that were stored under this type and version are such a payload.
        fn expect(event_type: &str, schema_version: &str) -> Result<(), WrongEventError>;

        fn body(&self) -> &Self::Stored;

        fn into_stored(self) -> (Cow<'static, str>, Cow<'static, str>, Self::Stored);

        fn from_stored(
            event_type: Cow<'static, str>,
            schema_version: Cow<'static, str>,
            body: Self::Stored,
        ) -> Self;
    }

    #[diagnostic::do_not_recommend]
    impl<P: Event> Payload for P {
        type Stored = P;

        fn default_retry_policy() -> RetryPolicy {
            P::RETRY_POLICY
        }

        fn check(_: &str) -> Result<(), BuildError> {
            if const { is_conventional(P::TYPE) } {
                Ok(())
            } else {
                Err(BuildError::UnconventionalEventType { found: P::TYPE })
            }
        }

        fn expect(event_type: &str, schema_version: &str) -> Result<(), WrongEventError> {
            if event_type != P::TYPE {
                return Err(WrongEventError::EventType {
                    wanted: P::TYPE,
                    found: event_type.into(),
                });
            }
            if schema_version != P::SCHEMA_VERSION {
                return Err(WrongEventError::SchemaVersion {
                    wanted: P::SCHEMA_VERSION,
                    found: schema_version.into(),
                });
            }
            Ok(())
        }

        fn body(&self) -> &P {
            self
        }

        fn into_stored(self) -> (Cow<'static, str>, Cow<'static, str>, P) {
            (P::TYPE.into(), P::SCHEMA_VERSION.into(), self)
        }

        fn from_stored(_: Cow<'static, str>, _: Cow<'static, str>, body: P) -> Self {
            body
        }
    }

    impl Payload for RawEvent {
        type Stored = Vec<u8>;

        fn default_retry_policy() -> RetryPolicy {
            RetryPolicy::DEFAULT
        }

        fn check(event_type: &str) -> Result<(), BuildError> {
            if event_type.is_empty() { Err(BuildError::EmptyEventType) } else { Ok(()) }
        }

        fn expect(_: &str, _: &str) -> Result<(), WrongEventError> {
            Ok(())
        }

        fn body(&self) -> &Vec<u8> {
            &self.0.bytes
        }

        fn into_stored(self) -> (Cow<'static, str>, Cow<'static, str>, Vec<u8>) {
            let Parts { event_type, schema_version, bytes } = *self.0;
            (event_type, schema_version, bytes)
        }

        fn from_stored(
            event_type: Cow<'static, str>,
            schema_version: Cow<'static, str>,
            bytes: Vec<u8>,
        ) -> Self {
            Self(Box::new(Parts { event_type, schema_version, bytes }))
        }
    }
}

/// Whether a text follows the convention `domain.entity.action`: three parts, none empty,
/// of lower-case ASCII letters, digits, `_` and `-`.
///
/// To have the compiler check a declaration, assert it beside the type:
///
/// ```
/// use integration_automation_patterns::event::is_conventional;
///
/// const _: () = assert!(is_conventional("enrollment.student.updated"));
/// assert!(!is_conventional("StudentUpdated"));
/// ```
pub const fn is_conventional(event_type: &str) -> bool {
    let mut rest = event_type.as_bytes();
    let mut dots = 0u8;
    let mut part_is_empty = true;
    while let [first, tail @ ..] = rest {
        match first {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => part_is_empty = false,
            b'.' if !part_is_empty && dots < 2 => {
                dots = dots.saturating_add(1);
                part_is_empty = true;
            }
            _ => return false,
        }
        rest = tail;
    }
    dots == 2 && !part_is_empty
}

/// An envelope could not be built.
///
/// ```
/// use integration_automation_patterns::event::BuildError;
/// use integration_automation_patterns::{Envelope, RawEvent};
///
/// let refused =
///     Envelope::builder("crm", RawEvent::new("", b"{}")).build().unwrap_err();
/// assert_eq!(*refused.cause(), BuildError::EmptyEventType);
/// assert_eq!(refused.to_string(), "an event needs a type, and found an empty one");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The event type is empty.
    EmptyEventType,
    /// The name of the source system is empty.
    EmptySourceSystem,
    /// A typed event declares a type that is not `domain.entity.action`.
    UnconventionalEventType {
        /// The declared type.
        found: &'static str,
    },
    /// The time of creation has no four-digit year, and so no form in RFC 3339.
    YearOutOfRange {
        /// The year.
        found: i32,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyEventType => {
                f.write_str("an event needs a type, and found an empty one")
            }
            Self::EmptySourceSystem => f.write_str(
                "an event needs the name of its source system, and found an empty one",
            ),
            Self::UnconventionalEventType { found } => write!(
                f,
                "the TYPE of a typed event is `domain.entity.action` in lower case \
                 (such as `enrollment.student.updated`), and found {found:?}"
            ),
            Self::YearOutOfRange { found } => {
                write!(
                    f,
                    "an event is created in one of the years 0000 to 9999, and found the year {found}"
                )
            }
        }
    }
}

impl Error for BuildError {}

/// A payload is of another type or schema version than the reader wants.
///
/// ```
/// use integration_automation_patterns::event::WrongEventError;
///
/// let wrong = WrongEventError::SchemaVersion { wanted: "2.0", found: "1.0".into() };
/// assert_eq!(wrong.to_string(), r#"wanted schema version "2.0", and found "1.0""#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WrongEventError {
    /// It is another kind of event.
    EventType {
        /// The type that the reader declares.
        wanted: &'static str,
        /// The type that the payload states.
        found: Box<str>,
    },
    /// It is the right kind of event, under another schema version.
    SchemaVersion {
        /// The version that the reader declares.
        wanted: &'static str,
        /// The version that the payload states.
        found: Box<str>,
    },
}

impl fmt::Display for WrongEventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, wanted, found) = match self {
            Self::EventType { wanted, found } => ("an event of type", wanted, found),
            Self::SchemaVersion { wanted, found } => ("schema version", wanted, found),
        };
        write!(f, "wanted {what} {wanted:?}, and found {found:?}")
    }
}

impl Error for WrongEventError {}

/// A payload could not be read as the typed event that was wanted.
///
/// ```
/// use integration_automation_patterns::event::{DecodeError, WrongEventError};
///
/// let unexpected = "seven".parse::<u32>().unwrap_err();
/// let poison = DecodeError::Payload(unexpected.clone());
/// assert_eq!(poison.to_string(), "the payload cannot be decoded");
/// let cause = std::error::Error::source(&poison).ok_or("a decoder's error")?;
/// assert_eq!(cause.to_string(), unexpected.to_string());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError<E> {
    /// It is of another type or schema version.
    WrongEvent(WrongEventError),
    /// The type that was wanted is not `domain.entity.action`.
    Build(BuildError),
    /// It is the right event, and the decoder refused its bytes.
    Payload(E),
}

impl<E> fmt::Display for DecodeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongEvent(cause) => cause.fmt(f),
            Self::Build(cause) => cause.fmt(f),
            Self::Payload(_) => f.write_str("the payload cannot be decoded"),
        }
    }
}

impl<E: Error + 'static> Error for DecodeError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::WrongEvent(cause) => cause.source(),
            Self::Build(cause) => cause.source(),
            Self::Payload(cause) => Some(cause),
        }
    }
}
