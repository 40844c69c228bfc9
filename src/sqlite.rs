//! What outbox and inbox share in SQLite: the schema's versions, times as integers, and one connection for many tasks.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rusqlite::ffi::{Error as Failure, SQLITE_INTERRUPT};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row as SqlRow, Transaction, TransactionBehavior};

use crate::outbox::StoreError;
use crate::outbox::columns::{Row, Said};
use crate::schema::{INSTALLING, Part};

/// Creates a part of the schema, or brings it up to date. Safe from many processes at once: the first to come does it.
pub(crate) fn install(connection: &mut Connection, part: &Part) -> Result<(), StoreError> {
    let fault = |error: rusqlite::Error| StoreError::new(INSTALLING, error);
    let journal = write_ahead(connection).map_err(fault)?;
    if !matches!(journal.as_str(), "wal" | "memory") {
        return Err(StoreError::new(
            INSTALLING,
            format!("wanted journal mode wal, and the database answers {journal}"),
        ));
    }
    // Who finds everything in place waits for no writer.
    if version(connection, part).is_ok_and(|found| found == part.versions.len()) {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)?;
    transaction
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS integration_schema (part TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT",
        )
        .map_err(fault)?;
    let found = version(&transaction, part).map_err(fault)?;
    for step in part.missing(found)? {
        transaction.execute_batch(step).map_err(fault)?;
    }
    transaction
        .execute(
            "INSERT INTO integration_schema VALUES (?1, ?2) ON CONFLICT (part) DO UPDATE SET version = ?2",
            (part.name, u32::try_from(part.versions.len()).unwrap_or(u32::MAX)),
        )
        .map_err(fault)?;
    transaction.commit().map_err(fault)
}

/// Puts the database into WAL mode, and says which mode it is in. For this one change SQLite does not wait where somebody
/// else makes it too.
fn write_ahead(connection: &Connection) -> rusqlite::Result<String> {
    let began = Instant::now();
    loop {
        let journal: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        if journal == "wal" {
            return Ok(journal);
        }
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && began.elapsed() < BUSY => {
                std::thread::sleep(Duration::from_millis(5));
            }
            answer => return answer,
        }
    }
}

/// The version of a part that the database has; 0 where it has none.
fn version(connection: &Connection, part: &Part) -> rusqlite::Result<usize> {
    let found: Option<u32> = connection
        .query_row("SELECT version FROM integration_schema WHERE part = ?1", [part.name], |row| row.get(0))
        .optional()?;
    Ok(found.and_then(|found| usize::try_from(found).ok()).unwrap_or(0))
}

/// How long a write waits for another one: less than a relay waits for its store, so that it hears why.
const BUSY: Duration = Duration::from_secs(4);

/// A connection that many tasks use in turn, each off the threads of the runtime.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<Connection>>);

impl Shared {
    pub(crate) fn open(path: &Path, part: &Part) -> Result<Self, StoreError> {
        let mut connection = Connection::open(path).map_err(|error| StoreError::new("opening the database", error))?;
        connection.busy_timeout(BUSY).map_err(|error| StoreError::new("opening the database", error))?;
        install(&mut connection, part)?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Runs work on the connection.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.0);
        let work = tokio::task::spawn_blocking(move || {
            let mut connection = shared.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut connection)
        });
        match work.await {
            Ok(done) => done.map_err(|error| StoreError::new(doing, error)),
            Err(error) => Err(StoreError::new(doing, error)),
        }
    }

    /// Runs work in a transaction that writes. Where the caller has stopped waiting for it, it is not committed: nobody
    /// would know of it.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let waits = Arc::new(());
        let awaited = Arc::downgrade(&waits);
        let done = self.run(doing, move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            if awaited.strong_count() == 0 {
                return Err(rusqlite::Error::SqliteFailure(Failure::new(SQLITE_INTERRUPT), None));
            }
            transaction.commit()?;
            Ok(done)
        });
        let done = done.await;
        drop(waits);
        done
    }
}

/// The database's time now: as one with the transaction as SQLite can.
pub(crate) fn now(connection: &Connection) -> rusqlite::Result<DateTime<Utc>> {
    connection
        .prepare_cached("SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)")?
        .query_row([], |row| moment(row.get(0)?))
}

/// Microseconds since 1970, as a column holds them.
pub(crate) fn micros(moment: DateTime<Utc>) -> i64 {
    moment.timestamp_micros()
}

/// The moment in a column.
pub(crate) fn moment(micros: i64) -> rusqlite::Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| {
        let error = format!("{micros} microseconds since 1970 are past the end of the calendar");
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Integer, error.into())
    })
}

/// The moment in a column that plain SQL may have written, or the calendar's last: one such row must not stop the others.
pub(crate) fn any_moment(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Reads [`EVENT_COLUMNS`](crate::outbox::columns::EVENT_COLUMNS), or what another table has in their places.
pub(crate) fn read_row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        sequence: row.get(0)?,
        id: text(row, 1)?,
        event_type: text(row, 2)?,
        source_system: text(row, 3)?,
        schema_version: text(row, 4)?,
        correlation_id: maybe_text(row, 5)?,
        payload: bytes(row.get_ref(6)?)?,
        tags: text(row, 7)?,
        ordering_key: maybe_text(row, 8)?,
        retry_policy: text(row, 9)?,
        created_at: any_moment(row.get(10)?),
        status: row.get(11)?,
        attempts: row.get(12)?,
        failure: said(row, 13)?,
        redriven: said(row, 16)?,
        discarded: said(row, 19)?,
    })
}

/// A text that plain SQL wrote may be no UTF-8: one such row must not stop the others.
fn maybe_text(row: &SqlRow<'_>, place: usize) -> rusqlite::Result<Option<String>> {
    Ok(row.get_ref(place)?.as_bytes_or_null()?.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
}

fn text(row: &SqlRow<'_>, place: usize) -> rusqlite::Result<String> {
    Ok(maybe_text(row, place)?.unwrap_or_default())
}

/// Three columns: who or what, why, and when. Most rows say nothing, and their texts are not looked at.
fn said(row: &SqlRow<'_>, place: usize) -> rusqlite::Result<Option<Said>> {
    let Some(at) = maybe_moment(row.get(place.saturating_add(2))?) else { return Ok(None) };
    Ok(Said::of(maybe_text(row, place)?, maybe_text(row, place.saturating_add(1))?, Some(at)))
}

pub(crate) fn maybe_moment(micros: Option<i64>) -> Option<DateTime<Utc>> {
    micros.map(any_moment)
}

/// A payload that plain SQL wrote as text is its bytes; one that is not kept is none.
fn bytes(value: ValueRef<'_>) -> rusqlite::Result<Vec<u8>> {
    match value {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(bytes.to_vec()),
        ValueRef::Null => Ok(Vec::new()),
        other => Err(rusqlite::Error::InvalidColumnType(6, "payload".to_owned(), other.data_type())),
    }
}

/// A later moment, in microseconds, or the last of the year 9999.
pub(crate) fn after(moment: DateTime<Utc>, span: Duration) -> i64 {
    const LAST: i64 = 253_402_300_799_999_999;
    micros(moment).saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)).min(LAST)
}

/// Whether the caller's transaction is still open. A constraint with `ON CONFLICT ROLLBACK`, or a `COMMIT` by hand, ends it
/// without a word, and what followed would stand alone.
pub(crate) fn still_open(connection: &Connection, doing: &'static str) -> Result<(), StoreError> {
    if connection.is_autocommit() {
        let found = "the transaction has ended already, by a rollback that SQLite made or by SQL: begin a new one";
        return Err(StoreError::new(doing, found));
    }
    Ok(())
}
