//! What happens on a connection whole or not at all: a transaction, or a savepoint within
//! an open one.

use rusqlite::{Connection, Result};

/// Open statements that a drop undoes, unless they were committed.
#[derive(Debug)]
pub(super) struct Whole<'c> {
    connection: &'c Connection,
    is_savepoint: bool,
    is_open: bool,
}

impl<'c> Whole<'c> {
    /// Begins a transaction that no other connection writes beside. Within an open one,
    /// it is a savepoint of it.
    pub(super) fn begin(connection: &'c Connection) -> Result<Self> {
        let is_savepoint = !connection.is_autocommit();
        let begin = if is_savepoint { "SAVEPOINT boundary" } else { "BEGIN IMMEDIATE" };
        connection.execute_batch(begin)?;
        Ok(Self { connection, is_savepoint, is_open: true })
    }

    pub(super) fn commit(mut self) -> Result<()> {
        let commit = if self.is_savepoint { "RELEASE boundary" } else { "COMMIT" };
        self.connection.execute_batch(commit)?;
        self.is_open = false;
        Ok(())
    }
}

impl Drop for Whole<'_> {
    /// An error here is not reported: the one that led here is.
    fn drop(&mut self) {
        // SQLite itself may have rolled the transaction back.
        if self.is_open && !self.connection.is_autocommit() {
            let undo = if self.is_savepoint {
                "ROLLBACK TO boundary; RELEASE boundary"
            } else {
                "ROLLBACK"
            };
            let _ = self.connection.execute_batch(undo);
        }
    }
}
