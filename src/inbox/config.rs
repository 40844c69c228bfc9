//! The settings of an inbox: what it takes in, what it leaves to others, and how long it
//! remembers.

use std::collections::BTreeSet;
use std::time::Duration;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use super::counting::Owed;
use crate::audit::AuditTrail;
#[cfg(feature = "cloudevents")]
use crate::broker::UNREADABLE;
use crate::{ConfigError, Event, Facts, RawEvent, RetryPolicy};

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
/// let config = InboxConfig::new(7 * day, RetryPolicy::DEFAULT)?.accept::<LeadCreated>();
/// assert_eq!(config.dedup_window(), 7 * day);
///
/// let minute = Duration::from_secs(60);
/// let refused = InboxConfig::new(minute, RetryPolicy::DEFAULT).unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "the dedup_window: expected longer than 90s, for which the senders retry (an \
///      event that is purged before its last retry arrives is handled twice), found \"60s\""
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct InboxConfig {
    dedup_window: Duration,
    retry_policy: RetryPolicy,
    trail: AuditTrail,
    accepted: Option<BTreeSet<(&'static str, &'static str)>>,
    leave_unknown: Option<Duration>,
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    owed: Owed,
}

impl InboxConfig {
    /// An inbox that takes in every event and remembers it for `dedup_window`, from
    /// senders that retry by the policy `senders`.
    ///
    /// The policy does not count outages, during which an event that may have arrived
    /// waits and spends no attempt: add the longest outage that you expect to the window.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], if an event could come again after it was purged.
    pub fn new(
        dedup_window: Duration,
        senders: RetryPolicy,
    ) -> Result<Self, ConfigError> {
        let horizon = senders.horizon();
        if dedup_window <= horizon {
            let wanted = format!(
                "longer than {horizon:?}, for which the senders retry (an event that is \
                 purged before its last retry arrives is handled twice)"
            );
            let found = format!("{dedup_window:?}");
            return Err(ConfigError::new("dedup_window", wanted, found));
        }
        Ok(Self {
            dedup_window,
            retry_policy: RetryPolicy::DEFAULT,
            trail: AuditTrail::silent(),
            accepted: None,
            leave_unknown: None,
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            owed: Owed::default(),
        })
    }

    /// Takes in this kind of event, in its schema version, and from then on only kinds
    /// that are named like this. Every other event becomes a dead letter with the reason.
    /// That is not final: a consumer that names its kind and version handles a later
    /// delivery as fresh.
    #[must_use = "this returns the changed configuration; the original is consumed"]
    pub fn accept<E: Event>(self) -> Self {
        self.accept_kind((E::TYPE, E::SCHEMA_VERSION))
    }

    /// As [`accept`](Self::accept), by type and schema version.
    pub(crate) fn accept_kind(mut self, kind: (&'static str, &'static str)) -> Self {
        self.accepted.get_or_insert_default().insert(kind);
        self
    }

    /// Leaves events whose kind or version is [not named](Self::accept) to another
    /// consumer: the inbox stores nothing, and asks the broker to deliver the event again
    /// after `wait`.
    ///
    /// Use it during an upgrade, while consumers that know a new kind or version run
    /// beside others that do not yet. An event that no consumer ever knows comes again
    /// forever, and a broker that keeps an order holds back what follows it. A message
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
    /// let config = InboxConfig::new(week, RetryPolicy::DEFAULT)?
    ///     .accept::<LeadCreated>()
    ///     .leave_unknown(Duration::from_secs(5));
    /// assert_eq!(config.dedup_window(), week);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "this returns the changed configuration; the original is consumed"]
    pub fn leave_unknown(self, wait: Duration) -> Self {
        Self { leave_unknown: Some(wait), ..self }
    }

    /// Sets how many attempts an event has, and how long the broker is asked to wait
    /// between them. The default is [`RetryPolicy::DEFAULT`].
    #[must_use = "this returns the changed configuration; the original is consumed"]
    pub fn retry_policy(self, retry_policy: RetryPolicy) -> Self {
        Self { retry_policy, ..self }
    }

    /// Records every change of state and every duplicate in an audit trail, once it is
    /// stored.
    #[must_use = "this returns the changed configuration; the original is consumed"]
    pub fn with_audit_trail(self, trail: AuditTrail) -> Self {
        Self { trail, ..self }
    }

    /// How long the inbox remembers an event.
    pub const fn dedup_window(&self) -> Duration {
        self.dedup_window
    }

    pub(crate) const fn policy(&self) -> RetryPolicy {
        self.retry_policy
    }

    pub(crate) const fn trail(&self) -> &AuditTrail {
        &self.trail
    }

    /// Why the inbox does not admit an event; `None` if it does.
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
            let takes = Vec::from_iter(types).join(", ");
            format!("unknown event type {found:?}: this inbox takes in {takes}")
        } else {
            let takes = of_type.join(", ");
            format!(
                "unknown schema version {version:?} of {found}: \
                 this inbox takes in {takes}"
            )
        };
        Some(Refusal { reason, leave: self.leave_unknown, is_unknown: true })
    }

    /// The events to which an attempt is owed.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) const fn owed(&self) -> &Owed {
        &self.owed
    }
}

/// The reason for which an inbox does not admit an event.
pub(crate) struct Refusal {
    pub(crate) reason: String,
    /// How long the event is left to other consumers, where they may know it.
    pub(crate) leave: Option<Duration>,
    /// Whether another configuration may name the event.
    pub(crate) is_unknown: bool,
}

impl Refusal {
    /// A refusal by any inbox, however it is configured.
    #[cfg(any(feature = "cloudevents", feature = "postgres"))]
    pub(crate) const fn for_good(reason: String) -> Self {
        Self { reason, leave: None, is_unknown: false }
    }
}
