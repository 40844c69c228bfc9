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
use crate::inbox::intake::redriven;
use crate::inbox::stored::{CountedRow, Discarded, undelivered};
use crate::inbox::{Counts, Fresh, InboxConfig, Remembered};
use crate::store::StoreError;
use crate::store::doing::{COUNTING, DISCARDING, GETTING, PURGING, REDRIVING};
use crate::store::error::Doing;
use crate::store::sqlite::{any_moment, micros, now, read_row, still_open};
use crate::{Decision, EventId, Facts, RawEvent};

/// How many events the inbox has in each state. It reads every row, and counts as
/// [stalled](crate::inbox::Stalled) what [`stalled`](super::stalled) lists for the age
/// `stalled_after`.
///
/// # Errors
///
/// An error of the database.
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
             count(*) FILTER (WHERE last_attempt IN ('forestalled', 'forgotten')) \
             FROM inbox_event GROUP BY status",
        )?;
        let rows = statement.query_map(
            params![micros(since(connection, stalled_after)?)],
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

/// What the inbox remembers of one event; `None` if it has never received the event, or
/// has purged it.
///
/// # Errors
///
/// An error of the database, or a row that is not a valid event.
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
    let read =
        |row: &SqlRow<'_>| Ok((read_row(row)?, any_moment(row.get("received_at")?)));
    let found = connection.prepare_cached(&sql).and_then(|mut statement| {
        statement.query_row([source_system, &id.to_string()], read).optional()
    });
    let found = found.doing(GETTING)?;
    found.map(Remembered::of_row).transpose()
}

/// Redrives a dead letter of the inbox, or an event that waits for [another
/// delivery](super::stalled) or is [held](super::held), in the caller's open transaction,
/// as a person decided: run its handler, and commit. Nothing where there is no such
/// event.
///
/// The types do not ensure that the handler runs: if you commit without its effect, the
/// event still counts as processed. A worker's
/// [`redrive`](crate::inbox::worker::Worker::redrive) runs the handler itself.
///
/// # Errors
///
/// An error of the database.
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
/// delivery](super::stalled) or is [held](super::held), as a person decided, and says
/// whether there was one.
///
/// # Errors
///
/// An error of the database.
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
        write(&transaction, discarded.entry())?;
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
/// what a [held](crate::inbox::Held) event waits for.
///
/// # Errors
///
/// An error of the database.
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

/// The moment that was so long ago, by the database's clock.
pub(super) fn since(
    connection: &Connection,
    age: Duration,
) -> rusqlite::Result<DateTime<Utc>> {
    let age = TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
    Ok(now(connection)?.checked_sub_signed(age).unwrap_or(DateTime::<Utc>::MIN_UTC))
}
