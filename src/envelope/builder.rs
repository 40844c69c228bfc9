//! `EnvelopeBuilder`: how an envelope begins, as pending.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Datelike, Utc};

use super::Envelope;
use super::event::{BuildError, Payload};
use super::facts::{Extras, Facts, ORDERING_KEY};
use super::history::to_micros;
use super::id::EventId;
use super::state::{Dispatched, Pending};
use crate::refused::Refused;
use crate::retry::RetryPolicy;

/// What an envelope is built from: begun by [`Envelope::builder`], ended by
/// [`build`](Self::build) or, with a given time, by [`build_at`](Self::build_at).
///
/// ```
/// use integration_automation_patterns::{Envelope, RawEvent};
///
/// let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
///     .id("evt-001".parse()?)
///     .correlation_id("import-7")
///     .tag("region", "eu-west-1")
///     .build_at("2026-01-05T08:00:00Z".parse()?)?;
/// assert_eq!(event.attempts(), 0);
/// assert_eq!(event.correlation_id(), Some("import-7"));
/// assert_eq!(event.tags()["region"], "eu-west-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder makes nothing before `build` or `build_at`"]
pub struct EnvelopeBuilder<P> {
    source_system: Cow<'static, str>,
    payload: P,
    id: Option<EventId>,
    extras: Option<Box<Extras>>,
}

impl Envelope<Pending> {
    /// Begins an envelope: where the event comes from, and what it carries.
    ///
    /// The rest has defaults: a fresh id, no correlation, no tags, the retry policy of
    /// the payload's kind, and the present time.
    #[inline]
    pub fn builder<P>(
        source_system: impl SourceSystem,
        payload: P,
    ) -> EnvelopeBuilder<P> {
        EnvelopeBuilder {
            source_system: source_system.into(),
            payload,
            id: None,
            extras: None,
        }
    }
}

impl<P> EnvelopeBuilder<P> {
    /// The id, where another system gave one or it is derived; a fresh one otherwise.
    #[inline]
    pub fn id(mut self, id: EventId) -> Self {
        self.id = Some(id);
        self
    }

    /// The system that the event comes from, in place of the one that the builder began
    /// with.
    pub fn source_system(mut self, source_system: impl SourceSystem) -> Self {
        self.source_system = source_system.into();
        self
    }

    /// The workflow, request or transaction that the event belongs to; an empty text is
    /// none.
    pub fn correlation_id(mut self, correlation_id: impl Into<String>) -> Self {
        let correlation_id = correlation_id.into();
        self.extras.get_or_insert_default().correlation_id =
            Some(correlation_id).filter(|text| !text.is_empty());
        self
    }

    /// A free label; the last value of a key counts.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.extras.get_or_insert_default().tags.insert(key.into(), value.into());
        self
    }

    /// What this event must stay in order with, such as the id of the record that it
    /// changes: events of one key are delivered one after another. It is kept under the
    /// tag `ordering_key`; an empty key counts as none.
    ///
    /// ```
    /// use integration_automation_patterns::{Envelope, RawEvent};
    ///
    /// let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
    ///     .ordering_key("lead-7")
    ///     .build()?;
    /// assert_eq!(event.ordering_key(), Some("lead-7"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("partition key", "message group"))]
    pub fn ordering_key(mut self, key: impl Into<String>) -> Self {
        let key = key.into();
        let tags = &mut self.extras.get_or_insert_default().tags;
        if key.is_empty() {
            tags.remove(ORDERING_KEY);
        } else {
            tags.insert(ORDERING_KEY.to_owned(), key);
        }
        self
    }

    /// How this event is retried, in place of the policy of its kind.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.extras.get_or_insert_default().retry_policy = Some(policy);
        self
    }

    /// The envelope, created now.
    ///
    /// The twin that takes the time is [`build_at`](Self::build_at).
    ///
    /// # Errors
    ///
    /// [`BuildError`], with the builder given back, where the event type or the source
    /// system is empty, or a typed event declares a type that is not
    /// `domain.entity.action`.
    ///
    /// # Panics
    ///
    /// Where a fresh id is wanted, as [`EventId::generate`].
    #[inline]
    pub fn build(self) -> Result<Envelope<Pending, P>, Refused<Self, BuildError>>
    where
        P: Payload,
    {
        self.finish(Utc::now(), |_| EventId::generate())
    }

    /// The envelope, created at a given time, which is kept to the microsecond. A fresh
    /// id carries the same time.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and where the year has more than four digits or is
    /// negative.
    ///
    /// # Panics
    ///
    /// Where a fresh id is wanted, as [`EventId::generate_at`].
    #[inline]
    pub fn build_at(
        self,
        created_at: DateTime<Utc>,
    ) -> Result<Envelope<Pending, P>, Refused<Self, BuildError>>
    where
        P: Payload,
    {
        self.finish(created_at, EventId::generate_at)
    }

    /// For whoever forgets `build`: it never compiles, and says so.
    #[doc(hidden)]
    pub fn dispatch(self) -> Envelope<Dispatched, P>
    where
        P: Payload,
        Self: Built,
    {
        self.never()
    }

    /// Builds without checks: for received events that must not be lost. The caller has
    /// checked everything.
    #[cfg(all(feature = "delivery", feature = "cloudevents"))]
    pub(crate) fn build_whatever_it_says(
        self,
        created_at: DateTime<Utc>,
    ) -> Envelope<Pending, P>
    where
        P: Payload,
    {
        self.make(to_micros(created_at), EventId::generate_at)
    }

    /// What it began with, where nothing was built.
    #[cfg(feature = "cloudevents")]
    pub(crate) fn into_payload(self) -> P {
        self.payload
    }

    // Too large for rustc to inline of itself, and only where it is inlined is the
    // envelope written where it stays: a copy of what was just written costs more than
    // all that is done here.
    #[inline(always)]
    fn finish(
        self,
        created_at: DateTime<Utc>,
        fresh: impl FnOnce(DateTime<Utc>) -> EventId,
    ) -> Result<Envelope<Pending, P>, Refused<Self, BuildError>>
    where
        P: Payload,
    {
        let created_at = to_micros(created_at);
        match check::<P>(self.payload.event_type(), &self.source_system, created_at) {
            Ok(()) => Ok(self.make(created_at, fresh)),
            // Another builder of the same fields: one that is handed to a call must stand
            // in memory, even where it never is.
            Err(cause) => Err(refused(Self { ..self }, cause)),
        }
    }

    #[inline]
    fn make(
        self,
        created_at: DateTime<Utc>,
        fresh: impl FnOnce(DateTime<Utc>) -> EventId,
    ) -> Envelope<Pending, P>
    where
        P: Payload,
    {
        Envelope::new(Facts {
            id: self.id.unwrap_or_else(|| fresh(created_at)),
            source_system: self.source_system,
            extras: self.extras,
            created_at,
            attempts: 0,
            payload: self.payload,
        })
    }
}

/// The system that an event comes from: every text that lives as long as it is needed, such
/// as a literal or a `String`.
#[diagnostic::on_unimplemented(
    message = "an event's source system is a text, and `{Self}` is none",
    label = "needs the name of a system, such as `\"crm\"`: it stands before the payload"
)]
pub trait SourceSystem: Into<Cow<'static, str>> {}

#[diagnostic::do_not_recommend]
impl<T: Into<Cow<'static, str>>> SourceSystem for T {}

/// What has begun its lifecycle. A builder has not: it is in the bounds of its verbs for the
/// words of the error.
#[diagnostic::on_unimplemented(
    message = "an event has no lifecycle before its envelope is built",
    label = "call `.build()?` before this"
)]
pub trait Built {
    #[doc(hidden)]
    fn never<T>(self) -> T;
}

/// Apart, so that what is rare takes no room where the rest is inlined.
#[cold]
#[inline(never)]
fn refused<P>(
    builder: EnvelopeBuilder<P>,
    cause: BuildError,
) -> Refused<EnvelopeBuilder<P>, BuildError> {
    Refused::new(builder, cause)
}

/// What holds of every envelope, whatever its state: a builder and a stored record answer
/// to the same rules.
#[inline]
pub(super) fn check<P: Payload>(
    event_type: &str,
    source_system: &str,
    created_at: DateTime<Utc>,
) -> Result<(), BuildError> {
    P::check(event_type)?;
    if source_system.is_empty() {
        return Err(BuildError::EmptySourceSystem);
    }
    let year = created_at.naive_utc().year();
    if !(0..=9999).contains(&year) {
        return Err(BuildError::YearOutOfRange { found: year });
    }
    Ok(())
}

impl<P> fmt::Debug for EnvelopeBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvelopeBuilder")
            .field("source_system", &self.source_system)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
