//! `EventId`: the idempotency key of an event, given by this crate or by the system that
//! the event came from.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use static_assertions::{assert_impl_all, const_assert};
use uuid::fmt::Hyphenated;
use uuid::{NoContext, Timestamp, Uuid};

/// The identity of an event, and its idempotency key: two deliveries with one id are one
/// event.
///
/// It is a UUID, held inline, or the text that another system gave, unchanged. Which of
/// the two is decided by the text alone: the lower-case hyphenated form of a UUID is that
/// UUID, any other text stays text, so that equal ids are equal however they were made.
///
/// ```
/// use integration_automation_patterns::EventId;
///
/// let theirs: EventId = "evt_1IuKmFQveW0ONQsdEAB1O64Y".parse()?;
/// assert_eq!(theirs.to_string(), "evt_1IuKmFQveW0ONQsdEAB1O64Y");
///
/// let ours = EventId::generate();
/// assert_eq!(ours.to_string().parse::<EventId>()?, ours);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("idempotency key", "message id"))]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Repr);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    Uuid(Aligned),
    Text(Box<str>),
}

/// A UUID at the start of a word. Right behind the enum's tag it would stand at an odd
/// address, where a move of the id reads across what was written, and waits until it is
/// in the cache.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(align(8))]
struct Aligned(Uuid);

const_assert!(size_of::<EventId>() <= 24);
assert_impl_all!(EventId: Send, Sync, Clone, Ord, std::hash::Hash);

/// Room on the stack for the text form of a UUID.
pub(crate) const UUID_TEXT: [u8; Hyphenated::LENGTH] = [0; Hyphenated::LENGTH];

impl EventId {
    /// The namespace of [`EventId::derived`]: the v5 UUID of
    /// `urn:integration-automation-patterns` in the URL namespace of RFC 9562.
    pub const NAMESPACE: Uuid = Uuid::from_u128(0x83ba5c00_0d91_56c2_a7b1_db674fba3561);

    /// A fresh id: a v7 UUID of the present moment, so that ids sort by the time they
    /// were made.
    ///
    /// The twin that takes the moment is [`EventId::generate_at`].
    ///
    /// # Panics
    ///
    /// Where the operating system has no random bytes to give, or a clock that stands
    /// before 1970: what `uuid` needs.
    ///
    /// ```
    /// use integration_automation_patterns::EventId;
    ///
    /// assert_ne!(EventId::generate(), EventId::generate());
    /// ```
    pub fn generate() -> Self {
        Uuid::now_v7().into()
    }

    /// A fresh id as of a given moment: a v7 UUID, random below the millisecond.
    ///
    /// Moments before 1970 count as 1970: a v7 UUID knows none earlier.
    ///
    /// # Panics
    ///
    /// Where the operating system has no random bytes to give: what `uuid` needs.
    ///
    /// ```
    /// use chrono::DateTime;
    /// use integration_automation_patterns::EventId;
    ///
    /// let monday = "2026-01-05T00:00:00Z".parse()?;
    /// let tuesday = "2026-01-06T00:00:00Z".parse()?;
    /// assert!(EventId::generate_at(monday) < EventId::generate_at(tuesday));
    /// # Ok::<(), chrono::ParseError>(())
    /// ```
    pub fn generate_at(moment: DateTime<Utc>) -> Self {
        let seconds = u64::try_from(moment.timestamp()).unwrap_or(0);
        let timestamp =
            Timestamp::from_unix(NoContext, seconds, moment.timestamp_subsec_nanos());
        Uuid::new_v7(timestamp).into()
    }

    /// The id of an outside event, derived from the system that sent it and that system's
    /// own identifier: the same on every delivery, on every machine.
    ///
    /// Use it where an identifier is unique only within its system, as two vendors may
    /// both send an event `1`. It is `v5(v5(NAMESPACE, system), identifier)`, as RFC 9562
    /// section 5.5 defines v5.
    ///
    /// # Errors
    ///
    /// [`EmptyIdError`] where the system or the identifier is empty.
    ///
    /// ```
    /// use integration_automation_patterns::EventId;
    ///
    /// let first = EventId::derived("payroll", "1")?;
    /// assert_eq!(first, EventId::derived("payroll", "1")?);
    /// assert_ne!(first, EventId::derived("billing", "1")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn derived(system: &str, identifier: &str) -> Result<Self, EmptyIdError> {
        if system.is_empty() || identifier.is_empty() {
            return Err(EmptyIdError(()));
        }
        let namespace = Uuid::new_v5(&Self::NAMESPACE, system.as_bytes());
        Ok(Uuid::new_v5(&namespace, identifier.as_bytes()).into())
    }

    /// The UUID, where this id is one.
    ///
    /// ```
    /// use integration_automation_patterns::EventId;
    ///
    /// assert!(EventId::generate().as_uuid().is_some());
    /// assert!("evt-001".parse::<EventId>()?.as_uuid().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn as_uuid(&self) -> Option<Uuid> {
        match self.0 {
            Repr::Uuid(Aligned(uuid)) => Some(uuid),
            Repr::Text(_) => None,
        }
    }

    pub(crate) fn is_uuid(&self) -> bool {
        matches!(self.0, Repr::Uuid(_))
    }

    /// The text form, without allocation: a UUID is written into the buffer.
    pub(crate) fn text<'a>(
        &'a self,
        buffer: &'a mut [u8; Hyphenated::LENGTH],
    ) -> &'a str {
        match &self.0 {
            Repr::Uuid(Aligned(uuid)) => uuid.hyphenated().encode_lower(buffer),
            Repr::Text(text) => text,
        }
    }
}

impl From<Uuid> for EventId {
    #[inline]
    fn from(uuid: Uuid) -> Self {
        Self(Repr::Uuid(Aligned(uuid)))
    }
}

impl TryFrom<String> for EventId {
    type Error = EmptyIdError;

    /// Takes the text that another system gave, unchanged.
    ///
    /// # Errors
    ///
    /// [`EmptyIdError`] where the text is empty.
    fn try_from(text: String) -> Result<Self, EmptyIdError> {
        if text.is_empty() {
            return Err(EmptyIdError(()));
        }
        Ok(match canonical_uuid(&text) {
            Some(uuid) => uuid.into(),
            None => Self(Repr::Text(text.into())),
        })
    }
}

impl FromStr for EventId {
    type Err = EmptyIdError;

    /// Takes the text that another system gave, unchanged.
    ///
    /// # Errors
    ///
    /// [`EmptyIdError`] where the text is empty.
    fn from_str(text: &str) -> Result<Self, EmptyIdError> {
        match canonical_uuid(text) {
            Some(uuid) => Ok(uuid.into()),
            None => text.to_owned().try_into(),
        }
    }
}

/// The UUID that writes itself exactly as this text does.
fn canonical_uuid(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok()?;
    (uuid.hyphenated().encode_lower(&mut { UUID_TEXT }) == text).then_some(uuid)
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text(&mut { UUID_TEXT }))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EventId").field(&self.text(&mut { UUID_TEXT })).finish()
    }
}

/// An event id was wanted, and the text (or the system it is derived from) was empty.
///
/// ```
/// use integration_automation_patterns::EventId;
///
/// assert!("".parse::<EventId>().is_err());
/// assert!(EventId::derived("", "1").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmptyIdError(());

impl fmt::Display for EmptyIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event id needs text, and found none: pass the sender's own id, or use EventId::generate()")
    }
}

impl std::error::Error for EmptyIdError {}
