//! `Builder`: how an envelope begins, as pending.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Datelike, Utc};

use super::Envelope;
use super::event::{Malformed, Payload};
use super::facts::Facts;
use super::history::to_micros;
use super::id::EventId;
use super::state::Pending;
use crate::refused::Refused;
use crate::retry::RetryPolicy;

/// What an envelope is built from: begun by [`Envelope::builder`], ended by [`build`](Self::build) or, with a given
/// time, by [`build_at`](Self::build_at).
///
/// ```
/// use integration_automation_patterns::{Envelope, Untyped};
///
/// let event = Envelope::builder("crm", Untyped::new("crm.lead.created", b"{}"))
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
pub struct Builder<P> {
    id: Option<EventId>,
    facts: Facts<P>,
}

impl Envelope<Pending> {
    /// Begins an envelope: where the event comes from, and what it carries.
    ///
    /// The rest has defaults: a fresh id, no correlation, no tags, the retry policy of the payload's kind, and the
    /// present time.
    #[inline]
    pub fn builder<P: Payload>(source_system: impl Into<Cow<'static, str>>, payload: P) -> Builder<P> {
        Builder {
            id: None,
            facts: Facts {
                id: EventId::from(uuid::Uuid::nil()),
                source_system: source_system.into(),
                extras: None,
                created_at: DateTime::UNIX_EPOCH,
                attempts: 0,
                payload,
            },
        }
    }
}

impl<P: Payload> Builder<P> {
    /// The id, where another system gave one or it is derived; a fresh one otherwise.
    #[inline]
    pub fn id(mut self, id: EventId) -> Self {
        self.id = Some(id);
        self
    }

    /// The system that the event comes from, in place of the one that the builder began with.
    pub fn source_system(mut self, source_system: impl Into<Cow<'static, str>>) -> Self {
        self.facts.source_system = source_system.into();
        self
    }

    /// The workflow, request or transaction that the event belongs to; an empty text is none.
    pub fn correlation_id(mut self, correlation_id: impl Into<Box<str>>) -> Self {
        let correlation_id = correlation_id.into();
        self.facts.extras_mut().correlation_id = Some(correlation_id).filter(|text| !text.is_empty());
        self
    }

    /// A free label; the last value of a key counts.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.extras_mut().tags.insert(key.into(), value.into());
        self
    }

    /// How this event is retried, in place of the policy of its kind.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.facts.set_retry_policy(policy);
        self
    }

    /// The envelope, created now.
    ///
    /// # Errors
    ///
    /// [`Malformed`], with the builder given back, where the event type or the source system is empty, or a typed
    /// event declares a type that is not `domain.entity.action`.
    pub fn build(self) -> Result<Envelope<Pending, P>, Refused<Self, Malformed>> {
        let id = self.id.or_else(|| Some(EventId::generate()));
        Self { id, ..self }.build_at(Utc::now())
    }

    /// The envelope, created at a given time, which is kept to the microsecond. A fresh id carries the same time.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and where the year has more than four digits or is negative.
    #[inline]
    pub fn build_at(mut self, created_at: DateTime<Utc>) -> Result<Envelope<Pending, P>, Refused<Self, Malformed>> {
        self.facts.created_at = to_micros(created_at);
        if let Err(cause) = check(&self.facts) {
            return Err(Refused::new(self, cause));
        }
        self.facts.id = self.id.unwrap_or_else(|| EventId::generate_at(created_at));
        Ok(Envelope::new(self.facts))
    }
}

/// What holds of every envelope, whatever its state: a builder and a stored record answer to the same rules.
pub(super) fn check<P: Payload>(facts: &Facts<P>) -> Result<(), Malformed> {
    facts.payload.check()?;
    if facts.source_system.is_empty() {
        return Err(Malformed::EmptySourceSystem);
    }
    let year = facts.created_at.naive_utc().year();
    if !(0..=9999).contains(&year) {
        return Err(Malformed::YearOutOfRange { found: year });
    }
    Ok(())
}

impl<P: Payload> fmt::Debug for Builder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("id", &self.id)
            .field("event_type", &self.facts.event_type())
            .field("source_system", &self.facts.source_system())
            .finish_non_exhaustive()
    }
}
