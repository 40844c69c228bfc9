//! Workflows in a SQLite file, beside the outbox and the inbox of the same file.

mod clerk;
mod desk;
mod file;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod plan_test;
mod read;
mod receive;
mod rows;
mod step;
mod undoing;

use rusqlite::Connection;

pub use self::clerk::Clerk;
pub use self::desk::Desk;
pub use self::file::File;
pub use self::receive::receive;
pub use self::step::{begin, load, store};
pub use self::undoing::undoing;
use crate::store::sqlite as database;
use crate::store::{Migration, Part, StoreError};

/// The tables, as they are made: with what each column means.
pub const SCHEMA: &str = concat!(
    include_str!("migrations/0001.sql"),
    "\n",
    include_str!("migrations/0002.sql")
);

const PART: Part = Part {
    name: "workflow",
    versions: &[include_str!("migrations/0001.sql"), include_str!("migrations/0002.sql")],
};

/// The migrations that make the tables, in their order, for a tool of one's own.
pub fn migrations() -> impl Iterator<Item = Migration> {
    PART.migrations()
}

/// Creates the tables of the workflows, or brings them up to date. A workflow needs the
/// outbox and the inbox of the same database, too.
///
/// # Errors
///
/// What the database answers, and tables that a newer version of this crate has made.
///
/// ```
/// use integration_automation_patterns::{inbox, outbox, workflow};
///
/// let mut orders = rusqlite::Connection::open_in_memory()?;
/// outbox::sqlite::install(&mut orders)?;
/// inbox::sqlite::install(&mut orders)?;
/// workflow::sqlite::install(&mut orders)?;
/// let count = "SELECT count(*) FROM workflow_instance";
/// assert_eq!(orders.query_row(count, [], |row| row.get::<_, i64>(0))?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn install(connection: &mut Connection) -> Result<(), StoreError> {
    database::install(connection, &PART)
}
