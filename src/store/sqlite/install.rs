//! The tables, made or brought up to date in a database that any number of processes open
//! at once.

use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior};

use super::fault::fault;
use super::shared::BUSY;
use crate::store::StoreError;
use crate::store::schema::{INSTALLING, Part};

/// Creates a part of the schema, or brings it up to date. Safe from many processes at
/// once: the first to come does it.
pub(crate) fn install(
    connection: &mut Connection,
    part: &Part,
) -> Result<(), StoreError> {
    let fault = |error: rusqlite::Error| fault(INSTALLING, error);
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
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(fault)?;
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

/// Puts the database into WAL mode, and says which mode it is in. For this one change
/// SQLite does not wait where somebody else makes it too.
fn write_ahead(connection: &Connection) -> rusqlite::Result<String> {
    let began = Instant::now();
    loop {
        let journal: String =
            connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        if journal == "wal" {
            return Ok(journal);
        }
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && began.elapsed() < BUSY =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            answer => return answer,
        }
    }
}

/// The version of a part that the database has; 0 where it has none.
pub(super) fn version(connection: &Connection, part: &Part) -> rusqlite::Result<usize> {
    let known = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'integration_schema'";
    if connection.query_row(known, [], |_| Ok(())).optional()?.is_none() {
        return Ok(0);
    }
    let found: Option<u32> = connection
        .query_row(
            "SELECT version FROM integration_schema WHERE part = ?1",
            [part.name],
            |row| row.get(0),
        )
        .optional()?;
    Ok(found.and_then(|found| usize::try_from(found).ok()).unwrap_or(0))
}
