//! Enqueuing in PostgreSQL, in the caller's transaction, by the same functions that plain
//! SQL calls.

use std::collections::HashSet;

use tokio_postgres::types::{ToSql, Type};

use super::open::OpenTransaction;
use crate::Envelope;
use crate::outbox::driver::{DOING, Dialect, ELSEWHERE, HERE, Insert, Value};
use crate::outbox::encoded::{Encoded, encoded};
use crate::outbox::enqueued::{Enqueued, Enqueuing, same_event};
use crate::refused::Refused;
use crate::state::Pending;
use crate::store::error::Doing;
use crate::store::postgres::Session;
use crate::store::{Row, Said, StoreError};
use crate::trace::EventSpan;

const DOING_ALL: &str = "enqueuing events";

/// Writes an event into the outbox, as part of the caller's open transaction, in one
/// round trip. A program that keeps its connection saves PostgreSQL the parsing with
/// [`Statements`](super::Statements).
///
/// There is no variant that takes a plain connection: an event that is not committed with
/// the business change is a lie or a loss.
///
/// Transactions that enqueue under one ordering key wait for one another, so that events
/// of a key have the order of their commits. A transaction that enqueues under several
/// keys must take them in the same order everywhere, or call [`enqueue_all`]: otherwise
/// two of them may deadlock, and PostgreSQL aborts one.
///
/// # Errors
///
/// An error of the database, or another event (of another system or type) with the same
/// id. Each gives the event back. After an error of the database, PostgreSQL has aborted
/// the whole transaction: nothing of it is stored, and a later `commit` reports no error.
pub fn enqueue<'t, T: OpenTransaction<Via>, Via, P: Encoded>(
    transaction: &'t T,
    event: Envelope<Pending, P>,
) -> Enqueuing<'t, Enqueued, Envelope<Pending>> {
    let (session, event) = (transaction.session(), encoded(event));
    Box::pin(async move {
        let enqueued = write(session, &event).await;
        enqueued.map_err(|error| Refused::new(event, error))
    })
}

async fn write(
    session: Session<'_>,
    event: &Envelope<Pending>,
) -> Result<Enqueued, StoreError> {
    let insert = Insert::new(Dialect::Postgres, event);
    let values: Vec<(&(dyn ToSql + Sync), Type)> =
        insert.values().iter().map(typed).collect();
    let row = session.query_opt(insert.sql(), &values).await.doing(DOING)?;
    let row: Option<String> = row.map(|row| row.try_get(0)).transpose().doing(DOING)?;
    drop(values);
    insert.answered(row.as_deref())
}

fn typed(value: &Value) -> (&(dyn ToSql + Sync), Type) {
    match value {
        Value::Text(text) => (text, Type::TEXT),
        Value::Bytes(bytes) => (bytes, Type::BYTEA),
        Value::Integer(number) => (number, Type::INT8),
    }
}

/// Writes many events into the outbox in one statement, in the order given, and returns
/// for each whether it is new. Otherwise it works as [`enqueue`] does.
///
/// # Errors
///
/// As [`enqueue`]; it gives all events back.
///
/// ```no_run
/// use integration_automation_patterns::outbox::Enqueued;
/// use integration_automation_patterns::outbox::postgres::enqueue_all;
/// use integration_automation_patterns::{Envelope, RawEvent};
///
/// # async fn import(
/// #     business: &tokio_postgres::Transaction<'_>,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let lead = |name: &str| {
///     Envelope::builder("crm", RawEvent::new("crm.lead.created", name)).build()
/// };
/// let enqueued = enqueue_all(business, vec![lead("Ada")?, lead("Grace")?]).await?;
/// assert_eq!(enqueued, [Enqueued::New, Enqueued::New]);
/// # Ok(())
/// # }
/// ```
pub fn enqueue_all<'t, T: OpenTransaction<Via>, Via, P: Encoded>(
    transaction: &'t T,
    events: Vec<Envelope<Pending, P>>,
) -> Enqueuing<'t, Vec<Enqueued>, Vec<Envelope<Pending>>> {
    let session = transaction.session();
    let events: Vec<_> = events.into_iter().map(encoded).collect();
    Box::pin(async move {
        let enqueued = write_all(session, &events).await;
        enqueued.map_err(|error| Refused::new(events, error))
    })
}

async fn write_all(
    session: Session<'_>,
    events: &[Envelope<Pending>],
) -> Result<Vec<Enqueued>, StoreError> {
    let (rows, spans): (Vec<Row>, Vec<EventSpan>) = events.iter().map(begin).unzip();
    let new = session
        .query(
            &format!(
                "SELECT outbox_enqueue_all($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
                 WHERE {HERE}"
            ),
            &[
                (&each(&rows, |row| row.id.as_str()), Type::TEXT_ARRAY),
                (&each(&rows, |row| row.event_type.as_str()), Type::TEXT_ARRAY),
                (&each(&rows, |row| row.source_system.as_str()), Type::TEXT_ARRAY),
                (&each(&rows, |row| row.payload.as_slice()), Type::BYTEA_ARRAY),
                (&each(&rows, |row| row.schema_version.as_str()), Type::TEXT_ARRAY),
                (&any(&rows, |row| row.correlation_id.as_deref()), Type::TEXT_ARRAY),
                (&each(&rows, |row| row.tags.as_str()), Type::TEXT_ARRAY),
                (&any(&rows, |row| row.ordering_key.as_deref()), Type::TEXT_ARRAY),
                (&each(&rows, |row| row.retry_policy.as_str()), Type::TEXT_ARRAY),
                (&each(&rows, |row| row.created_at), Type::TIMESTAMPTZ_ARRAY),
                (&any(&rows, |row| what(row.failure.as_ref())), Type::TEXT_ARRAY),
                (&any(&rows, |row| reason(row.failure.as_ref())), Type::TEXT_ARRAY),
                (&any(&rows, |row| at(row.failure.as_ref())), Type::TIMESTAMPTZ_ARRAY),
                (&any(&rows, |row| what(row.redriven.as_ref())), Type::TEXT_ARRAY),
                (&any(&rows, |row| reason(row.redriven.as_ref())), Type::TEXT_ARRAY),
                (&any(&rows, |row| at(row.redriven.as_ref())), Type::TIMESTAMPTZ_ARRAY),
            ],
        )
        .await;
    let new = new.and_then(|new| new.iter().map(|row| row.try_get(0)).collect());
    let mut new: HashSet<String> = new.doing(DOING_ALL)?;
    // Of an id that is given twice, the first is the one that was written.
    let answers: Vec<Enqueued> =
        rows.iter().map(|row| enqueued(new.remove(&row.id))).collect();
    let there =
        rows.iter().zip(&answers).filter(|(_, answer)| **answer == Enqueued::Duplicate);
    let there: Vec<&Row> = there.map(|(row, _)| row).collect();
    compare(session, &there).await?;
    spans
        .into_iter()
        .zip(&answers)
        .for_each(|(span, enqueued)| span.end((*enqueued).into()));
    Ok(answers)
}

fn begin(event: &Envelope<Pending>) -> (Row, EventSpan) {
    let mut record = event.to_record();
    let span = EventSpan::enqueue(&mut record);
    (Row::of_record(record), span)
}

/// A column that every event has.
fn each<'a, T>(rows: &'a [Row], column: impl Fn(&'a Row) -> T) -> Vec<T> {
    rows.iter().map(column).collect()
}

/// An optional column: NULL as a whole if no event has it, which is cheaper to send and
/// to read.
fn any<'a, T>(
    rows: &'a [Row],
    column: impl Fn(&'a Row) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    let values = each(rows, column);
    values.iter().any(Option::is_some).then_some(values)
}

/// Refuses events whose ids belong to other events.
async fn compare(session: Session<'_>, rows: &[&Row]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    if session
        .query(&format!("SELECT WHERE {HERE}"), &[])
        .await
        .doing(DOING_ALL)?
        .is_empty()
    {
        return Err(StoreError::new(DOING_ALL, ELSEWHERE));
    }
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let sql =
        "SELECT id, source_system, event_type FROM outbox_event WHERE id = ANY ($1)";
    for found in session.query(sql, &[(&ids, Type::TEXT_ARRAY)]).await.doing(DOING_ALL)? {
        let id: &str = found.try_get(0).doing(DOING_ALL)?;
        let there =
            (found.try_get(1).doing(DOING_ALL)?, found.try_get(2).doing(DOING_ALL)?);
        for row in rows.iter().filter(|row| row.id == id) {
            same_event(DOING_ALL, row, &there)?;
        }
    }
    Ok(())
}

const fn enqueued(new: bool) -> Enqueued {
    if new { Enqueued::New } else { Enqueued::Duplicate }
}

fn what(said: Option<&Said>) -> Option<&str> {
    said.map(|said| said.what.as_str())
}

fn reason(said: Option<&Said>) -> Option<&str> {
    said.map(|said| said.reason.as_str())
}

fn at(said: Option<&Said>) -> Option<chrono::DateTime<chrono::Utc>> {
    said.map(|said| said.at)
}
