//! Events that a broker deleted before their consumer had read them: `Lost`, and how it
//! is put on record.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::audit::{Action, AuditRecord};
use crate::envelope::to_micros;
use crate::{DeliveryStatus, EventId, Failure, FailureClass, RawEvent};

/// The type under which such a loss is on record in an audit trail.
pub const LOST: &str = "lost";

/// Events that were deleted before their consumer had read them: nobody can read them any
/// more.
///
/// ```
/// use integration_automation_patterns::broker::{Lost, BrokerError, BrokerErrorKind};
///
/// let lost = Lost::new("partition 3 of crm", "the group erp", 10, 49);
/// let told = BrokerError::lost(lost.clone(), "let the topic keep events for longer");
/// assert_eq!((told.kind(), told.loss()), (BrokerErrorKind::Permanent, Some(&lost)));
/// assert_eq!(
///     told.reason(),
///     "partition 3 of crm: messages 10 to 49, 40 in all, were deleted before the group \
///      erp had read them; let the topic keep events for longer"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// What they were read from, by its name at the broker.
    pub of: String,
    /// Who had not read them.
    pub reader: String,
    /// The first that is gone, as the broker counts.
    pub from: u64,
    /// The last.
    pub to: u64,
}

impl Lost {
    /// What is gone, and who had not read it: from the first to the last.
    pub fn new(
        of: impl Into<String>,
        reader: impl Into<String>,
        from: u64,
        to: u64,
    ) -> Self {
        Self { of: of.into(), reader: reader.into(), from, to }
    }

    /// How many places are gone. Where others write in transactions, some of them were no
    /// events.
    pub const fn count(&self) -> u64 {
        self.to.saturating_sub(self.from).saturating_add(1)
    }

    /// The loss as an audit record, of all the events at once, under the type [`LOST`],
    /// failed for good. Record it with
    /// [`AuditTrail::record_with`](crate::audit::AuditTrail::record_with).
    ///
    /// ```
    /// use integration_automation_patterns::audit::AuditRecord;
    /// use integration_automation_patterns::broker::{LOST, Lost};
    ///
    /// let lost = Lost::new("partition 3 of crm", "the group erp", 10, 49);
    /// let record = lost.record("erp", "2026-01-05T08:00:00Z".parse()?);
    /// assert_eq!(record.event_type, LOST);
    /// assert_eq!(AuditRecord::parse(&record.to_string())?, record);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record(&self, system: &str, at: DateTime<Utc>) -> AuditRecord {
        let Self { of, from, to, .. } = self;
        let at = to_micros(at);
        AuditRecord {
            event_id: EventId::derived(of, &format!("{from} {to}"))
                .unwrap_or_else(|_| EventId::generate()),
            event_type: LOST.to_owned(),
            source_system: of.clone(),
            correlation_id: None,
            schema_version: RawEvent::DEFAULT_SCHEMA_VERSION.to_owned(),
            created_at: at,
            system: system.to_owned(),
            action: Action::Reject,
            status: DeliveryStatus::Failed,
            attempts: 0,
            failure: Some(Failure {
                class: FailureClass::Permanent,
                reason: self.to_string(),
                at,
            }),
            decision: None,
            at,
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self { of, reader, from, to }, count) = (self, self.count());
        write!(
            f,
            "{of}: messages {from} to {to}, {count} in all, were deleted before {reader} \
             had read them"
        )
    }
}
