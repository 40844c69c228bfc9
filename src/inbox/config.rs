//! What an inbox takes in, what it leaves to others, and how long it remembers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::intake::tell_fault;
use crate::audit::{Action, AuditTrail};
#[cfg(feature = "cloudevents")]
use crate::broker::UNREADABLE;
use crate::{
    AnyEnvelope, ConfigError, DeliveryStatus, Event, Facts, RawEvent, RetryPolicy,
};

/// What an inbox takes in, and how long it remembers.
///
/// ```
/// use integration_automation_patterns::inbox::InboxConfig;
/// use integration_automation_patterns::{Event, RetryPolicy};
/// use std::time::Duration;
///
/// struct LeadCreated;
/// impl Event for LeadCreated {
///     const TYPE: &'static str = "crm.lead.created";
/// }
///
/// let day = Duration::from_secs(24 * 60 * 60);
/// let config = InboxConfig::new(7 * day, &RetryPolicy::DEFAULT)?.accept::<LeadCreated>();
/// assert_eq!(config.window(), 7 * day);
///
/// let refused = InboxConfig::new(Duration::from_secs(60), &RetryPolicy::DEFAULT).unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "the dedup window: expected longer than 90s, for which the senders retry (what is \
///      forgotten sooner than it is sent again has its effect twice), found \"60s\""
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct InboxConfig {
    window: Duration,
    retry_policy: RetryPolicy,
    pub(super) trail: AuditTrail,
    accepted: Option<BTreeSet<(&'static str, &'static str)>>,
    leave_unknown: Option<Duration>,
    owed: Owed,
}

impl InboxConfig {
    /// An inbox that remembers an event for `window`, where its senders retry as
    /// `senders` says. It takes every event in.
    ///
    /// What is not in that policy is an outage, in which an event that may have arrived
    /// waits and spends no attempt: let the window be longer by the longest that one may
    /// last.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where an event could come again after it was forgotten.
    pub fn new(window: Duration, senders: &RetryPolicy) -> Result<Self, ConfigError> {
        let horizon = senders.horizon();
        if window <= horizon {
            let wanted = format!(
                "longer than {horizon:?}, for which the senders retry (what is forgotten \
                 sooner than it is sent again has its effect twice)"
            );
            return Err(ConfigError::new("dedup window", wanted, format!("{window:?}")));
        }
        Ok(Self {
            window,
            retry_policy: RetryPolicy::DEFAULT,
            trail: AuditTrail::silent(),
            accepted: None,
            leave_unknown: None,
            owed: Owed::default(),
        })
    }

    /// Takes this kind of event in, under its schema version, and no kind that is not
    /// named so. Every other becomes a dead letter, with the reason. Such a dead letter
    /// is no verdict on the event: where a consumer whose rules name its kind and version
    /// gets it once more, it is a first delivery.
    #[must_use = "this gives the changed configuration back"]
    pub fn accept<E: Event>(mut self) -> Self {
        self.accepted.get_or_insert_default().insert((E::TYPE, E::SCHEMA_VERSION));
        self
    }

    /// Leaves an event whose kind or version is [not named](Self::accept) to another
    /// consumer: it becomes no dead letter, nothing is stored, and the broker is asked to
    /// deliver it again after `wait`.
    ///
    /// It is meant for the time of an upgrade, while consumers that know a new kind or
    /// version run beside some that do not yet. Where none ever knows it, it comes again
    /// for ever, and a broker that keeps an order holds back what follows it. A message
    /// that cannot be read is a dead letter all the same.
    ///
    /// ```
    /// use integration_automation_patterns::inbox::InboxConfig;
    /// use integration_automation_patterns::{Event, RetryPolicy};
    /// use std::time::Duration;
    ///
    /// struct LeadCreated;
    /// impl Event for LeadCreated {
    ///     const TYPE: &'static str = "crm.lead.created";
    /// }
    ///
    /// let week = Duration::from_secs(7 * 24 * 60 * 60);
    /// let config = InboxConfig::new(week, &RetryPolicy::DEFAULT)?
    ///     .accept::<LeadCreated>()
    ///     .leave_unknown(Duration::from_secs(5));
    /// assert_eq!(config.window(), week);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "this gives the changed configuration back"]
    pub fn leave_unknown(self, wait: Duration) -> Self {
        Self { leave_unknown: Some(wait), ..self }
    }

    /// How often an effect is tried that fails for the moment, and how long the broker is
    /// asked to wait between. [`RetryPolicy::DEFAULT`] where nothing is said.
    #[must_use = "this gives the changed configuration back"]
    pub fn retry_policy(self, retry_policy: RetryPolicy) -> Self {
        Self { retry_policy, ..self }
    }

    /// Tells a trail of every change of state that this inbox makes, and of every
    /// duplicate: once it is stored.
    #[must_use = "this gives the changed configuration back"]
    pub fn with_audit_trail(self, trail: AuditTrail) -> Self {
        Self { trail, ..self }
    }

    /// How long an event is remembered.
    pub const fn window(&self) -> Duration {
        self.window
    }

    pub(crate) const fn policy(&self) -> RetryPolicy {
        self.retry_policy
    }

    /// Tells the trail what has become of an event.
    pub(crate) fn tell(
        &self,
        action: Action,
        event: &Facts<RawEvent>,
        status: DeliveryStatus,
        at: DateTime<Utc>,
    ) {
        self.trail.record(action, event, status, at);
    }

    /// Tells the trail of a fault that is stored.
    pub(crate) fn tell_fault(&self, event: &AnyEnvelope, at: DateTime<Utc>) {
        tell_fault(&self.trail, event, at);
    }

    /// Why an event is not taken in, where it is not.
    pub(crate) fn refusal(&self, event: &Facts<RawEvent>) -> Option<Refusal> {
        let accepted = self.accepted.as_ref()?;
        let (found, version) = (event.event_type(), event.schema_version());
        let of_type: Vec<&str> = accepted
            .iter()
            .filter(|(name, _)| *name == found)
            .map(|(_, version)| *version)
            .collect();
        if of_type.contains(&version) {
            return None;
        }
        #[cfg(feature = "cloudevents")]
        if let Some(why) = event.tags().get(UNREADABLE).filter(|_| found == UNREADABLE) {
            return Some(Refusal::for_good(format!("no event that can be read: {why}")));
        }
        let reason = if of_type.is_empty() {
            let types: BTreeSet<&str> = accepted.iter().map(|(name, _)| *name).collect();
            format!("{}{}", unknown_type(event), Vec::from_iter(types).join(", "))
        } else {
            format!("{}{}", unknown_version(event), of_type.join(", "))
        };
        Some(Refusal { reason, for_good: false })
    }

    /// How long an event of a kind or version that is not named is left to others, where
    /// it is.
    pub(crate) const fn leaves(&self, refusal: &Refusal) -> Option<Duration> {
        if refusal.for_good { None } else { self.leave_unknown }
    }

    /// The events whose counted attempt is to be taken back.
    pub(crate) const fn owed(&self) -> &Owed {
        &self.owed
    }
}

/// Why an event is not taken in.
pub(crate) struct Refusal {
    pub(crate) reason: String,
    /// Whether no rules could take it in, rather than that these do not name its kind or
    /// version.
    for_good: bool,
}

impl Refusal {
    #[cfg(any(feature = "cloudevents", feature = "postgres"))]
    pub(crate) const fn for_good(reason: String) -> Self {
        Self { reason, for_good: true }
    }
}

/// Whether an event is a dead letter for this reason because the rules of its time did
/// not name it.
pub(crate) fn was_unknown(event: &Facts<RawEvent>, reason: &str) -> bool {
    reason.starts_with(&unknown_type(event))
        || reason.starts_with(&unknown_version(event))
}

fn unknown_type(event: &Facts<RawEvent>) -> String {
    format!("unknown event type {:?}: this inbox takes in ", event.event_type())
}

fn unknown_version(event: &Facts<RawEvent>) -> String {
    format!(
        "unknown schema version {:?} of {}: this inbox takes in ",
        event.schema_version(),
        event.event_type()
    )
}

/// The events whose attempt was counted before its effect and is no attempt, where the
/// database could not be told so: its connection was lost, or it had no room. When one of
/// them comes again, its attempt is not counted a second time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Owed(Arc<Mutex<BTreeSet<(String, String)>>>);

impl Owed {
    /// How many are kept. What is beyond costs its event an attempt.
    const MOST: usize = 10_000;

    pub(crate) fn add(&self, event: (String, String)) {
        let mut owed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if owed.len() < Self::MOST {
            owed.insert(event);
        }
    }

    /// The source system and id of an event that is among them, which it then is no more.
    pub(crate) fn take(&self, event: &Facts<RawEvent>) -> Option<(String, String)> {
        let mut owed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if owed.is_empty() {
            return None;
        }
        owed.take(&(event.source_system().to_owned(), event.id().to_string()))
    }
}
