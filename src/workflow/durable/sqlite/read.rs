//! How each row of workflows is read in SQLite: column by column, whatever asks for it.

use rusqlite::Row as SqlRow;

use crate::store::sqlite::{any_moment, maybe_moment, maybe_text, text};
use crate::workflow::CommandState;
use crate::workflow::durable::columns::{InstanceRow, VoteRow};
use crate::workflow::durable::desk::{
    CommandRow, CountRow, DeadReplyRow, PastRow, PresentRow,
};
use crate::workflow::durable::stored::GoneRow;

pub(super) fn read_instance(row: &SqlRow<'_>) -> rusqlite::Result<InstanceRow> {
    Ok(InstanceRow {
        id: text(row, "id")?,
        workflow: text(row, "workflow")?,
        version: row.get("version")?,
        fingerprint: text(row, "fingerprint")?,
        revision: row.get("revision")?,
        status: text(row, "status")?,
        step: maybe_text(row, "step")?,
        awaits: maybe_text(row, "awaits")?,
        due_at: maybe_moment(row.get("due_at")?),
        round: row.get("round")?,
        level: row.get("level")?,
        reminded: row.get("reminded")?,
        for_nobody: row.get("for_nobody")?,
        shown: row.get("shown")?,
        requested_by: maybe_text(row, "requested_by")?,
        requested_instead_of: maybe_text(row, "requested_instead_of")?,
        data: row.get("data")?,
        tags: text(row, "tags")?,
        amended_by: text(row, "amended_by")?,
    })
}

pub(super) fn read_vote(row: &SqlRow<'_>) -> rusqlite::Result<VoteRow> {
    Ok(VoteRow {
        approval: text(row, "approval")?,
        person: text(row, "person")?,
        instead_of: maybe_text(row, "instead_of")?,
        role: text(row, "role")?,
        reason: text(row, "reason")?,
        at: any_moment(row.get("at")?),
        seen: text(row, "seen")?,
    })
}

pub(super) fn read_count(row: &SqlRow<'_>) -> rusqlite::Result<CountRow> {
    Ok(CountRow {
        workflow: text(row, "workflow")?,
        status: text(row, "status")?,
        step: maybe_text(row, "step")?,
        instances: row.get("instances")?,
        oldest: any_moment(row.get("oldest")?),
        overdue: row.get("overdue")?,
        failing: row.get("failing")?,
        for_nobody: row.get("for_nobody")?,
    })
}

pub(super) fn read_present(row: &SqlRow<'_>) -> rusqlite::Result<PresentRow> {
    let status = maybe_text(row, "command_status")?;
    let command = status.map(|status| -> rusqlite::Result<_> {
        let attempts = row.get("command_attempts")?;
        let failure = maybe_text(row, "command_failure")?;
        Ok(CommandRow {
            source_system: text(row, "command_source")?,
            event_type: text(row, "command_type")?,
            correlation_id: maybe_text(row, "command_correlation")?,
            state: CommandState { status, attempts, failure },
        })
    });
    Ok(PresentRow {
        begun_at: any_moment(row.get("begun_at")?),
        moved_at: any_moment(row.get("moved_at")?),
        turn_at: maybe_moment(row.get("turn_at")?),
        turn_failures: row.get("turn_failures")?,
        turn_failure: maybe_text(row, "turn_failure")?,
        asked_at: maybe_moment(row.get("asked_at")?),
        command: command.transpose()?,
    })
}

pub(super) fn read_past(row: &SqlRow<'_>) -> rusqlite::Result<PastRow> {
    Ok(PastRow {
        entry: row.get("entry")?,
        revision: row.get("revision")?,
        at: any_moment(row.get("at")?),
        what: text(row, "what")?,
        step: maybe_text(row, "step")?,
        status: text(row, "status")?,
        to_step: maybe_text(row, "to_step")?,
        cause_source: maybe_text(row, "cause_source")?,
        cause_id: maybe_text(row, "cause_id")?,
        commands: text(row, "commands")?,
        by: maybe_text(row, "by")?,
        role: maybe_text(row, "role")?,
        instead_of: maybe_text(row, "instead_of")?,
        reason: maybe_text(row, "reason")?,
        decided_at: maybe_moment(row.get("decided_at")?),
        standing: text(row, "standing")?,
        version: row.get("version")?,
    })
}

pub(super) fn read_dead_reply(row: &SqlRow<'_>) -> rusqlite::Result<DeadReplyRow> {
    Ok(DeadReplyRow {
        correlation_id: text(row, "correlation_id")?,
        source_system: text(row, "source_system")?,
        id: text(row, "id")?,
        event_type: maybe_text(row, "event_type")?,
        failure_reason: maybe_text(row, "failure_reason")?,
        failed_at: maybe_moment(row.get("failed_at")?),
    })
}

pub(super) fn read_gone(row: &SqlRow<'_>) -> rusqlite::Result<GoneRow> {
    Ok(GoneRow {
        id: text(row, "id")?,
        workflow: text(row, "workflow")?,
        version: row.get("version")?,
        revision: row.get("revision")?,
        round: row.get("round")?,
        status: text(row, "status")?,
    })
}
