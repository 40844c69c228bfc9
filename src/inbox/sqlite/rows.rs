//! The rows of the inbox in SQLite: found, and written.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Transaction, params};

use crate::inbox::counting::Key;
use crate::inbox::failing::Outcome;
use crate::state::Acknowledged;
use crate::store::sqlite::{micros, read_row};
use crate::store::{LAST_DUE, Row};
use crate::{DeliveryStatus, Envelope, Facts, RawEvent};

/// The columns of [`Row`], with what is not kept of a processed event in its place.
pub(super) const COLUMNS: &str = "0, id, event_type, source_system, schema_version, \
     correlation_id, payload, tags, ordering_key, retry_policy, \
     coalesce(created_at, received_at), status, attempts, failure_class, failure_reason, \
     failed_at, redriven_by, redriven_reason, redriven_at, discarded_by, \
     discarded_reason, discarded_at";

pub(super) fn find(
    transaction: &Transaction<'_>,
    event: &Facts<RawEvent>,
) -> rusqlite::Result<Option<Row>> {
    find_row(transaction, &Key::of(event))
}

pub(super) fn find_row(
    transaction: &Transaction<'_>,
    Key { source_system, id }: &Key,
) -> rusqlite::Result<Option<Row>> {
    let sql =
        format!("SELECT {COLUMNS} FROM inbox_event WHERE source_system = ?1 AND id = ?2");
    transaction.prepare_cached(&sql)?.query_row([source_system, id], read_row).optional()
}

/// Remembers an event as processed, and says whether it is new.
pub(super) fn remember(
    transaction: &Transaction<'_>,
    event: &Envelope<Acknowledged>,
) -> rusqlite::Result<bool> {
    let inserted = transaction
        .prepare_cached(
            "INSERT INTO inbox_event (source_system, id, received_at, status, attempts) \
             VALUES (?1, ?2, CAST(unixepoch('subsec') * 1000000 AS INTEGER), \
             'processed', ?3) \
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            event.source_system(),
            event.id().to_string(),
            event.attempts()
        ])?;
    Ok(inserted == 1)
}

/// Remembers an event as processed, and forgets what was kept of its failures.
pub(super) fn write_processed(
    transaction: &Transaction<'_>,
    event: &Envelope<Acknowledged>,
) -> rusqlite::Result<usize> {
    transaction
        .prepare_cached(
            "UPDATE inbox_event SET status = 'processed', attempts = ?3, \
             event_type = NULL, schema_version = NULL, correlation_id = NULL, \
             payload = NULL, tags = NULL, ordering_key = NULL, retry_policy = NULL, \
             created_at = NULL, failure_class = NULL, failure_reason = NULL, \
             failed_at = NULL, \
             received_at = CAST(unixepoch('subsec') * 1000000 AS INTEGER) \
             WHERE source_system = ?1 AND id = ?2",
        )?
        .execute(params![event.source_system(), event.id().to_string(), event.attempts()])
}

/// Keeps the whole of an event that failed, or was discarded.
pub(super) fn write(transaction: &Transaction<'_>, row: Row) -> rusqlite::Result<usize> {
    store(transaction, WRITE, row, None)
}

/// The same of an event that failed just now. Where the inbox holds it, it is due again.
pub(super) fn write_failed(
    transaction: &Transaction<'_>,
    outcome: &Outcome,
) -> rusqlite::Result<usize> {
    store(transaction, WRITE, outcome.row(), outcome.next_attempt_at())
}

/// The same, but not of an event that another consumer has processed meanwhile, or a
/// person has discarded.
pub(super) fn write_unless_done(
    transaction: &Transaction<'_>,
    outcome: &Outcome,
) -> rusqlite::Result<usize> {
    let sql = format!("{WRITE} WHERE inbox_event.status IN ('retrying', 'failed')");
    store(transaction, &sql, outcome.row(), outcome.next_attempt_at())
}

const WRITE: &str = "INSERT INTO inbox_event (source_system, id, received_at, status, \
     attempts, event_type, schema_version, correlation_id, payload, tags, ordering_key, \
     retry_policy, created_at, failure_class, failure_reason, failed_at, redriven_by, \
     redriven_reason, redriven_at, discarded_by, discarded_reason, discarded_at) \
     VALUES (?1, ?2, CAST(unixepoch('subsec') * 1000000 AS INTEGER), ?3, ?4, ?5, ?6, ?7, \
     ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21) \
     ON CONFLICT DO UPDATE SET status = ?3, attempts = ?4, event_type = ?5, \
     schema_version = ?6, correlation_id = ?7, payload = ?8, tags = ?9, \
     ordering_key = ?10, retry_policy = ?11, created_at = ?12, failure_class = ?13, \
     failure_reason = ?14, failed_at = ?15, redriven_by = ?16, redriven_reason = ?17, \
     redriven_at = ?18, discarded_by = ?19, discarded_reason = ?20, discarded_at = ?21, \
     held_after = NULL, due_at = CASE WHEN ?3 = 'retrying' \
     AND inbox_event.due_at IS NOT NULL THEN coalesce(?22, inbox_event.due_at) END";

fn store(
    transaction: &Transaction<'_>,
    sql: &str,
    row: Row,
    due_at: Option<DateTime<Utc>>,
) -> rusqlite::Result<usize> {
    let (failure, redriven, discarded) =
        (row.failure.as_ref(), row.redriven.as_ref(), row.discarded.as_ref());
    let kept = row.status != DeliveryStatus::Skipped.as_str();
    transaction.prepare_cached(sql)?.execute(params![
        row.source_system,
        row.id,
        row.status,
        row.attempts,
        row.event_type,
        row.schema_version,
        row.correlation_id,
        kept.then_some(row.payload),
        row.tags,
        row.ordering_key,
        row.retry_policy,
        micros(row.created_at),
        failure.map(|said| &said.what),
        failure.map(|said| &said.reason),
        failure.map(|said| micros(said.at)),
        redriven.map(|said| &said.what),
        redriven.map(|said| &said.reason),
        redriven.map(|said| micros(said.at)),
        discarded.map(|said| &said.what),
        discarded.map(|said| &said.reason),
        discarded.map(|said| micros(said.at)),
        due_at.map(|at| micros(at.min(LAST_DUE))),
    ])
}

/// Forgets an event.
pub(super) fn remove(
    transaction: &Transaction<'_>,
    Key { source_system, id }: &Key,
) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM inbox_event WHERE source_system = ?1 AND id = ?2";
    transaction.prepare_cached(sql)?.execute([source_system, id])
}
