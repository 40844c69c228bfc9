//! The journal: one entry for each step of an instance, and for each reply that came too
//! late. It is written once, and says what moved the instance, where to, and who did.

use chrono::{DateTime, Utc};

use super::columns::InstanceRow;
use crate::state::Pending;
use crate::workflow::{By, Cause, Entry, InstanceRecord, Standing, Workflow};
use crate::{Decision, Envelope, Facts, RawEvent};

/// Whether the instance `$1`, up to the revision `$2`, has sent the event `$3`.
pub(crate) const HAS_SENT: &str = "SELECT EXISTS (SELECT 1 FROM workflow_journal \
     WHERE instance = $1 AND revision <= $2 AND commands LIKE '%\"' || $3 || '\"%')";

/// An entry as columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryRow {
    /// The revision of the row after it.
    pub(crate) revision: i64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) what: Cause,
    /// The step that the instance was at; an end has none.
    pub(crate) step: Option<String>,
    /// Where the entry has led, and to which step.
    pub(crate) status: String,
    pub(crate) to_step: Option<String>,
    /// The event that caused it, where one did.
    pub(crate) cause: Option<(String, String)>,
    /// The ids of what has left with it, as a JSON array.
    pub(crate) commands: String,
    pub(crate) by: Option<ByRow>,
    /// The steps that stay done after an end that a person made, as a JSON array.
    pub(crate) standing: String,
    /// The version of the table under which it was written.
    pub(crate) version: i64,
}

/// The person behind an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ByRow {
    pub(crate) person: String,
    pub(crate) role: Option<&'static str>,
    pub(crate) instead_of: Option<String>,
    pub(crate) reason: String,
    pub(crate) decided_at: DateTime<Utc>,
}

impl EntryRow {
    /// The entry of a step that leads to this record.
    pub(crate) fn of_step(
        entry: Entry,
        record: &InstanceRecord,
        commands: &[Envelope<Pending>],
        cause: Option<&Facts<RawEvent>>,
        at: DateTime<Utc>,
    ) -> Self {
        let ids = commands.iter().map(|command| command.id().to_string());
        Self {
            revision: i64::try_from(record.revision).unwrap_or(i64::MAX),
            at,
            what: entry.cause,
            step: entry.step.map(str::to_owned),
            status: record.status.as_str().to_owned(),
            to_step: record.step.clone(),
            cause: cause.map(of_event),
            commands: list(ids),
            by: entry.by.map(ByRow::of),
            standing: list(entry.standing.into_iter().map(str::to_owned)),
            version: i64::from(record.version),
        }
    }

    /// The entry of an event that moves nothing: the instance stands where it stood.
    pub(crate) fn of_late<W: Workflow>(
        entry: Entry,
        standing: &Standing<W>,
        cause: &Facts<RawEvent>,
        at: DateTime<Utc>,
    ) -> Self {
        Self {
            revision: i64::try_from(standing.revision).unwrap_or(i64::MAX),
            at,
            what: entry.cause,
            step: entry.step.map(str::to_owned),
            status: standing.status.as_str().to_owned(),
            to_step: standing.step.map(str::to_owned),
            cause: Some(of_event(cause)),
            commands: list(std::iter::empty()),
            by: None,
            standing: list(std::iter::empty()),
            version: i64::from(W::VERSION),
        }
    }

    /// The entry of a person who has a clerk look again: the row stands as it is.
    pub(crate) fn of_take_up(row: &InstanceRow, by: ByRow, at: DateTime<Utc>) -> Self {
        Self {
            revision: row.revision,
            at,
            what: Cause::TakenUp,
            step: row.step.clone(),
            status: row.status.clone(),
            to_step: row.step.clone(),
            cause: None,
            commands: list(std::iter::empty()),
            by: Some(by),
            standing: list(std::iter::empty()),
            version: row.version,
        }
    }
}

impl ByRow {
    pub(crate) fn of(by: By) -> Self {
        let By { decision, role, instead_of } = by;
        Self {
            person: decision.by().to_owned(),
            role,
            instead_of: instead_of.map(|away| away.name().to_owned()),
            reason: decision.reason().to_owned(),
            decided_at: decision.at(),
        }
    }
}

impl ByRow {
    pub(crate) fn decision(&self) -> Option<Decision> {
        Decision::new_at(&*self.person, &*self.reason, self.decided_at).ok()
    }
}

fn of_event(event: &Facts<RawEvent>) -> (String, String) {
    (event.source_system().to_owned(), event.id().to_string())
}

fn list(texts: impl Iterator<Item = String>) -> String {
    serde_json::Value::from(texts.collect::<Vec<_>>()).to_string()
}
