//! The command that an instance waits for, compared with the event that is in the outbox
//! under its id.

use super::finding::Discrepancy;
use super::found::CommandRow;
use crate::state::DeliveryStatus;
use crate::workflow::instance;
use crate::workflow::{Definition, Forestall, InstanceRecord, Status, Step};
use crate::{Event, EventId};

/// What is wrong with the event of the command that a record waits for. One that is not
/// there has left, and was purged.
pub(super) fn compare(
    record: &InstanceRecord,
    table: &Definition,
    row: Option<&CommandRow>,
) -> Option<Discrepancy> {
    let (command, row) = (record.awaits.as_ref()?, row?);
    let step = record.step.as_deref().and_then(|name| table.step(name))?;
    // An earlier version may have had another command here.
    let is_of_table = record.version == table.version;
    other(record, table, step, command, row)
        .filter(|_| is_of_table)
        .or_else(|| stopped(record, command, row))
}

/// The event is another command's.
fn other(
    record: &InstanceRecord,
    table: &Definition,
    step: &Step,
    command: &EventId,
    row: &CommandRow,
) -> Option<Discrepancy> {
    let event_type = match record.status {
        Status::Forestalling => Some(Forestall::TYPE),
        Status::Undoing | Status::Stuck => step.undo,
        _ => step.command,
    };
    let text = |event_type: &str, source_system: &str, correlation_id: &str| {
        format!("`{event_type}` of {source_system} for {correlation_id}")
    };
    let (status, round) = (record.status, record.round);
    let correlation = instance::asked(table, &record.id, status, Some(step), round)?;
    let wanted = text(event_type?, table.name, &correlation.to_string());
    let correlation_id = row.correlation_id.as_deref().unwrap_or("no correlation");
    let found = text(&row.event_type, &row.source_system, correlation_id);
    let command = command.clone();
    (wanted != found).then_some(Discrepancy::OtherCommand { command, wanted, found })
}

/// The event is not sent any more, and the instance waits for its reply.
fn stopped(
    record: &InstanceRecord,
    command: &EventId,
    row: &CommandRow,
) -> Option<Discrepancy> {
    // People look at a step that is parked.
    if matches!(record.status, Status::Parked | Status::Stuck) {
        return None;
    }
    let found: DeliveryStatus = row.state.status.parse().ok()?;
    let is_stopped = matches!(found, DeliveryStatus::Failed | DeliveryStatus::Skipped);
    is_stopped.then(|| Discrepancy::CommandStopped {
        command: command.clone(),
        status: record.status,
        found,
        failure: row.state.failure.clone(),
    })
}
