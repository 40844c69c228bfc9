//! Observers that write audit records down.

use std::error::Error;
use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use super::record::AuditRecord;
use super::trail::Observer;

/// Writes each record as one line, to any writer, and flushes it.
///
/// ```
/// use integration_automation_patterns::audit::{Action, AuditTrail, Lines};
/// use integration_automation_patterns::{Envelope, RawEvent};
/// use std::sync::Arc;
///
/// let trail = AuditTrail::new("importer", Arc::new(Lines::new(std::io::stderr())));
/// let event =
///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
/// trail.record(Action::Create, &event, event.status(), event.created_at());
/// assert_eq!(trail.lost(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Lines<W>(Mutex<W>);

impl<W: Write> Lines<W> {
    /// Lines to this writer.
    pub const fn new(out: W) -> Self {
        Self(Mutex::new(out))
    }

    /// The writer.
    pub fn into_inner(self) -> W {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write + Send> Observer for Lines<W> {
    fn observe(&self, record: &AuditRecord) -> Result<(), Box<dyn Error + Send + Sync>> {
        write_line(&self.0, format!("{record}\n"))
    }
}

impl<W> fmt::Debug for Lines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

/// Writes a line in one piece, so that the lines of several programs do not mix in one
/// file.
fn write_line(
    out: &Mutex<impl Write>,
    line: String,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
    out.write_all(line.as_bytes())?;
    Ok(out.flush()?)
}

/// Emits each record as one event of `tracing`, for whatever subscriber the program has.
///
/// The target is `integration_event`, the level `WARN` for `fail`, `reject` and `expire`
/// and `INFO` for all else, and the fields have the names of the [record's
/// own](AuditRecord): `failure_class`, `failure_reason`, `decided_by` and
/// `decision_reason` where there are any. Times are text as in RFC 3339.
///
/// ```
/// use integration_automation_patterns::audit::{AuditTrail, TracingEvents};
/// use integration_automation_patterns::{Envelope, RawEvent};
/// use std::sync::Arc;
///
/// let trail = AuditTrail::new("importer", Arc::new(TracingEvents));
/// let event =
///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
/// assert_eq!(trail.step(event, Envelope::dispatch).attempts(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingEvents;

#[cfg(feature = "tracing")]
impl Observer for TracingEvents {
    fn observe(&self, record: &AuditRecord) -> Result<(), Box<dyn Error + Send + Sync>> {
        use super::record::Action;

        let (failure, decision) = (record.failure.as_ref(), record.decision.as_ref());
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(
                    target: "integration_event",
                    action = record.action.as_str(),
                    system = record.system,
                    event_id = %record.event_id,
                    event_type = record.event_type,
                    source_system = record.source_system,
                    status = record.status.as_str(),
                    attempts = record.attempts,
                    correlation_id = record.correlation_id,
                    schema_version = record.schema_version,
                    created_at = %record.created_at.format("%+"),
                    failure_class = failure.map(|failure| failure.class.as_str()),
                    failure_reason = failure.map(|failure| failure.reason.as_str()),
                    decided_by = decision.map(crate::Decision::by),
                    decision_reason = decision.map(crate::Decision::reason),
                    at = %record.at.format("%+"),
                )
            };
        }
        match record.action {
            Action::Fail | Action::Reject | Action::Expire => event!(warn),
            _ => event!(info),
        }
        Ok(())
    }
}

/// Writes each record as one line of JSON, to any writer, and flushes it.
///
/// The names of the members stand at [`AuditRecord`]; a line reads back with
/// `serde_json::from_str`.
///
/// ```
/// use integration_automation_patterns::audit::{
///     Action, AuditRecord, AuditTrail, JsonLines,
/// };
/// use integration_automation_patterns::{Envelope, RawEvent};
/// use std::sync::Arc;
///
/// let log = Arc::new(JsonLines::new(Vec::new()));
/// let trail = AuditTrail::new("importer", log.clone());
/// let event =
///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
/// trail.record(Action::Create, &event, event.status(), event.created_at());
///
/// drop(trail);
/// let line = Arc::into_inner(log).ok_or("nobody else holds it")?.into_inner();
/// let record: AuditRecord = serde_json::from_slice(&line)?;
/// assert_eq!((record.system.as_str(), record.action), ("importer", Action::Create));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
pub struct JsonLines<W>(Mutex<W>);

#[cfg(feature = "serde")]
impl<W: Write> JsonLines<W> {
    /// Lines of JSON to this writer.
    pub const fn new(out: W) -> Self {
        Self(Mutex::new(out))
    }

    /// The writer.
    pub fn into_inner(self) -> W {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "serde")]
impl<W: Write + Send> Observer for JsonLines<W> {
    fn observe(&self, record: &AuditRecord) -> Result<(), Box<dyn Error + Send + Sync>> {
        write_line(&self.0, serde_json::to_string(record)? + "\n")
    }
}

#[cfg(feature = "serde")]
impl<W> fmt::Debug for JsonLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").finish_non_exhaustive()
    }
}
