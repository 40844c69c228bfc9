//! The inbox in a SQLite file.
//!
//! ```
//! use integration_automation_patterns::broker::{Broker, Consumer, in_process};
//! use integration_automation_patterns::inbox::{Receipt, InboxConfig, sqlite};
//! use integration_automation_patterns::{Envelope, RetryPolicy, RawEvent};
//! use std::time::Duration;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
//! # runtime.block_on(async {
//! let mut erp = rusqlite::Connection::open_in_memory()?;
//! sqlite::install(&mut erp)?;
//! erp.execute_batch("CREATE TABLE customer (lead BLOB)")?;
//! let week = Duration::from_secs(7 * 24 * 60 * 60);
//! let config = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
//!
//! let (broker, mut listener) = in_process(16);
//! let lead = RawEvent::new("crm.lead.created", b"{}");
//! let event = Envelope::builder("crm", lead).build()?.dispatch();
//! let send = broker.send(&event);
//! let consume = async {
//!     let delivery = listener.next().await?.ok_or("no delivery")?;
//!     match sqlite::receive(erp.transaction()?, delivery, &config)? {
//!         Receipt::New(fresh) => {
//!             let lead = fresh.event().payload().bytes();
//!             fresh.transaction().execute("INSERT INTO customer VALUES (?1)", [lead])?;
//!             // Only what is committed, the effect and its memory, can be acked.
//!             fresh.commit()?.ack().await?;
//!         }
//!         Receipt::Duplicate(done)
//!         | Receipt::Forestalled(done)
//!         | Receipt::DeadLettered(done) => done.ack().await?,
//!         Receipt::RetryLater(later) => later.nack().await?,
//!     }
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! };
//! let (sent, consumed) = tokio::join!(send, consume);
//! assert!(sent.is_ok() && consumed.is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admin;
mod batch;
mod commit;
mod counting;
mod forestall;
mod held;
mod list;
mod process;
mod receive;
mod rows;
mod worker;

use rusqlite::Connection;

pub use self::admin::{counts, discard, get, purge, redrive};
pub use self::forestall::forestall;
pub use self::list::{dead_letters, held, stalled, unreadable};
pub use self::process::process;
pub use self::receive::receive;
pub use self::worker::{File, Handle, Sqlite, Worker, handlers};
use crate::store::sqlite as database;
use crate::store::{Migration, Part, StoreError};

/// The SQL that makes the table: every migration in order, with the meaning of each
/// column.
pub const SCHEMA: &str = concat!(
    include_str!("migrations/0001.sql"),
    "\n",
    include_str!("migrations/0002.sql"),
    "\n",
    include_str!("migrations/0003.sql"),
    "\n",
    include_str!("migrations/0004.sql")
);

const PART: Part = Part {
    name: "inbox",
    versions: &[
        include_str!("migrations/0001.sql"),
        include_str!("migrations/0002.sql"),
        include_str!("migrations/0003.sql"),
        include_str!("migrations/0004.sql"),
    ],
};

/// The migrations that make the table, in order, for a migration tool of your own.
pub fn migrations() -> impl Iterator<Item = Migration> {
    PART.migrations()
}

/// Creates the table of the inbox, or brings it up to date.
///
/// # Errors
///
/// An error of the database, or a table of a newer version of this crate that this
/// version cannot use.
pub fn install(connection: &mut Connection) -> Result<(), StoreError> {
    database::install(connection, &PART)
}

/// Checks whether this program can use the table, and changes nothing: for a program that
/// only reads.
///
/// # Errors
///
/// An error of the database, or a table that is missing, older than this program's, or
/// too new for it, with both versions.
///
/// ```
/// use integration_automation_patterns::inbox::sqlite;
///
/// let mut erp = rusqlite::Connection::open_in_memory()?;
/// assert!(sqlite::check_tables(&erp).is_err());
/// sqlite::install(&mut erp)?;
/// assert!(sqlite::check_tables(&erp).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check_tables(connection: &Connection) -> Result<(), StoreError> {
    database::check(connection, &PART)
}

/// A savepoint behind the row of the event: a rollback to it undoes what a handler wrote
/// before it failed, and leaves the memory of the failure. Where it is gone, so is the
/// transaction that the inbox began.
const SAVEPOINT: &str = "SAVEPOINT inbox_effect";
const RELEASE: &str = "RELEASE inbox_effect";
const ROLLBACK: &str = "ROLLBACK TO inbox_effect";
