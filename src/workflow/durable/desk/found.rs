//! What a database finds for the desk, and what follows from it: pure, and the same for
//! both.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, Utc};

use super::Table;
use super::view::{InstanceView, PastEntry, StageCount};
use super::waits_for::{CommandState, DeadReply, LevelVotes, WaitsFor};
use crate::EventId;
use crate::workflow::definition::{Level, Wait};
use crate::workflow::durable::columns::{Rows, other, read_status};
use crate::workflow::{Calendar, InstanceRecord, Question, instance};

/// The stages with their counts, at a moment that the database puts in the place of `$1`.
pub(crate) const COUNTS: &str = "SELECT workflow, status, step, count(*) AS instances, \
     min(moved_at) AS oldest, count(*) FILTER (WHERE due_at <= $1) AS overdue, \
     count(*) FILTER (WHERE turn_failures > 0) AS failing, \
     count(*) FILTER (WHERE for_nobody) AS for_nobody \
     FROM workflow_instance GROUP BY workflow, status, step \
     ORDER BY workflow, status, step";

/// The ids of the instances that wait, and have not moved since `$1`.
pub(crate) const OLDEST: &str = "SELECT id FROM workflow_instance \
     WHERE turn_at IS NOT NULL AND moved_at <= $1 ORDER BY moved_at, id LIMIT $2";

/// The ids of the instances after `$1`, in their order.
pub(crate) const IDS: &str =
    "SELECT id FROM workflow_instance WHERE id > $1 ORDER BY id LIMIT $2";

/// The ids that entries of journals name, and of which there is no instance.
pub(crate) const ORPHANS: &str = "SELECT DISTINCT instance FROM workflow_journal \
     WHERE NOT EXISTS (SELECT 1 FROM workflow_instance WHERE id = instance) \
     ORDER BY instance";

/// The instances that have ended, and have not moved since `$1`.
pub(crate) const ENDED: &str = "SELECT id, workflow, version, revision, round, status \
     FROM workflow_instance \
     WHERE turn_at IS NULL AND moved_at <= $1 ORDER BY moved_at, id LIMIT $2";

/// The tables with what belongs to an instance, each with the column that names it.
pub(crate) const PARTS: [(&str, &str); 4] = [
    ("workflow_vote", "instance"),
    ("workflow_clearance", "instance"),
    ("workflow_journal", "instance"),
    ("workflow_instance", "id"),
];

/// Forgets the failures of the instance `$1`.
pub(crate) const TAKE_UP: &str = "UPDATE workflow_instance SET turn_at = due_at, \
     turn_failures = 0, turn_failure = NULL WHERE id = $1 AND turn_failures > 0";

/// What a [`PresentRow`] holds of the instance `$1`.
pub(crate) const PRESENT: &str = "SELECT begun_at, moved_at, turn_at, turn_failures, \
     turn_failure, (SELECT max(at) FROM workflow_journal WHERE instance = $1 \
     AND what NOT IN ('voted', 'withdrawn', 'reminded', 'postponed', 'taken_up', \
     'late')) AS asked_at, \
     outbox_event.status AS command_status, outbox_event.attempts AS command_attempts, \
     outbox_event.failure_reason AS command_failure, \
     outbox_event.source_system AS command_source, \
     outbox_event.event_type AS command_type, \
     outbox_event.correlation_id AS command_correlation FROM workflow_instance \
     LEFT JOIN outbox_event ON outbox_event.id = awaits WHERE workflow_instance.id = $1";

/// The dead letters of the inbox that reply to one of the correlations `$1`. (The first
/// condition is that of an index.)
pub(crate) const DEAD_REPLIES: &str = "SELECT correlation_id, source_system, id, \
     event_type, failure_reason, failed_at FROM inbox_event \
     WHERE status IN ('retrying', 'failed') AND status = 'failed' \
     AND correlation_id IN ($1) ORDER BY received_at, source_system, id";

/// The journal of the instance `$1`.
pub(crate) const HISTORY: &str = "SELECT entry, revision, at, what, step, status, \
     to_step, cause_source, cause_id, commands, by, role, instead_of, reason, \
     decided_at, standing, version \
     FROM workflow_journal WHERE instance = $1 ORDER BY entry";

/// One stage, as it was counted.
#[derive(Debug)]
pub(crate) struct CountRow {
    pub(crate) workflow: String,
    pub(crate) status: String,
    pub(crate) step: Option<String>,
    pub(crate) instances: i64,
    pub(crate) oldest: DateTime<Utc>,
    pub(crate) overdue: i64,
    pub(crate) failing: i64,
    pub(crate) for_nobody: i64,
}

impl CountRow {
    pub(super) fn read(self) -> Result<StageCount, String> {
        let number = |found: i64| u64::try_from(found).unwrap_or_default();
        Ok(StageCount {
            status: read_status(&self.status)?,
            workflow: self.workflow,
            step: self.step,
            instances: number(self.instances),
            oldest: self.oldest,
            overdue: number(self.overdue),
            failing: number(self.failing),
            for_nobody: number(self.for_nobody),
        })
    }
}

/// What stands beside the columns of an instance's record.
#[derive(Debug)]
pub(crate) struct PresentRow {
    pub(crate) begun_at: DateTime<Utc>,
    pub(crate) moved_at: DateTime<Utc>,
    pub(crate) turn_at: Option<DateTime<Utc>>,
    pub(crate) turn_failures: i64,
    pub(crate) turn_failure: Option<String>,
    /// When what it waits for was asked.
    pub(crate) asked_at: Option<DateTime<Utc>>,
    pub(crate) command: Option<CommandRow>,
}

/// The event of the command that an instance waits for, in the outbox.
#[derive(Debug)]
pub(crate) struct CommandRow {
    pub(crate) source_system: String,
    pub(crate) event_type: String,
    pub(crate) correlation_id: Option<String>,
    pub(crate) state: CommandState,
}

/// A reply that is a dead letter of the inbox.
#[derive(Debug)]
pub(crate) struct DeadReplyRow {
    pub(crate) correlation_id: String,
    pub(crate) source_system: String,
    pub(crate) id: String,
    pub(crate) event_type: Option<String>,
    pub(crate) failure_reason: Option<String>,
    pub(crate) failed_at: Option<DateTime<Utc>>,
}

impl From<DeadReplyRow> for DeadReply {
    fn from(row: DeadReplyRow) -> Self {
        Self {
            source_system: row.source_system,
            id: row.id,
            event_type: row.event_type.unwrap_or_default(),
            failure: row.failure_reason.unwrap_or_default(),
            failed_at: row.failed_at,
        }
    }
}

/// An instance, as it was found.
pub(crate) struct Found {
    pub(crate) rows: Rows,
    pub(crate) present: PresentRow,
}

impl Found {
    /// The instance as people see it, without the dead letters.
    pub(super) fn view(
        self,
        tables: &BTreeMap<&'static str, Table>,
        calendar: &dyn Calendar,
    ) -> Result<InstanceView, String> {
        let row = &self.rows.instance;
        let status = read_status(&row.status)?;
        let (waits_for, due_at) = match tables.get(row.workflow.as_str()) {
            _ if status.is_end() => (WaitsFor::Nothing, row.due_at),
            None => (WaitsFor::OtherTable, row.due_at),
            Some(table) => self
                .waits_for(table, calendar)
                .unwrap_or_else(|reason| (WaitsFor::Repair { reason }, row.due_at)),
        };
        let Self { rows: Rows { instance: row, .. }, present } = self;
        Ok(InstanceView {
            id: row.id,
            workflow: row.workflow,
            version: row.version,
            revision: row.revision,
            status,
            step: row.step,
            begun_at: present.begun_at,
            moved_at: present.moved_at,
            due_at,
            waits_for,
            dead_replies: Vec::new(),
        })
    }

    /// The correlation of the replies that it listens for, where it does.
    pub(super) fn correlation(
        &self,
        tables: &BTreeMap<&'static str, Table>,
    ) -> Option<String> {
        let row = &self.rows.instance;
        let table = tables.get(row.workflow.as_str())?.definition;
        let (id, status) = (row.id.parse::<EventId>().ok()?, read_status(&row.status));
        let step = table.step(row.step.as_deref()?)?;
        let round = u32::try_from(row.round).ok()?;
        let asked = instance::asked(&table, &id, status.ok()?, Some(step), round)?;
        Some(asked.to_string())
    }

    /// The record, where it can be led into the table.
    pub(super) fn read(&self, table: &Table) -> Result<InstanceRecord, String> {
        let record = self.rows.clone().read()?;
        (table.check)(record.clone()).map(|()| record)
    }

    /// What it waits for, and until when, where its row can be led into the table.
    fn waits_for(
        &self,
        table: &Table,
        calendar: &dyn Calendar,
    ) -> Result<(WaitsFor, Option<DateTime<Utc>>), String> {
        let record = self.read(table)?;
        let due_at = record.due_at;
        if let Some(reason) = &self.present.turn_failure {
            let turn = WaitsFor::Turn {
                failures: u32::try_from(self.present.turn_failures).unwrap_or(u32::MAX),
                reason: reason.clone(),
                again_at: self.present.turn_at,
            };
            return Ok((turn, due_at));
        }
        let step = record.step.as_deref().and_then(|name| table.definition.step(name));
        let wait = step.map_or(Wait::Nothing, |step| step.waits(record.status));
        Ok(match (wait, &record.question, due_at) {
            (Wait::Nothing, ..) => (WaitsFor::Nothing, due_at),
            (Wait::People(chain), Some(question), Some(due_at)) => {
                let (ends_at, remind_at) = times(question, chain, due_at, calendar)?;
                (self.people(question, chain, remind_at)?, Some(ends_at))
            }
            (Wait::People(_) | Wait::Reply(_), ..) => {
                let state = self.present.command.as_ref().map(|row| row.state.clone());
                (WaitsFor::Reply { command: record.awaits, state }, due_at)
            }
        })
    }

    /// The people whose decision it waits for.
    fn people(
        &self,
        question: &Question,
        chain: &'static [Level],
        remind_at: Option<DateTime<Utc>>,
    ) -> Result<WaitsFor, String> {
        let votes = |level: &Level| {
            let agreed = question.votes.iter().filter(|vote| vote.role == level.role);
            let (role, wanted) = (level.role, level.wanted);
            LevelVotes { role, wanted, agreed: agreed.count() }
        };
        let Some(asked) = question.level_of(chain) else {
            return Err("nobody is asked at its stage".to_owned());
        };
        let others = chain.iter().filter(|level| !std::ptr::eq(*level, asked));
        let LevelVotes { role, wanted, agreed } = votes(asked);
        Ok(WaitsFor::People {
            role,
            level: question.level,
            since: self.present.asked_at.unwrap_or(self.present.moved_at),
            remind_at,
            wanted,
            agreed,
            other_levels: others.map(votes).collect(),
            for_nobody: question.for_nobody,
        })
    }
}

/// When the time of the level ends that is asked, and when it is reminded. What the
/// program's calendar does wrong is said of this instance alone.
fn times(
    question: &Question,
    chain: &[Level],
    due_at: DateTime<Utc>,
    calendar: &dyn Calendar,
) -> Result<(DateTime<Utc>, Option<DateTime<Utc>>), String> {
    let times = AssertUnwindSafe(|| question.level_times(chain, due_at, calendar));
    catch_unwind(times).map_err(|_| "the calendar of the desk panicked".to_owned())
}

/// An entry of the journal, as it was found.
#[derive(Debug)]
pub(crate) struct PastRow {
    pub(crate) entry: i64,
    pub(crate) revision: i64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) what: String,
    pub(crate) step: Option<String>,
    pub(crate) status: String,
    pub(crate) to_step: Option<String>,
    pub(crate) cause_source: Option<String>,
    pub(crate) cause_id: Option<String>,
    pub(crate) commands: String,
    pub(crate) by: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) instead_of: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) decided_at: Option<DateTime<Utc>>,
    pub(crate) standing: String,
    pub(crate) version: Option<i64>,
}

impl PastRow {
    pub(super) fn read(self) -> Result<PastEntry, String> {
        let list = |text: &str| {
            serde_json::from_str(text)
                .map_err(|_| other(&format!("JSON texts in entry {}", self.entry), text))
        };
        Ok(PastEntry {
            commands: list(&self.commands)?,
            standing: list(&self.standing)?,
            status: read_status(&self.status)?,
            entry: self.entry,
            revision: self.revision,
            at: self.at,
            what: self.what,
            step: self.step,
            to_step: self.to_step,
            event: self.cause_source.zip(self.cause_id),
            by: self.by,
            role: self.role,
            instead_of: self.instead_of,
            reason: self.reason,
            decided_at: self.decided_at,
            version: self.version,
        })
    }
}
