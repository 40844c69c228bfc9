//! Enqueuing in SQLite: in the caller's transaction, or a savepoint of it.

use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, Savepoint, Transaction, params_from_iter};

use crate::Envelope;
use crate::outbox::driver::{
    DOING, Dialect, Insert, SQLITE_SILENT, SQLITE_STANDING, Value,
};
use crate::outbox::encoded::{Encoded, encoded};
use crate::outbox::enqueued::Enqueued;
use crate::refused::Refused;
use crate::state::Pending;
use crate::store::StoreError;
use crate::store::error::Doing;
use crate::store::sqlite::{still_open, text};

/// Writes an event into the outbox, as part of the caller's open transaction.
///
/// There is no variant that takes a plain connection: an event that is not committed with
/// the business change is a lie or a loss.
///
/// # Errors
///
/// An error of the database, a transaction that has ended, or another event (of another
/// system or type) with the same id. Each gives the event back.
pub fn enqueue<T: OpenTransaction, P: Encoded>(
    transaction: &T,
    event: Envelope<Pending, P>,
) -> Result<Enqueued, Refused<Envelope<Pending>, StoreError>> {
    let event = encoded(event);
    let (connection, insert) =
        (transaction.connection(), Insert::new(Dialect::Sqlite, &event));
    let enqueued = still_open(connection, DOING).and_then(|()| {
        let row = run(connection, &insert).doing(DOING)?;
        insert.answered(row.as_deref())
    });
    enqueued.map_err(|error| Refused::new(event, error))
}

fn run(connection: &Connection, insert: &Insert) -> rusqlite::Result<Option<String>> {
    let values = insert.values();
    let written = connection
        .prepare_cached(SQLITE_SILENT)?
        .execute(params_from_iter(values.iter().map(bound)))?;
    if written > 0 {
        return Ok(Some("new".to_owned()));
    }
    connection
        .prepare_cached(SQLITE_STANDING)?
        .query_row(params_from_iter(values.iter().take(3).map(bound)), |row| text(row, 0))
        .optional()
}

fn bound(value: &Value) -> &dyn ToSql {
    match value {
        Value::Text(text) => text,
        Value::Bytes(bytes) => bytes,
        Value::Integer(number) => number,
    }
}

/// An open transaction, or a savepoint in one. Nothing else implements it.
#[diagnostic::on_unimplemented(
    message = "an event is enqueued with the business change, in an open transaction, and `{Self}` is none",
    label = "needs `&transaction`, from `let transaction = connection.transaction()?`",
    note = "transactions of sqlx and other drivers go to `outbox::driver::enqueue`: the guide has a chapter on drivers"
)]
pub trait OpenTransaction: sealed::OpenTransaction {}

impl OpenTransaction for Transaction<'_> {}
impl OpenTransaction for Savepoint<'_> {}

mod sealed {
    use rusqlite::{Connection, Savepoint, Transaction};

    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be called an open transaction: only the driver's own are",
        label = "an event would be stored without the business change"
    )]
    pub trait OpenTransaction {
        fn connection(&self) -> &Connection;
    }

    impl OpenTransaction for Transaction<'_> {
        fn connection(&self) -> &Connection {
            self
        }
    }

    impl OpenTransaction for Savepoint<'_> {
        fn connection(&self) -> &Connection {
            self
        }
    }
}
