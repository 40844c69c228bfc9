//! `Envelope`: one event on its way from system to system, in a state that the compiler
//! knows.

mod builder;
mod erased;
// Shown at the root. Hidden from rustdoc alone: rustc does not print the names of what is
// always hidden.
#[cfg_attr(doc, doc(hidden))]
pub mod event;
mod facts;
mod follow;
mod history;
mod id;
mod raw;
mod read;
mod record;
#[cfg_attr(doc, doc(hidden))]
pub mod state;
mod steps;

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use static_assertions::{assert_impl_all, assert_not_impl_any, const_assert};

pub use self::builder::{Built, EnvelopeBuilder, SourceSystem};
pub use self::erased::{AnyEnvelope, WrongStateError};
use self::event::DecodeError;
pub(crate) use self::event::{Event, Payload, RawEvent};
pub use self::facts::Facts;
#[cfg(any(feature = "cloudevents", feature = "postgres", feature = "sqlite"))]
pub(crate) use self::facts::KEY_AFTER;
#[cfg(feature = "cloudevents")]
pub(crate) use self::facts::ORDERING_KEY;
pub(crate) use self::history::to_micros;
pub use self::history::{Decision, DecisionError, Failure, FailureClass};
pub(crate) use self::id::UUID_TEXT;
pub use self::id::{EmptyIdError, EventId};
pub use self::read::ReadError;
pub use self::record::{Record, RehydrateError};
pub use self::steps::{AfterFailure, Matched};

use self::state::{DeliveryStatus, Dispatched, Pending, State, Step};
use crate::refused::Refused;

/// One event on its way, in a state, with a payload.
///
/// It begins as [`Pending`] (see [`Envelope::builder`]) and goes from state to state by
/// its verbs. Each verb takes the envelope and gives it back in its next state, and
/// exists only where the [lifecycle](state) has that step: an illegal step does not
/// compile. [`Facts`] lists what every state can be asked.
///
/// | verb | takes it to | |
/// |---|---|---|
/// | [`dispatch`](Self::dispatch) | `Dispatched` | counts the attempt; comes before the send |
/// | [`acknowledge`](Self::acknowledge) | `Acknowledged` | the receiver holds it |
/// | [`process`](Self::process) | `Processed` | the receiver has acted on it |
/// | [`fail`](Self::fail) | `Retrying` or `Failed` | a transient failure; the budget decides |
/// | [`reject`](Self::reject) | `Failed` | a permanent failure |
/// | [`skip`](Self::skip) | `Skipped` | left out on purpose |
/// | [`redrive`](Self::redrive) | `Pending` | a person gives a dead letter a new budget |
/// | [`discard`](Self::discard) | `Skipped` | a person gives a dead letter up |
///
/// An envelope cannot be cloned, and only the builder and [`Record::rehydrate`] make one.
///
/// ```
/// use integration_automation_patterns::{Envelope, RawEvent};
///
/// let event =
///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
/// let done = event.dispatch().acknowledge().process();
/// assert_eq!(done.attempts(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// To hold envelopes of several states in one place, or to store one, see [`AnyEnvelope`]
/// and [`Record`].
#[must_use = "an envelope is an event that somebody waits for: take its next step, or store it as an `AnyEnvelope`"]
pub struct Envelope<InState: State, P = RawEvent> {
    facts: Facts<P>,
    state: PhantomData<InState>,
}

const_assert!(size_of::<Envelope<Pending>>() <= 80);
const_assert!(size_of::<Envelope<Dispatched>>() == size_of::<Facts<RawEvent>>());
assert_impl_all!(Envelope<Pending>: Send, Sync, fmt::Debug);
assert_not_impl_any!(Envelope<Pending>: Clone, Default, std::str::FromStr);
#[cfg(test)]
assert_not_impl_any!(Envelope<Pending>: serde::de::DeserializeOwned);

impl<S: State, P: Payload> Envelope<S, P> {
    /// The state, as a value.
    pub const fn status(&self) -> DeliveryStatus {
        S::STATUS
    }

    /// Sets a label, and gives back the one that stood there.
    ///
    /// ```
    /// use integration_automation_patterns::{Envelope, RawEvent};
    ///
    /// let mut event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// assert_eq!(event.set_tag("region", "eu-west-1"), None);
    /// assert_eq!(event.tags()["region"], "eu-west-1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_tag(
        &mut self,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Option<String> {
        self.facts.extras_mut().tags.insert(key.into(), value.into())
    }

    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    /// The same event, retried as the program that now holds it says.
    #[cfg(feature = "delivery")]
    pub(crate) fn with_retry_policy(mut self, policy: crate::RetryPolicy) -> Self {
        self.facts.extras_mut().retry_policy = Some(policy);
        self
    }

    /// A record of this moment, which leaves the envelope where it is: store it, then
    /// send.
    ///
    /// ```
    /// use integration_automation_patterns::{DeliveryStatus, Envelope, RawEvent};
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// let sent = event.dispatch();
    /// assert_eq!(sent.to_record().status, DeliveryStatus::Dispatched);
    /// assert_eq!(sent.process().attempts(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_record(&self) -> Record<P::Body>
    where
        P::Body: Clone,
    {
        Record::of(self, S::STATUS, self.payload().body().clone())
    }

    /// A record of this moment with the payload in another form, such as bytes for a
    /// column.
    ///
    /// # Errors
    ///
    /// The encoder's error.
    ///
    /// ```
    /// use integration_automation_patterns::{Envelope, Event};
    /// use std::convert::Infallible;
    ///
    /// struct LeadCreated(u8);
    /// impl Event for LeadCreated {
    ///     const TYPE: &'static str = "crm.lead.created";
    /// }
    ///
    /// let event = Envelope::builder("crm", LeadCreated(7)).build()?;
    /// let record = event.to_record_with(|lead| Ok::<_, Infallible>(vec![lead.0]))?;
    /// assert_eq!(record.payload, [7]);
    /// assert_eq!(event.dispatch().payload().0, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_record_with<B, E>(
        &self,
        encoder: impl FnOnce(&P) -> Result<B, E>,
    ) -> Result<Record<B>, E> {
        Ok(Record::of(self, S::STATUS, encoder(self.payload())?))
    }

    /// The same envelope with its payload as bytes, for an outbox or a wire.
    ///
    /// # Errors
    ///
    /// The encoder's error, with the envelope given back.
    ///
    /// ```
    /// use integration_automation_patterns::{Envelope, Event};
    /// use std::convert::Infallible;
    ///
    /// struct LeadCreated(u8);
    /// impl Event for LeadCreated {
    ///     const TYPE: &'static str = "crm.lead.created";
    /// }
    ///
    /// let event = Envelope::builder("crm", LeadCreated(7)).build()?;
    /// let raw = event.encode(|lead| Ok::<_, Infallible>(vec![lead.0]))?;
    /// assert_eq!(raw.payload().bytes(), [7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encode<E>(
        self,
        encoder: impl FnOnce(&P) -> Result<Vec<u8>, E>,
    ) -> Result<Envelope<S, RawEvent>, Refused<Self, E>> {
        let bytes = match encoder(self.payload()) {
            Ok(bytes) => bytes,
            Err(cause) => return Err(Refused::new(self, cause)),
        };
        Ok(Envelope::new(self.facts.with_payload(|payload| {
            RawEvent::new(payload.event_type().to_owned(), bytes)
                .with_schema_version(payload.schema_version().to_owned())
        })))
    }

    /// An envelope around facts that have been checked.
    fn new(facts: Facts<P>) -> Self {
        Self { facts, state: PhantomData }
    }

    /// A legal step.
    #[inline]
    fn step<To: State, By>(self) -> Envelope<To, P>
    where
        S: Step<To, By>,
    {
        self.become_state()
    }

    /// Another state, whatever the lifecycle says: for the step above, and for the forms
    /// that know the state as a value.
    #[inline]
    fn become_state<To: State>(self) -> Envelope<To, P> {
        Envelope::new(self.facts)
    }
}

impl<S: State> Envelope<S, RawEvent> {
    /// Reads the payload as a typed event, once its type and schema version are the ones
    /// that `P` declares.
    ///
    /// The decoder takes bytes that live as long as it likes, so that it borrows nothing
    /// of them: hand in `|bytes| serde_json::from_slice(bytes)`, or call
    /// `decode_json`, of the feature `serde`, where `serde_json::from_slice` alone is "not
    /// general enough". An event that is only lent is [`read`](Facts::read).
    ///
    /// # Errors
    ///
    /// [`DecodeError`], with the envelope given back as it was: another type or schema
    /// version than wanted, or the decoder's error. If that implements
    /// [`Error`](std::error::Error), it is the source of this one. (A `Box<dyn Error>`
    /// does not.)
    ///
    /// ```
    /// use integration_automation_patterns::{Envelope, Event, RawEvent};
    /// use std::str::Utf8Error;
    ///
    /// struct LeadCreated(String);
    /// impl Event for LeadCreated {
    ///     const TYPE: &'static str = "crm.lead.created";
    ///     const SCHEMA_VERSION: &'static str = "2.0";
    /// }
    /// fn decode(bytes: &[u8]) -> Result<LeadCreated, Utf8Error> {
    ///     Ok(LeadCreated(std::str::from_utf8(bytes)?.to_owned()))
    /// }
    ///
    /// let old =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", "L-7")).build()?;
    /// let refused = old.decode(decode).unwrap_err();
    /// assert_eq!(
    ///     refused.to_string(),
    ///     r#"wanted schema version "2.0", and found "1.0""#
    /// );
    /// refused.into_value().skip("schema version 1.0 is no longer read");
    ///
    /// let lead = RawEvent::new("crm.lead.created", "L-7").with_schema_version("2.0");
    /// let new = Envelope::builder("crm", lead).build()?.decode(decode)?;
    /// assert_eq!(new.payload().0, "L-7");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decode<P: Event, E>(
        self, // an event that is only lent is read: `event.read(..)`
        decoder: impl FnOnce(&[u8]) -> Result<P, E>,
    ) -> Result<Envelope<S, P>, Refused<Self, DecodeError<E>>> {
        match self.payload().read_as(decoder) {
            Ok(typed) => Ok(Envelope::new(self.facts.with_payload(|_| typed))),
            Err(cause) => Err(Refused::new(self, cause)),
        }
    }

    /// Reads a payload of JSON: [`decode`](Self::decode) with serde's decoder.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
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
    /// assert_eq!(event.decode_json::<LeadCreated>()?.payload().name, "Ada");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "serde")]
    #[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
    pub fn decode_json<P: Event + serde::de::DeserializeOwned>(
        self,
    ) -> Result<Envelope<S, P>, Refused<Self, DecodeError<serde_json::Error>>> {
        self.decode(|bytes| serde_json::from_slice(bytes))
    }
}

impl<S: State, P: Payload> Deref for Envelope<S, P> {
    type Target = Facts<P>;

    fn deref(&self) -> &Facts<P> {
        &self.facts
    }
}

impl<S: State, P: Payload> fmt::Debug for Envelope<S, P> {
    /// State, id, type, source and attempts; never the payload, which may hold what no
    /// log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Envelope<{:?}>", S::STATUS)?;
        f.debug_struct("")
            .field("id", self.id())
            .field("event_type", &self.event_type())
            .field("source_system", &self.source_system())
            .field("attempts", &self.attempts())
            .finish_non_exhaustive()
    }
}
