//! `AuditRecord`: one change of state, as data and as one line of text; `Action`: what
//! was done.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::str::FromStr;

use chrono::{DateTime, Utc};

use super::line::AuditLine;
use super::parse::{Input, ParseAuditLineError, Same, Value};
use super::write::{write_time, write_value};
use crate::envelope::{Payload, to_micros};
use crate::state::UnknownNameError;
use crate::{Decision, DeliveryStatus, EventId, Facts, Failure};

/// What was done to an event, or to an instance of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// It came into being.
    Create,
    /// An attempt was counted and began.
    Dispatch,
    /// The receiver confirmed that it holds the event.
    Acknowledge,
    /// The receiver acted on it.
    Process,
    /// The attempt failed, and another might succeed.
    Fail,
    /// The attempt failed for good.
    Reject,
    /// It was left out on purpose.
    Skip,
    /// A person gave a dead letter a new budget.
    Redrive,
    /// A person gave a dead letter up.
    Discard,
    /// It was released, and the attempt not spent: by a relay that had not sent it, or by
    /// an inbox that left it to another consumer.
    Release,
    /// The lease of the relay that was sending it ended.
    Expire,
    /// It arrived again after it was dealt with, and nothing was done.
    Duplicate,
    /// A person answered a question about it, or changed a wait by hand.
    Decide,
    /// An instance of a workflow went on.
    Proceed,
    /// It turned back: a step of it is undone, or all is.
    Undo,
    /// People are asked about a step, or an undo, that did not answer.
    Park,
    /// A person said what became of such a one, or closed the instance.
    Settle,
    /// A person approved.
    Approve,
    /// A person refused, or nobody answered in time.
    Refuse,
    /// The next people were asked, or the same ones again.
    Escalate,
    /// An event came that is not awaited any more, and moved nothing.
    Late,
    /// A person had an instance that is over removed, with its journal.
    Purge,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 22] = [
        Self::Create,
        Self::Dispatch,
        Self::Acknowledge,
        Self::Process,
        Self::Fail,
        Self::Reject,
        Self::Skip,
        Self::Redrive,
        Self::Discard,
        Self::Release,
        Self::Expire,
        Self::Duplicate,
        Self::Decide,
        Self::Proceed,
        Self::Undo,
        Self::Park,
        Self::Settle,
        Self::Approve,
        Self::Refuse,
        Self::Escalate,
        Self::Late,
        Self::Purge,
    ];

    /// The lower-case name, which parses back.
    ///
    /// ```
    /// use integration_automation_patterns::audit::Action;
    ///
    /// assert_eq!(Action::Redrive.as_str(), "redrive");
    /// assert_eq!("redrive".parse(), Ok(Action::Redrive));
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Dispatch => "dispatch",
            Self::Acknowledge => "acknowledge",
            Self::Process => "process",
            Self::Fail => "fail",
            Self::Reject => "reject",
            Self::Skip => "skip",
            Self::Redrive => "redrive",
            Self::Discard => "discard",
            Self::Release => "release",
            Self::Expire => "expire",
            Self::Duplicate => "duplicate",
            Self::Decide => "decide",
            Self::Proceed => "proceed",
            Self::Undo => "undo",
            Self::Park => "park",
            Self::Settle => "settle",
            Self::Approve => "approve",
            Self::Refuse => "refuse",
            Self::Escalate => "escalate",
            Self::Late => "late",
            Self::Purge => "purge",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Action {
    type Err = UnknownNameError;

    /// Reads the lower-case name, exactly.
    ///
    /// # Errors
    ///
    /// [`UnknownNameError`], with the text, where it names no action.
    fn from_str(text: &str) -> Result<Self, UnknownNameError> {
        let found = Self::ALL.into_iter().find(|action| action.as_str() == text);
        found.ok_or_else(|| {
            UnknownNameError::new("action", Self::ALL.into_iter().map(Self::as_str), text)
        })
    }
}

/// One change of an event's state: the event after it, what was done, by which system,
/// why, and when.
///
/// It displays as the [audit line](AuditLine) of that moment, followed by
/// ` action=... system=...`, by the failure and the decision where there are any, and by
/// ` at=...`; [`parse`](Self::parse) reads that back. Neither the payload nor a tag is
/// ever part of it.
///
/// ```
/// use integration_automation_patterns::audit::{Action, AuditRecord};
/// use integration_automation_patterns::{Envelope, RawEvent};
///
/// let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
///     .id("evt-001".parse()?)
///     .build_at("2026-01-05T08:00:00Z".parse()?)?;
/// let at = "2026-01-05T08:00:01Z".parse()?;
/// let dead = event.dispatch().reject_at("no such account", at);
/// let record = AuditRecord::of("relay-1", Action::Reject, &dead, dead.status(), at);
/// assert_eq!(
///     record.to_string(),
///     dead.audit_line().to_string()
///         + " action=reject system=relay-1 failure=permanent"
///         + " failure_reason=\"no such account\""
///         + " failed_at=2026-01-05T08:00:01+00:00 at=2026-01-05T08:00:01+00:00"
/// );
/// assert_eq!(AuditRecord::parse(&record.to_string())?, record);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditRecord {
    /// The idempotency key.
    pub event_id: EventId,
    /// What happened, of which this is a message.
    pub event_type: String,
    /// The system that the event comes from.
    pub source_system: String,
    /// The workflow, request or transaction that the event belongs to.
    pub correlation_id: Option<String>,
    /// The version of the payload's schema.
    pub schema_version: String,
    /// When the event was created.
    pub created_at: DateTime<Utc>,
    /// Which program made the change, by its own name for itself, such as `relay-1`.
    pub system: String,
    /// What was done.
    pub action: Action,
    /// The state after it.
    pub status: DeliveryStatus,
    /// The number of attempts after it.
    pub attempts: u32,
    /// The failure that this change is about: of `fail`, `reject` and `expire`.
    pub failure: Option<Failure>,
    /// The person's decision that this change is about: of `redrive`, `discard`, `decide`
    /// and `purge`, and of a step of a workflow that a person took.
    pub decision: Option<Decision>,
    /// When the change was made. In the years 0000 to 9999, or its line does not parse
    /// back.
    pub at: DateTime<Utc>,
}

impl AuditRecord {
    /// The record of a change: the event's facts and status after it, what was done, by
    /// which system, and when.
    pub fn of<P: Payload>(
        system: impl Into<String>,
        action: Action,
        event: &Facts<P>,
        status: DeliveryStatus,
        at: DateTime<Utc>,
    ) -> Self {
        let decision = match action {
            Action::Redrive => event.redriven(),
            Action::Discard => event.discarded(),
            _ => None,
        };
        let fails = matches!(action, Action::Fail | Action::Reject | Action::Expire);
        Self {
            event_id: event.id().clone(),
            event_type: event.event_type().to_owned(),
            source_system: event.source_system().to_owned(),
            correlation_id: event.correlation_id().map(str::to_owned),
            schema_version: event.schema_version().to_owned(),
            created_at: event.created_at(),
            system: system.into(),
            action,
            status,
            attempts: event.attempts(),
            failure: event.failure().filter(|_| fails).cloned(),
            decision: decision.cloned(),
            at: to_micros(at),
        }
    }

    /// The audit line of the moment after the change, with which the record's own line
    /// begins.
    pub fn line(&self) -> AuditLine<'_> {
        AuditLine {
            event_id: Cow::Borrowed(&self.event_id),
            event_type: Cow::Borrowed(&self.event_type),
            source_system: Cow::Borrowed(&self.source_system),
            status: self.status,
            attempts: self.attempts,
            correlation_id: self.correlation_id.as_deref().map(Cow::Borrowed),
            schema_version: Cow::Borrowed(&self.schema_version),
            created_at: self.created_at,
        }
    }

    /// Reads a line back to the record that it was written from: exactly what `Display`
    /// writes.
    ///
    /// # Errors
    ///
    /// [`ParseAuditLineError`]: where the line first goes wrong, what was wanted there,
    /// and what was found.
    ///
    /// ```
    /// use integration_automation_patterns::audit::AuditRecord;
    ///
    /// let error = AuditRecord::parse("an ordinary line of the program").unwrap_err();
    /// assert_eq!(error.at(), 0);
    /// ```
    #[inline] // As the parser of the audit line: compiled where it is used.
    pub fn parse(line: &str) -> Result<Self, ParseAuditLineError> {
        let mut input = Input::new(line);
        let of = AuditLine::read(&mut input)?.into_owned();
        let action =
            input.field(" action=", "an action", |value| value.bare()?.parse().ok())?;
        let system = input.text(" system=")?.into_owned();
        let mut failure = None;
        if input.has(" failure=") {
            let class = input.field(" failure=", "a failure class", |value| {
                value.bare()?.parse().ok()
            })?;
            let reason = input.text(" failure_reason=")?.into_owned();
            failure = Some(Failure { class, reason, at: input.time(" failed_at=")? });
        }
        let mut decision = None;
        if input.has(" decided_by=") {
            let by = input.text(" decided_by=")?;
            let why = input.text(" decision_reason=")?;
            let decide = |value: Value<'_>| {
                let at = DateTime::parse_from_rfc3339(value.bare()?).ok()?.to_utc();
                Decision::new_at(by, why, at).ok()
            };
            decision = Some(input.field(
                " decided_at=",
                "a time, of a decision with a name and a reason",
                decide,
            )?);
        }
        let at = input.time(" at=")?;
        input.end()?;
        let record = Self {
            event_id: of.event_id.into_owned(),
            event_type: of.event_type.into_owned(),
            source_system: of.source_system.into_owned(),
            correlation_id: of.correlation_id.map(Cow::into_owned),
            schema_version: of.schema_version.into_owned(),
            created_at: of.created_at,
            system,
            action,
            status: of.status,
            attempts: of.attempts,
            failure,
            decision,
            at,
        };
        let mut rewritten = Same::new(line);
        match write!(rewritten, "{record}") {
            Ok(()) => Ok(record),
            Err(fmt::Error) => Err(rewritten.differs()),
        }
    }
}

impl fmt::Display for AuditRecord {
    #[inline] // As `parse`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} action={} system=", self.line(), self.action)?;
        write_value(f, &self.system)?;
        if let Some(Failure { class, reason, at }) = &self.failure {
            write!(f, " failure={class} failure_reason=")?;
            write_value(f, reason)?;
            f.write_str(" failed_at=")?;
            write_time(f, *at)?;
        }
        if let Some(decision) = &self.decision {
            f.write_str(" decided_by=")?;
            write_value(f, decision.by())?;
            f.write_str(" decision_reason=")?;
            write_value(f, decision.reason())?;
            f.write_str(" decided_at=")?;
            write_time(f, decision.at())?;
        }
        f.write_str(" at=")?;
        write_time(f, self.at)
    }
}
