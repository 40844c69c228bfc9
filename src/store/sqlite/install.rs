//! The tables, made or brought up to date in a database that any number of processes open
//! at once.

use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior};

use crate::store::StoreError;
use crate::store::error::Doing;
use crate::store::schema::{CHECKING, INSTALLING, Installed, Part, Upkeep};

/// How long a write waits for another one: less than a relay waits for its store, so that
/// it hears why.
pub(super) const BUSY: Duration = Duration::from_secs(4);

/// Creates a part of the schema, or brings it up to date. Safe from many processes at
/// once: the first to come does it.
pub(crate) fn install(
    connection: &mut Connection,
    part: &Part,
) -> Result<(), StoreError> {
    let journal = write_ahead(connection).doing(INSTALLING)?;
    if !matches!(journal.as_str(), "wal" | "memory") {
        return Err(StoreError::new(
            INSTALLING,
            format!("expected the journal mode wal, found {journal}"),
        ));
    }
    // Who finds everything in place waits for no writer.
    if let Ok(found) = installed(connection, part)
        && part.missing(found)?.is_empty()
    {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .doing(INSTALLING)?;
    // Another program may have done it meanwhile.
    let found = installed(&transaction, part).doing(INSTALLING)?;
    let steps = part.missing(found)?;
    let install = || {
        for step in steps {
            transaction.execute_batch(step)?;
        }
        if !steps.is_empty() {
            record(&transaction, part)?;
        }
        Ok::<_, rusqlite::Error>(())
    };
    install().doing(INSTALLING)?;
    transaction.commit().doing(INSTALLING)
}

/// Finds out whether this program can use a part of the schema as it is.
pub(crate) fn check(connection: &Connection, part: &Part) -> Result<(), StoreError> {
    part.check(installed(connection, part).doing(CHECKING)?, "the database")
}

/// Makes a part of the schema usable, or finds out whether it is.
pub(super) fn prepare(
    connection: &mut Connection,
    part: &Part,
    upkeep: Upkeep,
) -> Result<(), StoreError> {
    match upkeep {
        Upkeep::Install => install(connection, part),
        Upkeep::Check => check(connection, part),
    }
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

/// The version of a part that the database has.
pub(super) fn installed(
    connection: &Connection,
    part: &Part,
) -> rusqlite::Result<Installed> {
    let columns = columns(connection)?;
    if columns.is_empty() {
        return Ok(Installed::default());
    }
    let compatible_from = if columns.iter().any(|name| name == COMPATIBLE_FROM) {
        COMPATIBLE_FROM
    } else {
        "NULL"
    };
    let sql = format!(
        "SELECT version, {compatible_from} FROM integration_schema WHERE part = ?1"
    );
    let read = |row: &rusqlite::Row<'_>| Ok(Installed::of(row.get(0)?, row.get(1)?));
    Ok(connection.query_row(&sql, [part.name], read).optional()?.unwrap_or_default())
}

const COMPATIBLE_FROM: &str = "compatible_from";

/// The columns of the table of versions; none where there is no such table.
fn columns(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut names =
        connection.prepare("SELECT name FROM pragma_table_info('integration_schema')")?;
    names.query_map([], |row| row.get(0))?.collect()
}

/// Records that the database has the latest version of a part.
fn record(connection: &Connection, part: &Part) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS integration_schema (\
           part TEXT PRIMARY KEY, version INTEGER NOT NULL, compatible_from INTEGER) STRICT",
    )?;
    if !columns(connection)?.iter().any(|name| name == COMPATIBLE_FROM) {
        connection.execute_batch(
            "ALTER TABLE integration_schema ADD COLUMN compatible_from INTEGER",
        )?;
    }
    let Installed { version, compatible_from } = part.latest();
    let number = |version: usize| u32::try_from(version).unwrap_or(u32::MAX);
    connection.execute(
        "INSERT INTO integration_schema (part, version, compatible_from) VALUES (?1, ?2, ?3) \
         ON CONFLICT (part) DO UPDATE SET version = ?2, compatible_from = ?3",
        (part.name, number(version), number(compatible_from)),
    )?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE test (value INTEGER) STRICT";
    const SECOND: &str =
        "-- compatible_from: 1\nALTER TABLE test ADD COLUMN text TEXT DEFAULT 'none'";
    const OLD: Part = Part { name: "test", versions: &[FIRST] };
    const NEW: Part = Part { name: "test", versions: &[FIRST, SECOND] };

    /// A database that was made before the table of versions had `compatible_from` keeps
    /// its rows, and older programs go on with it beside newer ones.
    #[test]
    fn an_older_database_is_taken_forward_with_its_rows() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(&format!(
                "CREATE TABLE integration_schema (part TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT; \
                 INSERT INTO integration_schema VALUES ('test', 1); {FIRST}; INSERT INTO test VALUES (7)"
            ))
            .unwrap();
        let found = |connection: &Connection| installed(connection, &NEW).unwrap();
        assert_eq!(found(&connection), Installed { version: 1, compatible_from: 1 });
        for part in [&NEW, &NEW, &OLD] {
            install(&mut connection, part).unwrap();
            assert_eq!(found(&connection), Installed { version: 2, compatible_from: 1 });
        }
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let kept: (i64, String) =
            connection.query_row("SELECT value, text FROM test", [], row).unwrap();
        assert_eq!(kept, (7, "none".to_owned()));
    }
}
