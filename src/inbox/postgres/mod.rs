//! The inbox in PostgreSQL.
//!
//! ```no_run
//! use integration_automation_patterns::broker::Consumer;
//! use integration_automation_patterns::inbox::{Receipt, InboxConfig, postgres};
//! use integration_automation_patterns::RetryPolicy;
//! use std::time::Duration;
//! use tokio_postgres::NoTls;
//!
//! # type Outcome = Result<(), Box<dyn std::error::Error>>;
//! # async fn consume(mut listener: impl Consumer) -> Outcome {
//! let (mut erp, connection) =
//!     tokio_postgres::connect("host=127.0.0.1 user=erp", NoTls).await?;
//! tokio::spawn(connection);
//! postgres::install(&mut erp).await?;
//! let week = Duration::from_secs(7 * 24 * 60 * 60);
//! let config = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
//!
//! // One delivery: an error drops it, and it comes again. A consumer is a loop that no
//! // error ends, as at `process`.
//! let Some(delivery) = listener.next().await? else { return Ok(()) };
//! match postgres::receive(erp.transaction().await?, delivery, &config).await? {
//!     Receipt::New(fresh) => {
//!         let lead = fresh.event().payload().bytes();
//!         let sql = "INSERT INTO customer VALUES ($1)";
//!         fresh.transaction().execute(sql, &[&lead]).await?;
//!         // Only what is committed, the effect and its memory, can be acked.
//!         fresh.commit().await?.ack().await?;
//!     }
//!     Receipt::Duplicate(done)
//!     | Receipt::Forestalled(done)
//!     | Receipt::DeadLettered(done) => done.ack().await?,
//!     Receipt::RetryLater(later) => later.nack().await?,
//! }
//! # Ok(())
//! # }
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
mod refusal;
mod rows;
mod worker;

use tokio_postgres::Client;

pub use self::admin::{counts, discard, get, purge, redrive};
pub use self::forestall::forestall;
pub use self::list::{dead_letters, held, stalled, unreadable};
pub use self::process::process;
pub use self::receive::{InboxTransaction, Receiving, WholeTransaction, receive};
pub(super) use self::refusal::is_of_the_database;
pub use self::worker::{Database, Handle, Postgres, Worker, handlers};
use crate::store::postgres as database;
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
pub async fn install(client: &mut Client) -> Result<(), StoreError> {
    database::install(client, &PART).await
}

/// Checks whether this program can use the table, and changes nothing: for a program that
/// only reads.
///
/// # Errors
///
/// An error of the database, or a table that is missing, older than this program's, or
/// too new for it, with both versions.
pub async fn check_tables(client: &Client) -> Result<(), StoreError> {
    database::check(client, &PART).await
}

/// A savepoint behind the row of the event: a rollback to it undoes what a handler wrote
/// before it failed, and leaves the memory of the failure. Where it is gone, so is the
/// transaction that the inbox began.
const SAVEPOINT: &str = "SAVEPOINT inbox_effect";
const RELEASE: &str = "RELEASE SAVEPOINT inbox_effect";
const ROLLBACK: &str = "ROLLBACK TO SAVEPOINT inbox_effect";
