//! Reading an event by reference as the typed event that it says it is.

use std::error::Error;
use std::fmt;

use super::event::{DecodeError, Event, RawEvent};
use super::facts::Facts;

type BoxedError = Box<dyn Error + Send + Sync>;

impl Facts<RawEvent> {
    /// Reads the payload as a typed event, once its type and schema version are the ones
    /// that `P` declares. The event stays where it is;
    /// [`decode`](crate::Envelope::decode) gives a typed envelope in its place.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: another type or schema version than wanted, or what the decoder
    /// answers. In a handler, `?` makes it a permanent failure.
    ///
    /// ```
    /// use integration_automation_patterns::{Envelope, Event, RawEvent};
    /// use std::str::Utf8Error;
    ///
    /// struct LeadCreated(String);
    /// impl Event for LeadCreated {
    ///     const TYPE: &'static str = "crm.lead.created";
    /// }
    /// fn decode(bytes: &[u8]) -> Result<LeadCreated, Utf8Error> {
    ///     Ok(LeadCreated(std::str::from_utf8(bytes)?.to_owned()))
    /// }
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", "Ada")).build()?;
    /// let lead = event.read(decode)?;
    /// assert_eq!(lead.0, "Ada");
    ///
    /// let other =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.closed", "Ada")).build()?;
    /// assert!(other.read(decode).is_err(), "it is another event");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read<'e, P: Event, E: Into<BoxedError>>(
        &'e self,
        decoder: impl FnOnce(&'e [u8]) -> Result<P, E>,
    ) -> Result<P, ReadError> {
        let decoder = |bytes| decoder(bytes).map_err(Into::into);
        self.payload().read_as(decoder).map_err(ReadError)
    }

    /// Reads a payload of JSON: [`read`](Self::read) with serde's decoder.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read). It says where the JSON is wrong, and quotes no value.
    ///
    /// ```
    /// use integration_automation_patterns::{Envelope, Event, RawEvent};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct LeadCreated {
    ///     name: String,
    /// }
    /// impl Event for LeadCreated {
    ///     const TYPE: &'static str = "crm.lead.created";
    /// }
    ///
    /// let payload = RawEvent::new("crm.lead.created", br#"{"name":"Ada"}"#);
    /// let event = Envelope::builder("crm", payload).build()?;
    /// assert_eq!(event.read_json::<LeadCreated>()?.name, "Ada");
    ///
    /// let payload = RawEvent::new("crm.lead.created", br#"{"name":["Ada"]}"#);
    /// let event = Envelope::builder("crm", payload).build()?;
    /// let refused = event.read_json::<LeadCreated>().err().ok_or("not a text")?;
    /// assert!(!format!("{refused:?}").contains("Ada"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "serde")]
    #[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
    pub fn read_json<'e, P: Event + serde::Deserialize<'e>>(
        &'e self,
    ) -> Result<P, ReadError> {
        self.read(|bytes| {
            let read = serde_json::from_slice(bytes);
            read.map_err(|error| crate::json_error::JsonError::from(&error))
        })
    }
}

/// An event could not be read as the typed event that was wanted.
///
/// ```
/// use integration_automation_patterns::event::DecodeError;
/// use integration_automation_patterns::{Envelope, Event, RawEvent, ReadError};
///
/// #[derive(Debug)]
/// struct LeadCreated;
/// impl Event for LeadCreated {
///     const TYPE: &'static str = "crm.lead.created";
/// }
///
/// let event =
///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"")).build()?;
/// let poison: ReadError =
///     event.read(|_| Err::<LeadCreated, _>("unexpected end")).unwrap_err();
/// assert!(matches!(poison.cause(), DecodeError::Payload(_)));
/// assert_eq!(poison.to_string(), "the payload cannot be decoded");
/// let cause = std::error::Error::source(&poison).ok_or("what the decoder answered")?;
/// assert_eq!(cause.to_string(), "unexpected end");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ReadError(DecodeError<BoxedError>);

impl ReadError {
    /// Why: it is another event, or its bytes are not what its type says.
    pub const fn cause(&self) -> &DecodeError<BoxedError> {
        &self.0
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            DecodeError::Payload(cause) => Some(&**cause),
            DecodeError::WrongEvent(_) | DecodeError::Build(_) => None,
        }
    }
}
