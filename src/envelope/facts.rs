//! What an envelope carries in every state: the facts that no step changes, the attempts,
//! and the history.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use static_assertions::const_assert;

use super::event::Payload;
use super::history::{Decision, Failure};
use super::id::EventId;
use crate::RetryPolicy;

/// What an envelope carries in every state, to read.
///
/// [`Envelope`](crate::Envelope) and [`AnyEnvelope`](crate::AnyEnvelope) both dereference
/// to it: what can be asked of an event does not depend on its state; what can be done
/// with it does.
///
/// ```
/// use integration_automation_patterns::{
///     AnyEnvelope, Envelope, RawEvent, RetryPolicy,
/// };
///
/// let payload = RawEvent::new("crm.lead.created", b"{}").with_schema_version("1.2");
/// let event = Envelope::builder("crm", payload)
///     .id("evt-001".parse()?)
///     .correlation_id("import-7")
///     .tag("region", "eu-west-1")
///     .build_at("2026-01-05T08:00:00Z".parse()?)?;
/// let any = AnyEnvelope::from(event.dispatch());
/// assert_eq!(any.id().to_string(), "evt-001");
/// assert_eq!((any.event_type(), any.schema_version()), ("crm.lead.created", "1.2"));
/// assert_eq!(
///     (any.source_system(), any.correlation_id()),
///     ("crm", Some("import-7"))
/// );
/// assert_eq!(any.payload().bytes(), b"{}");
/// assert_eq!(any.created_at().to_rfc3339(), "2026-01-05T08:00:00+00:00");
/// assert_eq!((any.attempts(), any.retry_policy()), (1, RetryPolicy::DEFAULT));
/// assert_eq!(any.tags()["region"], "eu-west-1");
/// assert!(
///     any.failure().is_none()
///         && any.redriven().is_none()
///         && any.discarded().is_none()
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[allow(
    missing_debug_implementations,
    reason = "the two envelopes have one each, that leaves the payload out"
)]
pub struct Facts<P> {
    pub(super) id: EventId,
    pub(super) source_system: Cow<'static, str>,
    pub(super) extras: Option<Box<Extras>>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) attempts: u32,
    pub(super) payload: P,
}

const_assert!(size_of::<Facts<()>>() <= 80);

/// What most envelopes of a typed event do not have: one allocation where there is any of
/// it.
#[derive(Default, PartialEq)]
pub(super) struct Extras {
    pub(super) correlation_id: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
    /// Where it is not the payload's own.
    pub(super) retry_policy: Option<RetryPolicy>,
    pub(super) failure: Option<Failure>,
    pub(super) redriven: Option<Decision>,
    pub(super) discarded: Option<Decision>,
}

/// The tag under which the reason of a skipped event is kept.
pub(super) const SKIP_REASON: &str = "skip_reason";

/// The tag under which the ordering key is kept.
pub(crate) const ORDERING_KEY: &str = "ordering_key";

/// The tag, and the attribute of a CloudEvent, under which an event of an ordering key
/// names the one before it.
#[cfg(any(feature = "cloudevents", feature = "delivery"))]
pub(crate) const KEY_AFTER: &str = "keyafter";

impl<P: Payload> Facts<P> {
    /// The id, which is the idempotency key.
    pub fn id(&self) -> &EventId {
        &self.id
    }

    /// What happened: `domain.entity.action`, or what another system calls it.
    pub fn event_type(&self) -> &str {
        self.payload.event_type()
    }

    /// The version of the payload's schema.
    pub fn schema_version(&self) -> &str {
        self.payload.schema_version()
    }

    /// The system that the event comes from.
    pub fn source_system(&self) -> &str {
        &self.source_system
    }

    /// The business data.
    pub fn payload(&self) -> &P {
        &self.payload
    }

    /// The workflow, request or transaction that the event belongs to.
    pub fn correlation_id(&self) -> Option<&str> {
        self.extras.as_ref()?.correlation_id.as_deref()
    }

    /// When the event was created, to the microsecond. Wall-clock time: not an order of
    /// events.
    pub fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// The number of attempts made so far, since the event was created or last redriven.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How the event is retried: the policy it was built with, or that of its kind.
    pub fn retry_policy(&self) -> RetryPolicy {
        self.extras
            .as_ref()
            .and_then(|extras| extras.retry_policy)
            .unwrap_or_else(P::default_retry_policy)
    }

    /// Free labels, for routing and search. The reason of a skipped event is under
    /// `skip_reason`, the key that orders it with others under `ordering_key`.
    pub fn tags(&self) -> &BTreeMap<String, String> {
        static NO_TAGS: BTreeMap<String, String> = BTreeMap::new();
        self.extras.as_ref().map_or(&NO_TAGS, |extras| &extras.tags)
    }

    /// What this event must stay in order with: events of one key are delivered one after
    /// another. It is kept under the tag `ordering_key`.
    pub fn ordering_key(&self) -> Option<&str> {
        self.tags().get(ORDERING_KEY).map(String::as_str)
    }

    /// The last failure of an attempt; a retrying or failed event has one.
    pub fn failure(&self) -> Option<&Failure> {
        self.extras.as_ref()?.failure.as_ref()
    }

    /// The last decision that gave a dead letter a new budget, where one did.
    pub fn redriven(&self) -> Option<&Decision> {
        self.extras.as_ref()?.redriven.as_ref()
    }

    /// The decision that discarded a dead letter, where one did.
    pub fn discarded(&self) -> Option<&Decision> {
        self.extras.as_ref()?.discarded.as_ref()
    }

    pub(super) fn extras_mut(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    /// The start of the time that delivery may take.
    pub(super) fn started_at(&self) -> DateTime<Utc> {
        self.redriven().map_or(self.created_at, Decision::at)
    }

    /// When the next attempt is due, after the failure that is on record.
    pub(super) fn next_attempt_after(
        &self,
        failed_at: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        self.retry_policy().next_attempt_at(
            &self.id,
            self.attempts,
            self.started_at(),
            failed_at,
        )
    }

    /// The same facts about another form of the payload, with the policy that was in
    /// force.
    pub(super) fn with_payload<Q: Payload>(
        self,
        payload: impl FnOnce(P) -> Q,
    ) -> Facts<Q> {
        let policy = self.retry_policy();
        let Self { id, source_system, extras, created_at, attempts, payload: old } = self;
        let mut facts = Facts {
            id,
            source_system,
            extras,
            created_at,
            attempts,
            payload: payload(old),
        };
        if facts.retry_policy() != policy {
            facts.extras_mut().retry_policy = Some(policy);
        }
        facts
    }
}
