//! Workflows in PostgreSQL, beside the outbox and the inbox of the same schema.

mod clerk;
mod connect;
mod desk;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod plan_test;
mod read;
mod receive;
mod rows;
mod step;
mod undoing;

use tokio_postgres::Client;

pub use self::clerk::Clerk;
pub use self::connect::Database;
pub use self::desk::Desk;
pub use self::receive::receive;
pub use self::step::{begin, load, store};
pub use self::undoing::undoing;
use crate::store::postgres as database;
use crate::store::{Migration, Part, StoreError};

/// The tables, as every migration makes them in order: with what each column means.
pub const SCHEMA: &str = concat!(
    include_str!("migrations/0001.sql"),
    "\n",
    include_str!("migrations/0002.sql"),
    "\n",
    include_str!("migrations/0003.sql")
);

const PART: Part = Part {
    name: "workflow",
    versions: &[
        include_str!("migrations/0001.sql"),
        include_str!("migrations/0002.sql"),
        include_str!("migrations/0003.sql"),
    ],
};

/// The migrations that make the tables, in their order, for a tool of one's own.
pub fn migrations() -> impl Iterator<Item = Migration> {
    PART.migrations()
}

/// Creates the tables of the workflows, or brings them up to date. A workflow needs the
/// outbox and the inbox of the same schema, too.
///
/// # Errors
///
/// What the database answers, and tables that a newer version of this crate has made.
pub async fn install(client: &mut Client) -> Result<(), StoreError> {
    database::install(client, &PART).await
}
