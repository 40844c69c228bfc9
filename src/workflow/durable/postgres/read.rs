//! How each row of workflows is read in PostgreSQL: column by column, whatever asks for it.

use tokio_postgres::{Error, Row as SqlRow};

use crate::store::postgres::{at, maybe_at};
use crate::workflow::CommandState;
use crate::workflow::durable::columns::{InstanceRow, VoteRow};
use crate::workflow::durable::desk::{
    CommandRow, CountRow, DeadReplyRow, PastRow, PresentRow,
};
use crate::workflow::durable::stored::GoneRow;

pub(super) fn read_instance(row: &SqlRow) -> Result<InstanceRow, Error> {
    Ok(InstanceRow {
        id: row.try_get("id")?,
        workflow: row.try_get("workflow")?,
        version: row.try_get("version")?,
        fingerprint: row.try_get("fingerprint")?,
        revision: row.try_get("revision")?,
        status: row.try_get("status")?,
        step: row.try_get("step")?,
        awaits: row.try_get("awaits")?,
        due_at: maybe_at(row, "due_at")?,
        round: row.try_get("round")?,
        level: row.try_get("level")?,
        reminded: row.try_get("reminded")?,
        for_nobody: row.try_get("for_nobody")?,
        shown: row.try_get("shown")?,
        requested_by: row.try_get("requested_by")?,
        requested_instead_of: row.try_get("requested_instead_of")?,
        data: row.try_get("data")?,
        tags: row.try_get("tags")?,
        amended_by: row.try_get("amended_by")?,
    })
}

pub(super) fn read_vote(row: &SqlRow) -> Result<VoteRow, Error> {
    Ok(VoteRow {
        approval: row.try_get("approval")?,
        person: row.try_get("person")?,
        instead_of: row.try_get("instead_of")?,
        role: row.try_get("role")?,
        reason: row.try_get("reason")?,
        at: at(row, "at")?,
        seen: row.try_get("seen")?,
    })
}

pub(super) fn read_count(row: &SqlRow) -> Result<CountRow, Error> {
    Ok(CountRow {
        workflow: row.try_get("workflow")?,
        status: row.try_get("status")?,
        step: row.try_get("step")?,
        instances: row.try_get("instances")?,
        oldest: at(row, "oldest")?,
        overdue: row.try_get("overdue")?,
        failing: row.try_get("failing")?,
        for_nobody: row.try_get("for_nobody")?,
    })
}

pub(super) fn read_present(row: &SqlRow) -> Result<PresentRow, Error> {
    let status: Option<String> = row.try_get("command_status")?;
    let command = status.map(|status| {
        let attempts = row.try_get("command_attempts")?;
        let failure = row.try_get("command_failure")?;
        Ok(CommandRow {
            source_system: row.try_get("command_source")?,
            event_type: row.try_get("command_type")?,
            correlation_id: row.try_get("command_correlation")?,
            state: CommandState { status, attempts, failure },
        })
    });
    Ok(PresentRow {
        begun_at: at(row, "begun_at")?,
        moved_at: at(row, "moved_at")?,
        turn_at: maybe_at(row, "turn_at")?,
        turn_failures: row.try_get("turn_failures")?,
        turn_failure: row.try_get("turn_failure")?,
        asked_at: maybe_at(row, "asked_at")?,
        command: command.transpose()?,
    })
}

pub(super) fn read_past(row: &SqlRow) -> Result<PastRow, Error> {
    Ok(PastRow {
        entry: row.try_get("entry")?,
        revision: row.try_get("revision")?,
        at: at(row, "at")?,
        what: row.try_get("what")?,
        step: row.try_get("step")?,
        status: row.try_get("status")?,
        to_step: row.try_get("to_step")?,
        cause_source: row.try_get("cause_source")?,
        cause_id: row.try_get("cause_id")?,
        commands: row.try_get("commands")?,
        by: row.try_get("by")?,
        role: row.try_get("role")?,
        instead_of: row.try_get("instead_of")?,
        reason: row.try_get("reason")?,
        decided_at: maybe_at(row, "decided_at")?,
        standing: row.try_get("standing")?,
        version: row.try_get("version")?,
    })
}

pub(super) fn read_dead_reply(row: &SqlRow) -> Result<DeadReplyRow, Error> {
    Ok(DeadReplyRow {
        correlation_id: row.try_get("correlation_id")?,
        source_system: row.try_get("source_system")?,
        id: row.try_get("id")?,
        event_type: row.try_get("event_type")?,
        failure_reason: row.try_get("failure_reason")?,
        failed_at: maybe_at(row, "failed_at")?,
    })
}

pub(super) fn read_gone(row: &SqlRow) -> Result<GoneRow, Error> {
    Ok(GoneRow {
        id: row.try_get("id")?,
        workflow: row.try_get("workflow")?,
        version: row.try_get("version")?,
        revision: row.try_get("revision")?,
        round: row.try_get("round")?,
        status: row.try_get("status")?,
    })
}
