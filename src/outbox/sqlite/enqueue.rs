//! Enqueuing in SQLite: in the caller's transaction, or a savepoint of it.

use rusqlite::{Connection, Savepoint, Transaction, params};

use crate::Envelope;
use crate::outbox::encoded::{Encoded, encoded};
use crate::outbox::enqueued::{Enqueued, same_event};
use crate::refused::Refused;
use crate::state::Pending;
use crate::store::error::Doing;
use crate::store::sqlite::{micros, still_open, text};
use crate::store::{Row, StoreError};
use crate::trace::EventSpan;

const DOING: &str = "enqueuing an event";

/// Writes an event into the outbox, as part of the caller's open transaction.
///
/// There is no variant that takes a plain connection: an event that is not committed with the business change
/// is a lie or a loss.
///
/// # Errors
///
/// What the database answers, a transaction that has ended, and an event of this id that
/// comes from another system or is of another type; each with the event given back.
pub fn enqueue<T: OpenTransaction, P: Encoded>(
    transaction: &T,
    event: Envelope<Pending, P>,
) -> Result<Enqueued, Refused<Envelope<Pending>, StoreError>> {
    let event = encoded(event);
    let mut record = event.to_record();
    let span = EventSpan::enqueue(&mut record);
    let (connection, row) = (transaction.connection(), Row::of_record(record));
    let insert = || {
        still_open(connection, DOING)?;
        if insert(connection, &row).doing(DOING)? > 0 {
            return Ok(Enqueued::New);
        }
        let sql = "SELECT source_system, event_type FROM outbox_event WHERE id = ?1";
        let there = |found: &rusqlite::Row<'_>| {
            Ok((text(found, "source_system")?, text(found, "event_type")?))
        };
        let there = connection.query_row(sql, [&row.id], there).doing(DOING)?;
        same_event(DOING, &row, &there)
    };
    match insert() {
        Ok(enqueued) => {
            span.end(enqueued.into());
            Ok(enqueued)
        }
        Err(error) => Err(Refused::new(event, error)),
    }
}

/// A transaction that is open, or a savepoint in one. Nothing else implements it.
#[diagnostic::on_unimplemented(
    message = "an event is enqueued with the business change, in an open transaction, and `{Self}` is none",
    label = "needs `&transaction`, from `let transaction = connection.transaction()?`"
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

fn insert(connection: &Connection, row: &Row) -> rusqlite::Result<usize> {
    let (failure, redriven) = (row.failure.as_ref(), row.redriven.as_ref());
    connection
        .prepare_cached(
            "INSERT INTO outbox_event (id, event_type, source_system, schema_version, correlation_id, payload, tags, \
             ordering_key, retry_policy, created_at, failure_class, failure_reason, failed_at, redriven_by, \
             redriven_reason, redriven_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, \
             ?16) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            row.id,
            row.event_type,
            row.source_system,
            row.schema_version,
            row.correlation_id,
            row.payload,
            row.tags,
            row.ordering_key,
            row.retry_policy,
            micros(row.created_at),
            failure.map(|failure| &failure.what),
            failure.map(|failure| &failure.reason),
            failure.map(|failure| micros(failure.at)),
            redriven.map(|redriven| &redriven.what),
            redriven.map(|redriven| &redriven.reason),
            redriven.map(|redriven| micros(redriven.at)),
        ])
}
