//! `RawEvent`: a payload as bytes, and what the sender says they are.

use std::borrow::Cow;
use std::fmt;

use static_assertions::{assert_not_impl_any, const_assert};

use super::event::sealed::Payload as _;
use super::event::{DecodeError, Event};

/// A payload that nobody has read yet: bytes, and what the sender says they are.
///
/// It is what comes out of a database or off a wire.
/// [`Envelope::decode`](crate::Envelope::decode) makes it typed, once type and schema
/// version agree. The type needs no convention: vendors have their own.
///
/// ```
/// use integration_automation_patterns::RawEvent;
///
/// let webhook = RawEvent::new("customer.updated", br#"{"id":"cus_1"}"#)
///     .with_schema_version("2024-06-20");
/// assert_eq!(webhook.event_type(), "customer.updated");
/// assert_eq!(webhook.bytes(), br#"{"id":"cus_1"}"#);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RawEvent(pub(super) Box<Parts>);

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) event_type: Cow<'static, str>,
    pub(super) schema_version: Cow<'static, str>,
    pub(super) bytes: Vec<u8>,
}

const_assert!(size_of::<RawEvent>() == size_of::<usize>());
assert_not_impl_any!(RawEvent: Event);

impl RawEvent {
    /// The schema version of a payload that states none: `1.0`.
    pub const DEFAULT_SCHEMA_VERSION: &'static str = "1.0";

    /// Bytes under a type name, with schema version `1.0`.
    ///
    /// ```
    /// use integration_automation_patterns::RawEvent;
    ///
    /// assert_eq!(
    ///     RawEvent::new("ping", b"{}").schema_version(),
    ///     RawEvent::DEFAULT_SCHEMA_VERSION
    /// );
    /// ```
    pub fn new(
        event_type: impl Into<Cow<'static, str>>,
        bytes: impl Into<Vec<u8>>,
    ) -> Self {
        Self(Box::new(Parts {
            event_type: event_type.into(),
            schema_version: Cow::Borrowed(Self::DEFAULT_SCHEMA_VERSION),
            bytes: bytes.into(),
        }))
    }

    /// The same payload under the schema version that its sender states.
    #[must_use = "this gives the changed payload back"]
    pub fn with_schema_version(mut self, version: impl Into<Cow<'static, str>>) -> Self {
        self.0.schema_version = version.into();
        self
    }

    /// What happened, in the sender's words.
    pub fn event_type(&self) -> &str {
        &self.0.event_type
    }

    /// The version of the schema that the sender wrote these bytes under.
    pub fn schema_version(&self) -> &str {
        &self.0.schema_version
    }

    /// The typed event, once type and schema version are the ones that it declares.
    pub(super) fn read_as<'e, P: Event, E>(
        &'e self,
        decoder: impl FnOnce(&'e [u8]) -> Result<P, E>,
    ) -> Result<P, DecodeError<E>> {
        P::check(self.event_type()).map_err(DecodeError::Build)?;
        P::expect(self.event_type(), self.schema_version())
            .map_err(DecodeError::WrongEvent)?;
        decoder(self.bytes()).map_err(DecodeError::Payload)
    }

    /// The bytes, as received.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    #[cfg(feature = "cloudevents")]
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0.bytes
    }
}

impl fmt::Debug for RawEvent {
    /// Type, schema version and length; never the bytes, which may hold what no log
    /// should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawEvent")
            .field("event_type", &self.event_type())
            .field("schema_version", &self.schema_version())
            .field("length", &self.bytes().len())
            .finish()
    }
}
