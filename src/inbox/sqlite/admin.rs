//! What people ask of an inbox in SQLite, and decide.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, DropBehavior, Transaction, TransactionBehavior, params};

use super::SAVEPOINT;
use super::rows::{COLUMNS, find_row, write, write_processed};
use crate::audit::{Action, AuditTrail};
use crate::hop::Hop;
use crate::inbox::admin::{self, COUNTING};
use crate::inbox::intake::undelivered;
use crate::inbox::{Counts, Fresh, InboxConfig, Stalled};
use crate::store::Row;
use crate::store::sqlite::{any_moment, fault, micros, now, read_row, still_open};
use crate::store::{DeadLetter, Filter, StoreError};
use crate::{AnyEnvelope, Decision, EventId};

/// How much the inbox holds, in each state. It reads every row; `stalled_after` is the
/// age of the events that it counts as [stalled](Stalled), as of [`stalled`].
///
/// # Errors
///
/// What the database answers.
///
/// ```
/// use integration_automation_patterns::RetryPolicy;
/// use integration_automation_patterns::inbox::sqlite;
///
/// let mut erp = rusqlite::Connection::open_in_memory()?;
/// sqlite::install(&mut erp)?;
/// assert_eq!(sqlite::counts(&erp, RetryPolicy::DEFAULT.horizon())?.stalled, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn counts(
    connection: &Connection,
    stalled_after: Duration,
) -> Result<Counts, StoreError> {
    let work = || {
        let mut statement = connection.prepare_cached(
            "SELECT status, count(*), count(*) FILTER (WHERE received_at <= ?1) FROM inbox_event GROUP BY status",
        )?;
        let rows = statement
            .query_map([micros(since(connection, stalled_after)?)], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    Counts::of_rows(work().map_err(|error| fault(COUNTING, error))?)
}

/// The moment that was so long ago, by the database's clock.
fn since(connection: &Connection, age: Duration) -> rusqlite::Result<DateTime<Utc>> {
    let age = TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
    Ok(now(connection)?.checked_sub_signed(age).unwrap_or(DateTime::<Utc>::MIN_UTC))
}

/// Forgets up to `limit` events that were received longer ago than the window of the
/// rules, and says how many. Dead letters stay, and so does what waits for another
/// delivery.
///
/// # Errors
///
/// What the database answers.
pub fn purge(
    connection: &Connection,
    config: &InboxConfig,
    limit: usize,
) -> Result<u64, StoreError> {
    let work = || {
        let before = since(connection, config.window())?;
        let gone = connection
            .prepare_cached(
                "DELETE FROM inbox_event WHERE (source_system, id) IN (SELECT source_system, id FROM inbox_event \
                 WHERE received_at <= ?1 AND status IN ('processed', 'skipped') ORDER BY received_at LIMIT ?2)",
            )?
            .execute(params![micros(before), i64::try_from(limit).unwrap_or(i64::MAX)])?;
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    };
    work().map_err(|error: rusqlite::Error| fault("forgetting old events", error))
}

/// The dead letters of the inbox that a filter names, the oldest first.
///
/// # Errors
///
/// What the database answers.
pub fn dead_letters(
    connection: &Connection,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<DeadLetter>, StoreError> {
    let rows = list(connection, "failed", filter, DateTime::<Utc>::MAX_UTC, limit);
    Ok(admin::dead_letters(rows.map_err(|error| fault("listing dead letters", error))?))
}

/// The events that a filter names, that wait for another delivery, and were first
/// received longer ago than `age`, the oldest first. Let it be the
/// [horizon](crate::RetryPolicy::horizon) of the inbox's policy and what an outage takes.
///
/// # Errors
///
/// What the database answers.
pub fn stalled(
    connection: &Connection,
    filter: &Filter,
    age: Duration,
    limit: usize,
) -> Result<Vec<Stalled>, StoreError> {
    let rows = since(connection, age)
        .and_then(|before| list(connection, "retrying", filter, before, limit));
    Ok(admin::stalled(rows.map_err(|error| fault("listing stalled events", error))?))
}

/// Rows in a state, and received at this time or before, with that time.
fn list(
    connection: &Connection,
    status: &str,
    filter: &Filter,
    before: DateTime<Utc>,
    limit: usize,
) -> rusqlite::Result<Vec<(Row, DateTime<Utc>)>> {
    let mut statement = connection.prepare_cached(&listing())?;
    let values = params![
        status,
        micros(before),
        filter.id.as_ref().map(ToString::to_string),
        filter.event_type,
        filter.source_system,
        filter.reason_contains,
        filter.failed_since.map(micros),
        i64::try_from(limit).unwrap_or(i64::MAX),
    ];
    statement
        .query_map(values, |row| {
            Ok((read_row(row)?, any_moment(row.get("received_at")?)))
        })?
        .collect()
}

/// The first condition is that of the index, in its words, by which SQLite knows it.
fn listing() -> String {
    format!(
        "SELECT {COLUMNS}, received_at FROM inbox_event WHERE status IN ('retrying', 'failed') AND status = ?1 \
         AND received_at <= ?2 AND (?3 IS NULL OR id = ?3) AND (?4 IS NULL OR event_type = ?4) \
         AND (?5 IS NULL OR source_system = ?5) AND (?6 IS NULL OR instr(failure_reason, ?6) > 0) \
         AND (?7 IS NULL OR failed_at >= ?7) ORDER BY received_at LIMIT ?8"
    )
}

/// Takes a dead letter of the inbox up again, or an event that waits for [another
/// delivery](stalled), inside the caller's open transaction, as somebody decided: its
/// effect can be had now. Nothing where no such event has this id.
///
/// # Errors
///
/// What the database answers.
pub fn redrive<'c>(
    mut transaction: Transaction<'c>,
    source_system: &str,
    id: &EventId,
    decision: Decision,
    config: &InboxConfig,
) -> Result<Option<Fresh<Transaction<'c>, ()>>, StoreError> {
    const DOING: &str = "redriving a dead letter";
    let fault = |error: rusqlite::Error| fault(DOING, error);
    still_open(&transaction, DOING)?;
    transaction.set_drop_behavior(DropBehavior::Rollback);
    let Some(row) =
        find_row(&transaction, source_system, &id.to_string()).map_err(fault)?
    else {
        return Ok(None);
    };
    let Some(dead) = undelivered(row) else { return Ok(None) };
    let event = dead
        .redrive(decision)
        .with_retry_policy(config.policy())
        .dispatch()
        .acknowledge();
    write_processed(&transaction, &event).map_err(fault)?;
    transaction.execute_batch(SAVEPOINT).map_err(fault)?;
    Ok(Some(Fresh {
        transaction,
        outermost: true,
        hop: Hop::redrive(&event),
        event,
        answer: (),
        trail: config.trail.clone(),
    }))
}

/// Gives a dead letter of the inbox up, or an event that waits for [another
/// delivery](stalled), as somebody decided; says whether there was one of this id.
///
/// # Errors
///
/// What the database answers.
pub fn discard(
    connection: &mut Connection,
    source_system: &str,
    id: &EventId,
    decision: Decision,
    trail: &AuditTrail,
) -> Result<bool, StoreError> {
    let work = || {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Some(row) = find_row(&transaction, source_system, &id.to_string())? else {
            return Ok(false);
        };
        let Some(dead) = undelivered(row) else { return Ok(false) };
        let gone = dead.discard(decision);
        let at = gone.discarded().map_or_else(Utc::now, Decision::at);
        let gone = AnyEnvelope::from(gone);
        write(&transaction, Row::of(&gone))?;
        transaction.commit()?;
        trail.record(Action::Discard, &gone, gone.status(), at);
        Ok(true)
    };
    work().map_err(|error: rusqlite::Error| fault("discarding a dead letter", error))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_lists_use_their_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        super::super::install(&mut connection).unwrap();
        let mut statement =
            connection.prepare(&format!("EXPLAIN QUERY PLAN {}", listing())).unwrap();
        for place in 1..=statement.parameter_count() {
            statement.raw_bind_parameter(place, None::<i64>).unwrap();
        }
        let mut plan = String::new();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().unwrap() {
            plan.push_str(&row.get::<_, String>("detail").unwrap());
        }
        assert_eq!(plan, "SEARCH inbox_event USING INDEX inbox_failed (received_at<?)");
    }
}
