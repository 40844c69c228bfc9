//! What people ask of an inbox in PostgreSQL, and decide.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Transaction};

use super::SAVEPOINT;
use super::rows::{COLUMNS, check_place, find_row, write, write_processed};
use crate::audit::{Action, AuditTrail};
use crate::hop::Hop;
use crate::inbox::admin::{self, COUNTING};
use crate::inbox::intake::undelivered;
use crate::inbox::{Counts, Fresh, InboxConfig, Stalled};
use crate::store::Row;
use crate::store::postgres::{at, limit, micros, read_row};
use crate::store::{DeadLetter, Filter, StoreError};
use crate::{AnyEnvelope, Decision, EventId};

/// How much the inbox holds, in each state. It reads every row; `stalled_after` is the
/// age of the events that it counts as [stalled](Stalled), as of [`stalled`].
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
                "SELECT status, count(*), count(*) FILTER (WHERE received_at <= \
                 statement_timestamp() - $1 * interval '1 microsecond') FROM inbox_event GROUP BY status",
                &[(&age, Type::INT8)],
            )
            .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
            .collect::<Result<Vec<_>, _>>()
    };
    Counts::of_rows(work.await.map_err(|error: Error| StoreError::new(COUNTING, error))?)
}

/// Forgets up to `limit` events that were received longer ago than the window of the
/// rules, and says how many. Dead letters stay, and so does what waits for another
/// delivery.
///
/// # Errors
///
/// What the database answers.
pub async fn purge(
    client: &Client,
    config: &InboxConfig,
    most: usize,
) -> Result<u64, StoreError> {
    let (age, most) = (micros(config.window()), limit(most));
    let values: [(&(dyn ToSql + Sync), Type); 2] =
        [(&age, Type::INT8), (&most, Type::INT8)];
    let gone = async {
        check_place(client).await?;
        let sql = "DELETE FROM inbox_event WHERE ctid = ANY (ARRAY(\
               SELECT ctid FROM inbox_event WHERE status IN ('processed', 'skipped') \
               AND received_at <= statement_timestamp() - $1 * interval '1 microsecond' \
               ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED))";
        client.execute_typed(sql, &values).await
    };
    gone.await.map_err(|error| StoreError::new("forgetting old events", error))
}

/// The dead letters of the inbox that a filter names, the oldest first.
///
/// # Errors
///
/// What the database answers.
pub async fn dead_letters(
    client: &Client,
    filter: &Filter,
    most: usize,
) -> Result<Vec<DeadLetter>, StoreError> {
    let rows = list(client, "failed", filter, Duration::ZERO, most).await;
    Ok(admin::dead_letters(
        rows.map_err(|error| StoreError::new("listing dead letters", error))?,
    ))
}

/// The events that a filter names, that wait for another delivery, and were first
/// received longer ago than `age`, the oldest first. Let it be the
/// [horizon](crate::RetryPolicy::horizon) of the inbox's policy and what an outage takes.
///
/// # Errors
///
/// What the database answers.
pub async fn stalled(
    client: &Client,
    filter: &Filter,
    age: Duration,
    most: usize,
) -> Result<Vec<Stalled>, StoreError> {
    let rows = list(client, "retrying", filter, age, most).await;
    Ok(admin::stalled(
        rows.map_err(|error| StoreError::new("listing stalled events", error))?,
    ))
}

/// Rows in a state, received so long ago or longer, with the time of that.
async fn list(
    client: &Client,
    status: &str,
    filter: &Filter,
    age: Duration,
    most: usize,
) -> Result<Vec<(Row, DateTime<Utc>)>, Error> {
    // The state is part of the text: an index is for one that the planner knows.
    let sql = format!(
        "SELECT {COLUMNS}, received_at FROM inbox_event WHERE status = '{status}' \
         AND ($1 = 0 OR received_at <= statement_timestamp() - $1 * interval '1 microsecond') \
         AND ($2 IS NULL OR id = $2) AND ($3 IS NULL OR event_type = $3) AND ($4 IS NULL OR source_system = $4) \
         AND ($5 IS NULL OR strpos(failure_reason, $5) > 0) AND ($6 IS NULL OR failed_at >= $6) \
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
                (&limit(most), Type::INT8),
            ],
        )
        .await?;
    rows.iter().map(|row| Ok((read_row(row)?, at(row, "received_at")?))).collect()
}

/// Takes a dead letter of the inbox up again, or an event that waits for [another
/// delivery](stalled), inside the caller's open transaction, as somebody decided: its
/// effect can be had now. Nothing where no such event has this id.
///
/// # Errors
///
/// What the database answers.
pub async fn redrive<'c>(
    transaction: Transaction<'c>,
    source_system: &str,
    id: &EventId,
    decision: Decision,
    config: &InboxConfig,
) -> Result<Option<Fresh<Transaction<'c>, ()>>, StoreError> {
    let fault = |error: Error| StoreError::new("redriving a dead letter", error);
    check_place(&transaction).await.map_err(fault)?;
    let found =
        find_row(&transaction, source_system, &id.to_string()).await.map_err(fault)?;
    let Some(dead) = found.and_then(undelivered) else { return Ok(None) };
    let event = dead
        .redrive(decision)
        .with_retry_policy(config.policy())
        .dispatch()
        .acknowledge();
    write_processed(&transaction, &event).await.map_err(fault)?;
    transaction.batch_execute(SAVEPOINT).await.map_err(fault)?;
    let (hop, trail) = (Hop::redrive(&event), config.trail.clone());
    Ok(Some(Fresh { transaction, outermost: false, event, answer: (), hop, trail }))
}

/// Gives a dead letter of the inbox up, or an event that waits for [another
/// delivery](stalled), as somebody decided; says whether there was one of this id.
///
/// # Errors
///
/// What the database answers.
pub async fn discard(
    client: &mut Client,
    source_system: &str,
    id: &EventId,
    decision: Decision,
    trail: &AuditTrail,
) -> Result<bool, StoreError> {
    let work = async {
        let transaction = client.transaction().await?;
        check_place(&transaction).await?;
        let found = find_row(&transaction, source_system, &id.to_string()).await?;
        let Some(dead) = found.and_then(undelivered) else { return Ok(false) };
        let gone = dead.discard(decision);
        let at = gone.discarded().map_or_else(Utc::now, Decision::at);
        let gone = AnyEnvelope::from(gone);
        write(&transaction, Row::of(&gone)).await?;
        transaction.commit().await?;
        trail.record(Action::Discard, &gone, gone.status(), at);
        Ok(true)
    };
    work.await.map_err(|error: Error| StoreError::new("discarding a dead letter", error))
}
