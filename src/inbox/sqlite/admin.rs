//! What people ask of an inbox in SQLite, and decide.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{
    Connection, DropBehavior, OptionalExtension, Row as SqlRow, Transaction,
    TransactionBehavior, params,
};

use super::SAVEPOINT;
use super::held::hurry_after;
use super::rows::{COLUMNS, find, write, write_processed};
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
use crate::store::sqlite::{any_moment, maybe_text, micros, now, read_row, still_open};
use crate::store::{DeadLetter, Filter, Row, StoreError};
use crate::{Decision, DeliveryStatus, EventId, Facts, RawEvent};

/// How much the inbox holds, in each state. It reads every row, and counts as
/// [stalled](Stalled) what [`stalled`] lists of the age `stalled_after`.
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
            "SELECT status, count(*), \
             count(*) FILTER (WHERE received_at <= ?1 AND due_at IS NULL), \
             count(*) FILTER (WHERE due_at IS NOT NULL), \
             count(*) FILTER (WHERE discarded_by = ?2) \
             FROM inbox_event GROUP BY status",
        )?;
        let rows = statement.query_map(
            params![micros(since(connection, stalled_after)?), BY],
            |row| {
                Ok(CountedRow {
                    status: row.get(0)?,
                    count: row.get(1)?,
                    old: row.get(2)?,
                    held: row.get(3)?,
                    forestalled: row.get(4)?,
                })
            },
        )?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    Counts::of_rows(work().doing(COUNTING)?)
}

/// The dead letters of the inbox that a filter names, the oldest first, no more than
/// `limit`.
///
/// # Errors
///
/// What the database answers.
pub fn dead_letters(
    connection: &Connection,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<DeadLetter>, StoreError> {
    let rows = list(connection, Which::Dead, filter, DateTime::<Utc>::MAX_UTC, limit);
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
pub fn stalled(
    connection: &Connection,
    filter: &Filter,
    age: Duration,
    limit: usize,
) -> Result<Vec<Stalled>, StoreError> {
    let rows = since(connection, age)
        .and_then(|before| list(connection, Which::Stalled, filter, before, limit));
    let rows = rows.doing(LISTING_STALLED)?.into_iter().map(|(row, at, ..)| (row, at));
    Ok(stored::stalled(rows.collect()))
}

/// The events that a filter names and the inbox [holds](Held), the oldest first, no more
/// than `limit`.
///
/// # Errors
///
/// What the database answers.
///
/// ```
/// use integration_automation_patterns::inbox::sqlite;
///
/// let mut erp = rusqlite::Connection::open_in_memory()?;
/// sqlite::install(&mut erp)?;
/// assert!(sqlite::held(&erp, &Default::default(), 100)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn held(
    connection: &Connection,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Held>, StoreError> {
    let rows = list(connection, Which::Held, filter, DateTime::<Utc>::MAX_UTC, limit);
    Ok(stored::held(rows.doing(LISTING_HELD)?))
}

/// What the inbox remembers of one event; nothing where it has never received it, or has
/// purged it.
///
/// # Errors
///
/// What the database answers, and a row that is no event.
///
/// ```
/// use integration_automation_patterns::broker::Delivery;
/// use integration_automation_patterns::inbox::{InboxConfig, sqlite};
/// use integration_automation_patterns::{
///     DeliveryStatus, Envelope, RawEvent, RetryPolicy,
/// };
/// use std::time::Duration;
///
/// let mut erp = rusqlite::Connection::open_in_memory()?;
/// sqlite::install(&mut erp)?;
/// let lead = RawEvent::new("crm.lead.created", b"{}");
/// let event = Envelope::builder("crm", lead).build()?;
/// let id = event.id().clone();
/// assert!(sqlite::get(&erp, "crm", &id)?.is_none());
///
/// let week = Duration::from_secs(7 * 24 * 60 * 60);
/// let config = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
/// let delivery = Delivery::new(event, ());
/// let _handled = sqlite::process(&mut erp, delivery, &config, |_, _| Ok(()))?;
/// let remembered = sqlite::get(&erp, "crm", &id)?.ok_or("an event that was received")?;
/// assert_eq!(remembered.status, DeliveryStatus::Processed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn get(
    connection: &Connection,
    source_system: &str,
    id: &EventId,
) -> Result<Option<Remembered>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, received_at FROM inbox_event \
         WHERE source_system = ?1 AND id = ?2"
    );
    let found = connection.prepare_cached(&sql).and_then(|mut statement| {
        statement
            .query_row([source_system, &id.to_string()], read_with_receipt)
            .optional()
    });
    let found = found.doing(GETTING)?;
    found.map(Remembered::of_row).transpose()
}

/// Redrives a dead letter of the inbox, or an event that waits for [another
/// delivery](stalled) or is [held](held), in the caller's open transaction, as a person
/// decided: run its handler, and commit. Nothing where there is no such event.
///
/// No type knows whether the handler ran: committed without its effect, the event counts
/// as processed all the same. The [`redrive`](crate::inbox::worker::Worker::redrive) of a
/// worker runs the handler itself, and leaves nothing to forget.
///
/// # Errors
///
/// What the database answers.
///
/// ```
/// use integration_automation_patterns::Decision;
/// use integration_automation_patterns::inbox::{HandlerError, InboxConfig, sqlite};
/// # use integration_automation_patterns::broker::Delivery;
/// # use integration_automation_patterns::{Envelope, RawEvent, RetryPolicy};
/// # use std::time::Duration;
///
/// let mut erp = rusqlite::Connection::open_in_memory()?;
/// sqlite::install(&mut erp)?;
/// # let week = Duration::from_secs(7 * 24 * 60 * 60);
/// # let config = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
/// # let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"));
/// # let delivery = Delivery::new(event.build()?, ());
/// let _dead = sqlite::process(&mut erp, delivery, &config, |_, _| {
///     Err(HandlerError::permanent("there is no such country"))
/// })?;
///
/// let letters = sqlite::dead_letters(&erp, &Default::default(), 1)?;
/// let letter = letters.first().ok_or("a dead letter")?;
/// let decision = Decision::new("on-call", "the country is known now")?;
/// let transaction = erp.transaction()?;
/// let fresh = sqlite::redrive(transaction, &letter.event, decision, &config)?;
/// let fresh = fresh.ok_or("it was there a moment ago")?;
/// // Its handler, with `fresh.transaction()` and `fresh.event()`.
/// let _committed = fresh.commit()?;
/// assert!(sqlite::dead_letters(&erp, &Default::default(), 1)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn redrive<'c>(
    mut transaction: Transaction<'c>,
    event: &Facts<RawEvent>,
    decision: Decision,
    config: &InboxConfig,
) -> Result<Option<Fresh<Transaction<'c>, ()>>, StoreError> {
    still_open(&transaction, REDRIVING)?;
    transaction.set_drop_behavior(DropBehavior::Rollback);
    let found = find(&transaction, event).doing(REDRIVING)?;
    let Some(dead) = found.and_then(undelivered) else { return Ok(None) };
    let (event, reply) = redriven(dead, decision, config);
    write_processed(&transaction, &event).doing(REDRIVING)?;
    hurry_after(&transaction, &Key::of(&event)).doing(REDRIVING)?;
    transaction.execute_batch(SAVEPOINT).doing(REDRIVING)?;
    Ok(Some(Fresh { transaction, event, reply }))
}

/// Discards a dead letter of the inbox, or an event that waits for [another
/// delivery](stalled) or is [held](held), as a person decided, and says whether there was one.
///
/// # Errors
///
/// What the database answers.
///
/// ```
/// use integration_automation_patterns::audit::AuditTrail;
/// use integration_automation_patterns::inbox::sqlite;
/// use integration_automation_patterns::{Decision, Envelope, RawEvent};
///
/// let mut erp = rusqlite::Connection::open_in_memory()?;
/// sqlite::install(&mut erp)?;
/// let lead = RawEvent::new("crm.lead.created", b"{}");
/// let unknown = Envelope::builder("crm", lead).build()?;
/// let decision = Decision::new("on-call", "the lead was a test")?;
/// let trail = AuditTrail::silent();
/// assert!(!sqlite::discard(&mut erp, &unknown, decision, &trail)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn discard(
    connection: &mut Connection,
    event: &Facts<RawEvent>,
    decision: Decision,
    trail: &AuditTrail,
) -> Result<bool, StoreError> {
    let work = || {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = find(&transaction, event)?;
        let Some(discarded) = found.and_then(|row| Discarded::of(row, decision)) else {
            return Ok::<_, rusqlite::Error>(false);
        };
        write(&transaction, discarded.row())?;
        hurry_after(&transaction, &Key::of(event))?;
        transaction.commit()?;
        discarded.record(trail);
        Ok(true)
    };
    work().doing(DISCARDING)
}

/// Removes up to `limit` events that were received longer ago than the
/// [`dedup_window`](InboxConfig::dedup_window), and says how many: call it until it says
/// less than `limit`. Dead letters stay, and so does what waits for another delivery, or
/// what a [held](Held) event waits for.
///
/// # Errors
///
/// What the database answers.
///
/// ```
/// use integration_automation_patterns::RetryPolicy;
/// use integration_automation_patterns::inbox::{InboxConfig, sqlite};
/// use std::time::Duration;
///
/// let mut erp = rusqlite::Connection::open_in_memory()?;
/// sqlite::install(&mut erp)?;
/// let week = Duration::from_secs(7 * 24 * 60 * 60);
/// let config = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
/// assert_eq!(sqlite::purge(&erp, &config, 1000)?, 0); // nothing is that old
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn purge(
    connection: &Connection,
    config: &InboxConfig,
    limit: usize,
) -> Result<u64, StoreError> {
    let work = || {
        let before = since(connection, config.dedup_window())?;
        let gone = connection
            .prepare_cached(
                "DELETE FROM inbox_event WHERE (source_system, id) IN (\
                 SELECT source_system, id FROM inbox_event \
                 WHERE received_at <= ?1 AND status IN ('processed', 'skipped') \
                 AND NOT EXISTS (SELECT 1 FROM inbox_event AS held \
                   WHERE held.status = 'retrying' \
                   AND held.source_system = inbox_event.source_system \
                   AND held.held_after = inbox_event.id) \
                 ORDER BY received_at LIMIT ?2)",
            )?
            .execute(params![micros(before), i64::try_from(limit).unwrap_or(i64::MAX)])?;
        Ok::<_, rusqlite::Error>(u64::try_from(gone).unwrap_or(u64::MAX))
    };
    work().doing(PURGING)
}

/// Which rows a list has.
#[derive(Debug, Clone, Copy)]
enum Which {
    Dead,
    Stalled,
    Held,
}

/// Rows of a list that were received at this time or before.
fn list(
    connection: &Connection,
    which: Which,
    filter: &Filter,
    before: DateTime<Utc>,
    limit: usize,
) -> rusqlite::Result<Vec<HeldRow>> {
    let mut statement = connection.prepare_cached(&listing(which))?;
    let status = match which {
        Which::Dead => DeliveryStatus::Failed,
        Which::Stalled | Which::Held => DeliveryStatus::Retrying,
    };
    let values = params![
        status.as_str(),
        micros(before),
        filter.id.as_ref().map(ToString::to_string),
        filter.event_type,
        filter.source_system,
        filter.reason_contains,
        filter.failed_since.map(micros),
        i64::try_from(limit).unwrap_or(i64::MAX),
    ];
    let read = |row: &SqlRow<'_>| {
        let (event, received_at) = read_with_receipt(row)?;
        let due_at = row.get::<_, Option<i64>>("due_at")?.map_or(received_at, any_moment);
        Ok((event, received_at, due_at, maybe_text(row, "held_after")?))
    };
    statement.query_map(values, read)?.collect()
}

/// A row, and when it was received.
fn read_with_receipt(row: &SqlRow<'_>) -> rusqlite::Result<(Row, DateTime<Utc>)> {
    Ok((read_row(row)?, any_moment(row.get("received_at")?)))
}

/// The first condition is the index's own, by whose words SQLite recognises it.
fn listing(which: Which) -> String {
    let held = match which {
        Which::Dead => "",
        Which::Stalled => "AND due_at IS NULL",
        Which::Held => "AND due_at IS NOT NULL",
    };
    format!(
        "SELECT {COLUMNS}, received_at, due_at, held_after FROM inbox_event \
         WHERE status IN ('retrying', 'failed') AND status = ?1 AND received_at <= ?2 {held} \
         AND (?3 IS NULL OR id = ?3) AND (?4 IS NULL OR event_type = ?4) \
         AND (?5 IS NULL OR source_system = ?5) \
         AND (?6 IS NULL OR instr(failure_reason, ?6) > 0) \
         AND (?7 IS NULL OR failed_at >= ?7) \
         ORDER BY received_at LIMIT ?8"
    )
}

/// The moment that was so long ago, by the database's clock.
fn since(connection: &Connection, age: Duration) -> rusqlite::Result<DateTime<Utc>> {
    let age = TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
    Ok(now(connection)?.checked_sub_signed(age).unwrap_or(DateTime::<Utc>::MIN_UTC))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_lists_use_their_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        super::super::install(&mut connection).unwrap();
        let sql = format!("EXPLAIN QUERY PLAN {}", listing(Which::Dead));
        let mut statement = connection.prepare(&sql).unwrap();
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
