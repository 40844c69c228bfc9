//! The rows of the inbox in SQLite: found, and written.

use std::sync::LazyLock;

use rusqlite::{OptionalExtension, Row as SqlRow, Transaction, params};

use crate::inbox::counting::Key;
use crate::inbox::entry::{Entry, LastAttempt, Spelling};
use crate::state::Acknowledged;
use crate::store::LAST_DUE;
use crate::store::sqlite::{any_moment, maybe_text, micros, read_row};
use crate::{DeliveryStatus, Envelope, Facts, RawEvent};

/// The columns of an [`Entry`]: those of its [`Row`](crate::store::Row), with what is not
/// kept of a processed event in its place, and the inbox's own.
pub(super) const COLUMNS: &str = "0, id, event_type, source_system, schema_version, \
     correlation_id, payload, tags, ordering_key, retry_policy, \
     coalesce(created_at, received_at), status, attempts, failure_class, failure_reason, \
     failed_at, redriven_by, redriven_reason, redriven_at, discarded_by, \
     discarded_reason, discarded_at, last_attempt, due_at";

pub(super) fn read_entry(row: &SqlRow<'_>) -> rusqlite::Result<Entry> {
    let last_attempt = maybe_text(row, "last_attempt")?;
    Ok(Entry {
        row: read_row(row)?,
        last_attempt: LastAttempt::read(last_attempt.as_deref()),
        due_at: row.get::<_, Option<i64>>("due_at")?.map(any_moment),
    })
}

pub(super) fn find(
    transaction: &Transaction<'_>,
    event: &Facts<RawEvent>,
) -> rusqlite::Result<Option<Entry>> {
    find_row(transaction, &Key::of(event))
}

pub(super) fn find_row(
    transaction: &Transaction<'_>,
    Key { source_system, id }: &Key,
) -> rusqlite::Result<Option<Entry>> {
    let sql =
        format!("SELECT {COLUMNS} FROM inbox_event WHERE source_system = ?1 AND id = ?2");
    let mut find = transaction.prepare_cached(&sql)?;
    find.query_row([source_system, id], read_entry).optional()
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
             failed_at = NULL, last_attempt = NULL, \
             received_at = CAST(unixepoch('subsec') * 1000000 AS INTEGER) \
             WHERE source_system = ?1 AND id = ?2",
        )?
        .execute(params![event.source_system(), event.id().to_string(), event.attempts()])
}

static WRITE: LazyLock<String> = LazyLock::new(|| {
    let now = "CAST(unixepoch('subsec') * 1000000 AS INTEGER)";
    Spelling { mark: '?', tags: "", received_at: Some(now) }.write()
});

/// Keeps the whole of an event that failed, is held, or was discarded.
pub(super) fn write(
    transaction: &Transaction<'_>,
    Entry { row, last_attempt, due_at }: Entry,
) -> rusqlite::Result<()> {
    let (failure, redriven, discarded) =
        (row.failure.as_ref(), row.redriven.as_ref(), row.discarded.as_ref());
    let kept = row.status != DeliveryStatus::Skipped.as_str();
    let values = params![
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
        last_attempt.as_str(),
        due_at.map(|at| micros(at.min(LAST_DUE))),
    ];
    transaction.prepare_cached(&WRITE)?.execute(values).map(drop)
}

/// Forgets an event.
pub(super) fn remove(
    transaction: &Transaction<'_>,
    Key { source_system, id }: &Key,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM inbox_event WHERE source_system = ?1 AND id = ?2";
    transaction.prepare_cached(sql)?.execute([source_system, id]).map(drop)
}
