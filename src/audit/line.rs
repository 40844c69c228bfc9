//! `AuditLine`: one event at one moment, written as a line and parsed from one.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Utc};

use super::parse::{Input, ParseAuditLineError, Same};
use super::write::{write_quoted, write_time, write_value};
use crate::envelope::{Payload, UUID_TEXT};
use crate::state::State;
use crate::{AnyEnvelope, DeliveryStatus, Envelope, EventId, Facts};

/// One event at one moment: [written](Self::write_to) as a line, and
/// [parsed](Self::parse) from one.
///
/// ```
/// use integration_automation_patterns::{AuditLine, Envelope, RawEvent};
///
/// let forged = "crm status=processed\n[INTEGRATION_EVENT] event_id=evt-002";
/// let event = Envelope::builder(forged, RawEvent::new("crm.lead.created", b"{}"))
///     .build()?;
///
/// let line = event.audit_line().to_string();
/// assert!(line.contains(
///     r#"source="crm status=processed\n[INTEGRATION_EVENT] event_id=evt-002""#
/// ));
/// assert_eq!(line.lines().count(), 1);
///
/// let parsed = AuditLine::parse(&line)?;
/// assert_eq!(parsed, event.audit_line());
/// assert_eq!(parsed.source_system, forged);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine<'a> {
    /// The idempotency key: `event_id`.
    pub event_id: Cow<'a, EventId>,
    /// What happened: `type`.
    pub event_type: Cow<'a, str>,
    /// The system that the event comes from: `source`.
    pub source_system: Cow<'a, str>,
    /// The state: `status`.
    pub status: DeliveryStatus,
    /// The number of attempts so far: `attempts`.
    pub attempts: u32,
    /// The workflow, request or transaction that the event belongs to: `correlation`.
    pub correlation_id: Option<Cow<'a, str>>,
    /// The version of the payload's schema: `schema`.
    pub schema_version: Cow<'a, str>,
    /// When the event was created: `created`. To the microsecond, in the years 0000 to
    /// 9999, as in every envelope.
    pub created_at: DateTime<Utc>,
}

/// The word that begins every line.
const PREFIX: &str = "[INTEGRATION_EVENT]";

/// What stands for an absent correlation id.
const NONE: &str = "none";

impl<'a> AuditLine<'a> {
    pub(crate) fn of<P: Payload>(facts: &'a Facts<P>, status: DeliveryStatus) -> Self {
        Self {
            event_id: Cow::Borrowed(facts.id()),
            event_type: Cow::Borrowed(facts.event_type()),
            source_system: Cow::Borrowed(facts.source_system()),
            status,
            attempts: facts.attempts(),
            correlation_id: facts.correlation_id().map(Cow::Borrowed),
            schema_version: Cow::Borrowed(facts.schema_version()),
            created_at: facts.created_at(),
        }
    }

    /// Writes the line, without a line break and without allocation.
    ///
    /// `Display` writes the same. Into a buffer of a known type this form is faster: the
    /// writes are inlined.
    ///
    /// # Errors
    ///
    /// Only those of the writer itself.
    ///
    /// ```
    /// use integration_automation_patterns::{Envelope, RawEvent};
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// let mut log = String::with_capacity(256);
    /// event.audit_line().write_to(&mut log)?;
    /// assert_eq!(log, event.audit_line().to_string());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_to<W: fmt::Write + ?Sized>(&self, out: &mut W) -> fmt::Result {
        self.write_up_to_created(out)?;
        write_time(out, self.created_at)
    }

    fn write_up_to_created<W: fmt::Write + ?Sized>(&self, out: &mut W) -> fmt::Result {
        out.write_str(PREFIX)?;
        out.write_str(" event_id=")?;
        let mut room = UUID_TEXT;
        match self.event_id.text(&mut room) {
            text if self.event_id.is_uuid() => out.write_str(text)?,
            text => write_value(out, text)?,
        }
        out.write_str(" type=")?;
        write_value(out, &self.event_type)?;
        out.write_str(" source=")?;
        write_value(out, &self.source_system)?;
        out.write_str(" status=")?;
        out.write_str(self.status.as_str())?;
        out.write_str(" attempts=")?;
        match char::from_digit(self.attempts, 10) {
            Some(digit) => out.write_char(digit)?,
            None => write!(out, "{}", self.attempts)?,
        }
        out.write_str(" correlation=")?;
        match self.correlation_id.as_deref() {
            None => out.write_str(NONE)?,
            Some(NONE) => write_quoted(out, NONE)?,
            Some(text) => write_value(out, text)?,
        }
        out.write_str(" schema=")?;
        write_value(out, &self.schema_version)?;
        out.write_str(" created=")
    }

    /// Reads a line back to the values that it was written from.
    ///
    /// It accepts exactly what [`write_to`](Self::write_to) writes, except that the
    /// creation time may have any form and offset of RFC 3339: it is converted to UTC, to
    /// the microsecond.
    ///
    /// # Errors
    ///
    /// [`ParseAuditLineError`]: where the line first goes wrong, what was wanted there,
    /// and what was found.
    ///
    /// ```
    /// use integration_automation_patterns::{AuditLine, DeliveryStatus};
    ///
    /// let line = "[INTEGRATION_EVENT] event_id=evt-001 type=crm.lead.created \
    ///             source=crm status=retrying attempts=2 correlation=import-7 \
    ///             schema=1.0 created=2026-01-05T08:00:00+00:00";
    /// let parsed = AuditLine::parse(line)?;
    /// assert_eq!(parsed.status, DeliveryStatus::Retrying);
    /// assert_eq!(parsed.attempts, 2);
    ///
    /// let line = "[INTEGRATION_EVENT] type=crm.lead.created";
    /// assert_eq!(
    ///     AuditLine::parse(line).unwrap_err().to_string(),
    ///     "not an audit line: wanted \" event_id=\" at byte 19, \
    ///      found \" type=crm.lead.created\""
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    // All of the parser is compiled where it is used, and not in every build of this
    // crate.
    #[inline]
    pub fn parse(line: &'a str) -> Result<Self, ParseAuditLineError> {
        let mut input = Input::new(line);
        let parsed = Self::read(&mut input)?;
        input.end()?;
        let mut rewritten = Same::new(line);
        match parsed.write_up_to_created(&mut rewritten) {
            Ok(()) => Ok(parsed),
            Err(fmt::Error) => Err(rewritten.differs()),
        }
    }

    /// Reads a line as far as an audit line goes.
    #[inline]
    pub(super) fn read(input: &mut Input<'a>) -> Result<Self, ParseAuditLineError> {
        input.literal(PREFIX)?;
        let event_id =
            input.field(" event_id=", "an event id", |value| value.text.parse().ok())?;
        let event_type = input.text(" type=")?;
        let source_system = input.text(" source=")?;
        let status = input
            .field(" status=", "a delivery status", |value| value.bare()?.parse().ok())?;
        let attempts = input.field(" attempts=", "a number of attempts", |value| {
            value
                .bare()
                .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?
                .parse()
                .ok()
        })?;
        let correlation_id =
            input.field(" correlation=", "a correlation id", |value| {
                Some(if value.bare() == Some(NONE) { None } else { Some(value.text) })
            })?;
        let schema_version = input.text(" schema=")?;
        let created_at = input.time(" created=")?;
        Ok(Self {
            event_id: Cow::Owned(event_id),
            event_type,
            source_system,
            status,
            attempts,
            correlation_id,
            schema_version,
            created_at,
        })
    }

    /// The same values, with nothing borrowed from the line.
    ///
    /// ```
    /// use integration_automation_patterns::{AuditLine, Envelope, RawEvent};
    ///
    /// fn last(log: String) -> Option<AuditLine<'static>> {
    ///     Some(AuditLine::parse(log.lines().last()?).ok()?.into_owned())
    /// }
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// assert_eq!(last(event.audit_line().to_string()), Some(event.audit_line()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_owned(self) -> AuditLine<'static> {
        AuditLine {
            event_id: Cow::Owned(self.event_id.into_owned()),
            event_type: self.event_type.into_owned().into(),
            source_system: self.source_system.into_owned().into(),
            status: self.status,
            attempts: self.attempts,
            correlation_id: self.correlation_id.map(|text| text.into_owned().into()),
            schema_version: self.schema_version.into_owned().into(),
            created_at: self.created_at,
        }
    }
}

impl fmt::Display for AuditLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

impl<S: State, P: Payload> Envelope<S, P> {
    /// The [audit line](crate::audit) of this moment.
    ///
    /// ```
    /// use integration_automation_patterns::{Envelope, RawEvent};
    ///
    /// let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
    ///     .id("evt-001".parse()?)
    ///     .build_at("2026-01-05T08:00:00Z".parse()?)?;
    /// assert_eq!(
    ///     event.audit_line().to_string(),
    ///     "[INTEGRATION_EVENT] event_id=evt-001 type=crm.lead.created source=crm \
    ///      status=pending attempts=0 correlation=none schema=1.0 \
    ///      created=2026-01-05T08:00:00+00:00"
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn audit_line(&self) -> AuditLine<'_> {
        AuditLine::of(self, S::STATUS)
    }
}

impl<P: Payload> AnyEnvelope<P> {
    /// The [audit line](crate::audit) of this moment.
    ///
    /// ```
    /// use integration_automation_patterns::{AnyEnvelope, Envelope, RawEvent};
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// let any = AnyEnvelope::from(event.dispatch());
    /// assert!(any.audit_line().to_string().contains(" status=dispatched "));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn audit_line(&self) -> AuditLine<'_> {
        AuditLine::of(self, self.status())
    }
}
