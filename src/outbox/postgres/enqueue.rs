//! Enqueuing in PostgreSQL: in the caller's transaction, by the function that plain SQL has too.

use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::super::columns::{Row, Said, same_event};
use super::super::{Enqueued, StoreError};
use crate::Envelope;
use crate::hop::Hop;
use crate::refused::Refused;
use crate::state::Pending;

const DOING: &str = "enqueuing events";

/// Writes an event into the outbox, as part of the caller's open transaction, in one round trip.
///
/// There is no form without one: an event that is not committed with the business change is a lie or a loss.
///
/// Transactions that enqueue events of one ordering key wait for one another: the second until the first has ended, so
/// that the order of their commits is the order of the events. Who enqueues under several keys in one transaction does so
/// in the same order everywhere, or calls [`enqueue_all`], or PostgreSQL will have a deadlock to break.
///
/// # Errors
///
/// What the database answers, and an event of this id that comes from another system or is of another type; each with the
/// event given back. After an answer of the database, PostgreSQL has given the whole transaction up: what was done
/// in it before is not stored either, though a later `commit` says no word about it.
pub async fn enqueue(
    transaction: &Transaction<'_>,
    event: Envelope<Pending>,
) -> Result<Enqueued, Refused<Envelope<Pending>, StoreError>> {
    let mut record = event.to_record();
    let hop = Hop::enqueue(&mut record);
    let row = Row::of_record(record);
    let answer = transaction
        .query_typed_one(
            "SELECT outbox_enqueue($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            &[
                (&row.id, Type::TEXT),
                (&row.event_type, Type::TEXT),
                (&row.source_system, Type::TEXT),
                (&row.payload, Type::BYTEA),
                (&row.schema_version, Type::TEXT),
                (&row.correlation_id, Type::TEXT),
                (&row.tags, Type::TEXT),
                (&row.ordering_key, Type::TEXT),
                (&row.retry_policy, Type::TEXT),
                (&row.created_at, Type::TIMESTAMPTZ),
                (&what(&row.failure), Type::TEXT),
                (&reason(&row.failure), Type::TEXT),
                (&at(&row.failure), Type::TIMESTAMPTZ),
                (&what(&row.redriven), Type::TEXT),
                (&reason(&row.redriven), Type::TEXT),
                (&at(&row.redriven), Type::TIMESTAMPTZ),
            ],
        )
        .await;
    let fault = |error| StoreError::new(DOING, error);
    let enqueued = match answer.and_then(|row| row.try_get(0)).map(enqueued).map_err(fault) {
        Ok(Enqueued::AlreadyThere) => compare(transaction, &[&row]).await.map(|()| Enqueued::AlreadyThere),
        answer => answer,
    };
    match enqueued {
        Ok(enqueued) => {
            hop.enqueued(enqueued);
            Ok(enqueued)
        }
        Err(error) => Err(Refused::new(event, error)),
    }
}

/// Writes many events into the outbox, in the order given, in one statement: otherwise as [`enqueue`], and says of each
/// whether it is new.
///
/// # Errors
///
/// As [`enqueue`], with all events given back.
pub async fn enqueue_all(
    transaction: &Transaction<'_>,
    events: Vec<Envelope<Pending>>,
) -> Result<Vec<Enqueued>, Refused<Vec<Envelope<Pending>>, StoreError>> {
    let begin = |event: &Envelope<Pending>| {
        let mut record = event.to_record();
        let hop = Hop::enqueue(&mut record);
        (Row::of_record(record), hop)
    };
    let (rows, hops): (Vec<Row>, Vec<Hop>) = events.iter().map(begin).unzip();
    // The keys are waited for in one order, whatever that of the events.
    let sql = "WITH turn AS MATERIALIZED (\
           SELECT count(*) FROM (SELECT DISTINCT key FROM unnest($8) AS given (key) WHERE key IS NOT NULL ORDER BY key) \
           AS keys, LATERAL outbox_await_turn(key)\
         ) \
         SELECT outbox_enqueue(id, event_type, source_system, payload, schema_version, correlation_id, tags::jsonb, \
           ordering_key, retry_policy, created_at, failure_class, failure_reason, failed_at, redriven_by, \
           redriven_reason, redriven_at) \
         FROM turn, unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) WITH ORDINALITY \
           AS event (id, event_type, source_system, payload, schema_version, correlation_id, tags, ordering_key, \
           retry_policy, created_at, failure_class, failure_reason, failed_at, redriven_by, redriven_reason, \
           redriven_at, place) ORDER BY place";
    fn each<'a, T>(rows: &'a [Row], column: impl Fn(&'a Row) -> T) -> Vec<T> {
        rows.iter().map(column).collect()
    }
    let answer = transaction
        .query_typed(
            sql,
            &[
                (&each(&rows, |row| row.id.as_str()), Type::TEXT_ARRAY),
                (&each(&rows, |row| row.event_type.as_str()), Type::TEXT_ARRAY),
                (&each(&rows, |row| row.source_system.as_str()), Type::TEXT_ARRAY),
                (&each(&rows, |row| row.payload.as_slice()), Type::BYTEA_ARRAY),
                (&each(&rows, |row| row.schema_version.as_str()), Type::TEXT_ARRAY),
                (&each(&rows, |row| row.correlation_id.as_deref()), Type::TEXT_ARRAY),
                (&each(&rows, |row| row.tags.as_str()), Type::TEXT_ARRAY),
                (&each(&rows, |row| row.ordering_key.as_deref()), Type::TEXT_ARRAY),
                (&each(&rows, |row| row.retry_policy.as_str()), Type::TEXT_ARRAY),
                (&each(&rows, |row| row.created_at), Type::TIMESTAMPTZ_ARRAY),
                (&each(&rows, |row| what(&row.failure)), Type::TEXT_ARRAY),
                (&each(&rows, |row| reason(&row.failure)), Type::TEXT_ARRAY),
                (&each(&rows, |row| at(&row.failure)), Type::TIMESTAMPTZ_ARRAY),
                (&each(&rows, |row| what(&row.redriven)), Type::TEXT_ARRAY),
                (&each(&rows, |row| reason(&row.redriven)), Type::TEXT_ARRAY),
                (&each(&rows, |row| at(&row.redriven)), Type::TIMESTAMPTZ_ARRAY),
            ],
        )
        .await;
    let answers = answer.and_then(|rows| rows.iter().map(|row| row.try_get(0).map(enqueued)).collect());
    let answers = match answers.map_err(|error| StoreError::new(DOING, error)) {
        Ok(answers) => {
            let answers: Vec<Enqueued> = answers;
            let there = rows.iter().zip(&answers).filter(|(_, answer)| **answer == Enqueued::AlreadyThere);
            let there: Vec<&Row> = there.map(|(row, _)| row).collect();
            compare(transaction, &there).await.map(|()| answers)
        }
        Err(error) => Err(error),
    };
    match answers {
        Ok(answers) => {
            hops.into_iter().zip(&answers).for_each(|(hop, enqueued)| hop.enqueued(*enqueued));
            Ok(answers)
        }
        Err(error) => Err(Refused::new(events, error)),
    }
}

/// Whether the events that are there under these ids are the ones that were to be enqueued.
async fn compare(transaction: &Transaction<'_>, rows: &[&Row]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let fault = |error| StoreError::new(DOING, error);
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let sql = "SELECT id, source_system, event_type FROM outbox_event WHERE id = ANY ($1)";
    for found in transaction.query_typed(sql, &[(&ids, Type::TEXT_ARRAY)]).await.map_err(fault)? {
        let id: &str = found.try_get(0).map_err(fault)?;
        let there = (found.try_get(1).map_err(fault)?, found.try_get(2).map_err(fault)?);
        for row in rows.iter().filter(|row| row.id == id) {
            same_event(DOING, row, &there)?;
        }
    }
    Ok(())
}

const fn enqueued(new: bool) -> Enqueued {
    if new { Enqueued::New } else { Enqueued::AlreadyThere }
}

fn what(said: &Option<Said>) -> Option<&str> {
    said.as_ref().map(|said| said.what.as_str())
}

fn reason(said: &Option<Said>) -> Option<&str> {
    said.as_ref().map(|said| said.reason.as_str())
}

fn at(said: &Option<Said>) -> Option<chrono::DateTime<chrono::Utc>> {
    said.as_ref().map(|said| said.at)
}
