//! What people ask of an inbox in PostgreSQL, and decide.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row as SqlRow, Transaction};

use super::SAVEPOINT;
use super::held::hurry_after;
use super::receive::{InboxTransaction, Nesting};
use super::rows::{COLUMNS, check_place, find, key, write, write_processed};
use crate::audit::AuditTrail;
use crate::inbox::counting::Key;
use crate::inbox::forestall::BY;
use crate::inbox::intake::redriven;
use crate::inbox::stored::{self, CountedRow, Discarded, HeldRow, undelivered};
use crate::inbox::{Counts, Fresh, Held, InboxConfig, Remembered, Stalled};
use crate::store::doing::{
    COUNTING, DISCARDING, GETTING, LISTING_DEAD, LISTING_HELD, LISTING_STALLED, PURGING,
    REDRIVING,
};
use crate::store::error::Doing;
use crate::store::postgres::{self as database, at, maybe_at, micros, read_row};
use crate::store::{DeadLetter, Filter, Row, StoreError};
use crate::{Decision, EventId, Facts, RawEvent};

/// How much the inbox holds, in each state. It reads every row, and counts as
/// [stalled](Stalled) what [`stalled`] lists of the age `stalled_after`.
///
/// # Errors
///
/// What the database answers.
pub async fn counts(
    client: &Client,
    stalled_after: Duration,
) -> Result<Counts, StoreError> {
    let age = micros(stalled_after);
    let work = async {
        check_place(client).await?;
        let rows = client
            .query_typed(
                "SELECT status, count(*), count(*) FILTER (WHERE due_at IS NULL AND \
                 received_at <= statement_timestamp() - $1 * interval '1 microsecond'), \
                 count(*) FILTER (WHERE due_at IS NOT NULL), \
                 count(*) FILTER (WHERE discarded_by = $2) \
                 FROM inbox_event GROUP BY status",
                &[(&age, Type::INT8), (&BY, Type::TEXT)],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(CountedRow {
                    status: row.try_get(0)?,
                    count: row.try_get(1)?,
                    old: row.try_get(2)?,
                    held: row.try_get(3)?,
                    forestalled: row.try_get(4)?,
                })
            })
            .collect::<Result<Vec<_>, _>>()
    };
    let counted: Result<_, Error> = work.await;
    Counts::of_rows(counted.doing(COUNTING)?)
}

/// The dead letters of the inbox that a filter names, the oldest first, no more than
/// `limit`.
///
/// # Errors
///
/// What the database answers.
pub async fn dead_letters(
    client: &Client,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<DeadLetter>, StoreError> {
    let rows = list(client, Which::Dead, filter, Duration::ZERO, limit).await;
    let rows = rows.doing(LISTING_DEAD)?.into_iter().map(|(row, at, ..)| (row, at));
    Ok(stored::dead_letters(rows.collect()))
}

/// The events that a filter names, that wait for another delivery, and were first
/// received longer ago than `age`, the oldest first, no more than `limit`. A good age is
/// the [horizon](crate::RetryPolicy::horizon) of the inbox's policy and the longest
/// outage.
///
/// # Errors
///
/// What the database answers.
pub async fn stalled(
    client: &Client,
    filter: &Filter,
    age: Duration,
    limit: usize,
) -> Result<Vec<Stalled>, StoreError> {
    let rows = list(client, Which::Stalled, filter, age, limit).await;
    let rows = rows.doing(LISTING_STALLED)?.into_iter().map(|(row, at, ..)| (row, at));
    Ok(stored::stalled(rows.collect()))
}

/// The events that a filter names and the inbox [holds](Held), the oldest first, no more
/// than `limit`.
///
/// # Errors
///
/// What the database answers.
pub async fn held(
    client: &Client,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Held>, StoreError> {
    let rows = list(client, Which::Held, filter, Duration::ZERO, limit).await;
    Ok(stored::held(rows.doing(LISTING_HELD)?))
}

/// What the inbox remembers of one event; nothing where it has never received it, or has
/// purged it.
///
/// # Errors
///
/// What the database answers, and a row that is no event.
pub async fn get(
    client: &Client,
    source_system: &str,
    id: &EventId,
) -> Result<Option<Remembered>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, received_at FROM inbox_event \
         WHERE source_system = $1 AND id = $2"
    );
    let (source_system, id) = key(source_system, &id.to_string());
    let found = async {
        check_place(client).await?;
        let values: [(&(dyn ToSql + Sync), Type); 2] =
            [(&source_system, Type::TEXT), (&id, Type::TEXT)];
        let rows = client.query_typed(&sql, &values).await?;
        rows.first().map(read_with_receipt).transpose()
    };
    let found: Result<_, Error> = found.await;
    found.doing(GETTING)?.map(Remembered::of_row).transpose()
}

/// Redrives a dead letter of the inbox, or an event that waits for [another
/// delivery](stalled) or is [held](held), in the caller's open transaction, as a person
/// decided: run its handler, and commit. Nothing where there is no such event. With
/// deadpool-postgres, begin the transaction as for [`receive`](super::receive).
///
/// No type knows whether the handler ran: committed without its effect, the event counts
/// as processed all the same. The [`redrive`](crate::inbox::worker::Worker::redrive) of a
/// worker runs the handler itself, and leaves nothing to forget.
///
/// # Errors
///
/// What the database answers.
pub async fn redrive<'c>(
    transaction: Transaction<'c>,
    event: &Facts<RawEvent>,
    decision: Decision,
    config: &InboxConfig,
) -> Result<Option<Fresh<InboxTransaction<'c>, ()>>, StoreError> {
    check_place(&transaction).await.doing(REDRIVING)?;
    let found = find(&transaction, event).await.doing(REDRIVING)?;
    let Some(dead) = found.and_then(undelivered) else { return Ok(None) };
    let (event, reply) = redriven(dead, decision, config);
    write_processed(&transaction, &event).await.doing(REDRIVING)?;
    hurry_after(&transaction, &Key::of(&event)).await.doing(REDRIVING)?;
    transaction.batch_execute(SAVEPOINT).await.doing(REDRIVING)?;
    let transaction = InboxTransaction { transaction, nesting: Nesting::Unknown };
    Ok(Some(Fresh { transaction, event, reply }))
}

/// Discards a dead letter of the inbox, or an event that waits for [another
/// delivery](stalled) or is [held](held), as a person decided, and says whether there was one.
///
/// # Errors
///
/// What the database answers.
pub async fn discard(
    client: &mut Client,
    event: &Facts<RawEvent>,
    decision: Decision,
    trail: &AuditTrail,
) -> Result<bool, StoreError> {
    let work = async {
        let transaction = client.transaction().await?;
        check_place(&transaction).await?;
        let found = find(&transaction, event).await?;
        let Some(discarded) = found.and_then(|row| Discarded::of(row, decision)) else {
            return Ok(false);
        };
        write(&transaction, discarded.row()).await?;
        hurry_after(&transaction, &Key::of(event)).await?;
        transaction.commit().await?;
        discarded.record(trail);
        Ok(true)
    };
    let discarded: Result<_, Error> = work.await;
    discarded.doing(DISCARDING)
}

/// Removes up to `limit` events that were received longer ago than the
/// [`dedup_window`](InboxConfig::dedup_window), and says how many: call it until it says
/// less than `limit`. Dead letters stay, and so does what waits for another delivery, or
/// what a [held](Held) event waits for.
///
/// # Errors
///
/// What the database answers.
pub async fn purge(
    client: &Client,
    config: &InboxConfig,
    limit: usize,
) -> Result<u64, StoreError> {
    let (age, limit) = (micros(config.dedup_window()), database::at_most(limit));
    let values: [(&(dyn ToSql + Sync), Type); 2] =
        [(&age, Type::INT8), (&limit, Type::INT8)];
    let gone = async {
        check_place(client).await?;
        let sql = "DELETE FROM inbox_event WHERE ctid = ANY (ARRAY(\
             SELECT ctid FROM inbox_event WHERE status IN ('processed', 'skipped') \
             AND received_at <= statement_timestamp() - $1 * interval '1 microsecond' \
             AND NOT EXISTS (SELECT FROM inbox_event AS held \
               WHERE held.status = 'retrying' \
               AND held.source_system = inbox_event.source_system \
               AND held.held_after = inbox_event.id) \
             ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED))";
        client.execute_typed(sql, &values).await
    };
    gone.await.doing(PURGING)
}

/// Which rows a list has.
#[derive(Debug, Clone, Copy)]
enum Which {
    Dead,
    Stalled,
    Held,
}

/// Rows of a list that were received so long ago or longer.
async fn list(
    client: &Client,
    which: Which,
    filter: &Filter,
    age: Duration,
    limit: usize,
) -> Result<Vec<HeldRow>, Error> {
    let which = match which {
        Which::Dead => "status = 'failed'",
        Which::Stalled => "status = 'retrying' AND due_at IS NULL",
        Which::Held => "status = 'retrying' AND due_at IS NOT NULL",
    };
    // The state is part of the text, where the planner sees that the index has it.
    let sql = format!(
        "SELECT {COLUMNS}, received_at, due_at, held_after FROM inbox_event WHERE {which} \
         AND ($1 = 0 \
         OR received_at <= statement_timestamp() - $1 * interval '1 microsecond') \
         AND ($2 IS NULL OR id = $2) AND ($3 IS NULL OR event_type = $3) \
         AND ($4 IS NULL OR source_system = $4) \
         AND ($5 IS NULL OR strpos(failure_reason, $5) > 0) \
         AND ($6 IS NULL OR failed_at >= $6) \
         ORDER BY received_at LIMIT $7"
    );
    let id = filter.id.as_ref().map(ToString::to_string);
    check_place(client).await?;
    let rows = client
        .query_typed(
            &sql,
            &[
                (&micros(age), Type::INT8),
                (&id, Type::TEXT),
                (&filter.event_type, Type::TEXT),
                (&filter.source_system, Type::TEXT),
                (&filter.reason_contains, Type::TEXT),
                (&filter.failed_since, Type::TIMESTAMPTZ),
                (&database::at_most(limit), Type::INT8),
            ],
        )
        .await?;
    let read = |row: &SqlRow| {
        let (event, received_at) = read_with_receipt(row)?;
        let due_at = maybe_at(row, "due_at")?.unwrap_or(received_at);
        Ok((event, received_at, due_at, row.try_get("held_after")?))
    };
    rows.iter().map(read).collect()
}

/// A row, and when it was received.
fn read_with_receipt(row: &SqlRow) -> Result<(Row, DateTime<Utc>), Error> {
    Ok((read_row(row)?, at(row, "received_at")?))
}
