//! `AnyEnvelope`: an envelope whose state is a value, for collections, storage and
//! `match`.

use std::fmt;
use std::ops::Deref;

use static_assertions::{assert_impl_all, assert_not_impl_any, const_assert};

use super::event::{DecodeError, Event, Payload, RawEvent};
use super::facts::Facts;
use super::state::{self, DeliveryStatus, State, lifecycle};
use super::{AfterFailure, Envelope};
use crate::refused::Refused;

macro_rules! any_envelope {
    ($($(#[$doc:meta])* $state:ident $text:ident program $program:tt person $person:tt;)*) => {
        /// An envelope in any state: one variant for each, with the typed envelope in it.
        /// The list is complete, as the lifecycle is, so that a match needs no `_`.
        ///
        /// Envelopes of different states live in one collection as this. A typed one
        /// comes in by `From`, and goes out by `match` or by `TryFrom`, which gives the
        /// envelope back where it is in another state. Stored data comes in by
        /// [`Record::rehydrate`](crate::Record::rehydrate), and goes out as a
        /// [`Record`](crate::Record).
        ///
        /// ```
        /// use integration_automation_patterns::{
        ///     AnyEnvelope, DeliveryStatus, Envelope, RawEvent,
        /// };
        ///
        /// let event = |bytes: &str| {
        ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", bytes)).build()
        /// };
        /// let list: Vec<AnyEnvelope> =
        ///     vec![event("1")?.into(), event("2")?.dispatch().process().into()];
        /// for any in list {
        ///     match any {
        ///         AnyEnvelope::Pending(event) => {
        ///             assert_eq!(event.dispatch().attempts(), 1);
        ///         }
        ///         done => assert_eq!(done.status(), DeliveryStatus::Processed),
        ///     }
        /// }
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[must_use = "an envelope is an event that somebody waits for: take its next step, or store it"]
        pub enum AnyEnvelope<P: Payload = RawEvent> {
            $($(#[$doc])* $state(Envelope<state::$state, P>),)*
        }

        impl<P: Payload> AnyEnvelope<P> {
            /// The state, as a value.
            pub const fn status(&self) -> DeliveryStatus {
                match self {
                    $(Self::$state(_) => DeliveryStatus::$state,)*
                }
            }

            pub(super) fn into_facts(self) -> (Facts<P>, DeliveryStatus) {
                match self {
                    $(Self::$state(envelope) => (envelope.facts, DeliveryStatus::$state),)*
                }
            }

            pub(super) fn from_facts(facts: Facts<P>, status: DeliveryStatus) -> Self {
                match status {
                    $(DeliveryStatus::$state => Self::$state(Envelope::new(facts)),)*
                }
            }
        }

        impl<P: Payload> Deref for AnyEnvelope<P> {
            type Target = Facts<P>;

            fn deref(&self) -> &Facts<P> {
                match self {
                    $(Self::$state(envelope) => &envelope.facts,)*
                }
            }
        }

        impl<P: Payload> fmt::Debug for AnyEnvelope<P> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$state(envelope) => envelope.fmt(f),)*
                }
            }
        }
    };
}

lifecycle!(any_envelope);

const_assert!(size_of::<AnyEnvelope>() <= 88);
assert_impl_all!(AnyEnvelope: Send, Sync);
assert_not_impl_any!(AnyEnvelope: Clone, Default);
#[cfg(test)]
assert_not_impl_any!(AnyEnvelope: serde::de::DeserializeOwned);

impl AnyEnvelope<RawEvent> {
    /// Reads the payload as a typed event, whatever the state: as [`Envelope::decode`].
    ///
    /// # Errors
    ///
    /// [`DecodeError`], with the envelope given back as it was.
    ///
    /// ```
    /// use integration_automation_patterns::{AnyEnvelope, Envelope, Event, RawEvent};
    /// use std::convert::Infallible;
    ///
    /// struct LeadCreated(usize);
    /// impl Event for LeadCreated {
    ///     const TYPE: &'static str = "crm.lead.created";
    /// }
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// let any = AnyEnvelope::from(event.dispatch());
    /// let typed = any.decode(|bytes| Ok::<_, Infallible>(LeadCreated(bytes.len())))?;
    /// assert_eq!(typed.payload().0, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decode<P: Event, E>(
        self,
        decoder: impl FnOnce(&[u8]) -> Result<P, E>,
    ) -> Result<AnyEnvelope<P>, Refused<Self, DecodeError<E>>> {
        match self.payload().read_as(decoder) {
            Ok(typed) => {
                let (facts, status) = self.into_facts();
                Ok(AnyEnvelope::from_facts(facts.with_payload(|_| typed), status))
            }
            Err(cause) => Err(Refused::new(self, cause)),
        }
    }
}

impl<S: State, P: Payload> From<Envelope<S, P>> for AnyEnvelope<P> {
    fn from(envelope: Envelope<S, P>) -> Self {
        Self::from_facts(envelope.facts, S::STATUS)
    }
}

impl<P: Payload> From<AfterFailure<P>> for AnyEnvelope<P> {
    fn from(after: AfterFailure<P>) -> Self {
        match after {
            AfterFailure::Retrying(envelope) => envelope.into(),
            AfterFailure::Failed(envelope) => envelope.into(),
        }
    }
}

impl<S: State, P: Payload> TryFrom<AnyEnvelope<P>> for Envelope<S, P> {
    type Error = Refused<AnyEnvelope<P>, WrongStateError>;

    /// The typed envelope, where it is in state `S`.
    ///
    /// # Errors
    ///
    /// [`WrongStateError`], with the envelope given back.
    fn try_from(any: AnyEnvelope<P>) -> Result<Self, Self::Error> {
        let found = any.status();
        if found == S::STATUS {
            Ok(Self::new(any.into_facts().0))
        } else {
            Err(Refused::new(any, WrongStateError { wanted: S::STATUS, found }))
        }
    }
}

/// An envelope was wanted in one state, and is in another.
///
/// ```
/// use integration_automation_patterns::state::Failed;
/// use integration_automation_patterns::{
///     AnyEnvelope, DeliveryStatus, Envelope, RawEvent,
/// };
///
/// let event =
///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
/// let any = AnyEnvelope::from(event);
/// let refused = Envelope::<Failed>::try_from(any).unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "wanted an event that is failed, and found one that is pending"
/// );
/// assert_eq!(refused.into_value().status(), DeliveryStatus::Pending);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrongStateError {
    /// The state that was asked for.
    pub wanted: DeliveryStatus,
    /// The state that the envelope is in.
    pub found: DeliveryStatus,
}

impl fmt::Display for WrongStateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "wanted an event that is {}, and found one that is {}",
            self.wanted, self.found
        )
    }
}

impl std::error::Error for WrongStateError {}
