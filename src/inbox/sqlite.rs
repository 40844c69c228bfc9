//! The inbox in a SQLite file.
//!
//! ```
//! use integration_automation_patterns::broker::{Broker, Consumer, in_process};
//! use integration_automation_patterns::inbox::{Receipt, Rules, sqlite};
//! use integration_automation_patterns::{Envelope, RetryPolicy, Untyped};
//! use std::time::Duration;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let mut erp = rusqlite::Connection::open_in_memory()?;
//! sqlite::install(&mut erp)?;
//! erp.execute_batch("CREATE TABLE customer (lead BLOB)")?;
//! let rules = Rules::new(Duration::from_secs(7 * 24 * 60 * 60), &RetryPolicy::DEFAULT)?;
//!
//! let (broker, mut listener) = in_process(16);
//! let event = Envelope::builder("crm", Untyped::new("crm.lead.created", b"{}")).build()?.dispatch();
//! let send = broker.send(&event);
//! let consume = async {
//!     let delivery = listener.next().await?.ok_or("no delivery")?;
//!     let Receipt::New(first) = sqlite::receive(erp.transaction()?, delivery, &rules)? else { return Err("seen".into()) };
//!     first.transaction().execute("INSERT INTO customer VALUES (?1)", [first.event().payload().bytes()])?;
//!     first.commit()?.confirm().await?; // the effect and its memory are committed, and then the broker is told
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! };
//! let (sent, consumed) = tokio::join!(send, consume);
//! assert!(sent.is_ok() && consumed.is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use chrono::{TimeDelta, Utc};
use rusqlite::{Connection, DropBehavior, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{
    Committed, Fault, First, Handled, Known, Receipt, Rules, begun, caught, faulty, handled, received, tell_fault,
    tell_processed,
};
use crate::audit::{Action, AuditTrail};
use crate::broker::Delivery;
use crate::crash_point::point;
use crate::hop::Hop;
use crate::outbox::columns::Row;
use crate::outbox::{DeadLetter, Filter, StoreError};
use crate::schema::Part;
use crate::sqlite::{self as database, micros, moment, now, read_row};
use crate::state::{Acknowledged, Failed};
use crate::{AnyEnvelope, Decision, DeliveryStatus, Envelope, EventId, Facts, Untyped};

/// The table, as it is made: with what each column means.
pub const SCHEMA: &str = include_str!("schema_sqlite.sql");

const PART: Part = Part { name: "inbox", versions: &[SCHEMA] };

/// The columns of [`Row`], with what is not kept of a processed event in its place.
const COLUMNS: &str = "0, id, event_type, source_system, schema_version, correlation_id, payload, tags, ordering_key, \
     retry_policy, coalesce(created_at, received_at), status, attempts, failure_class, failure_reason, failed_at, \
     redriven_by, redriven_reason, redriven_at, discarded_by, discarded_reason, discarded_at";

/// Creates the table of the inbox, or brings it up to date.
///
/// # Errors
///
/// What the database answers, and a table that a newer version of this crate has made.
pub fn install(connection: &mut Connection) -> Result<(), StoreError> {
    database::install(connection, &PART)
}

/// Takes a delivery in, inside the caller's open transaction: is it the first of its event, or a duplicate?
///
/// Begin the transaction as `IMMEDIATE`, or two consumers of one file may meet in a deadlock, which the database
/// answers with an error.
///
/// An effect that ends its process is not counted here: [`process`] counts it.
///
/// # Errors
///
/// What the database answers. The delivery is given up with it, and comes again.
pub fn receive<'c, A>(
    transaction: Transaction<'c>,
    delivery: Delivery<A>,
    rules: &Rules,
) -> Result<Receipt<Transaction<'c>, A>, StoreError> {
    take_in(transaction, delivery, rules, false)
}

const DOING: &str = "receiving an event";

/// Takes a delivery in; `begun`, where its attempt is counted already.
fn take_in<'c, A>(
    mut transaction: Transaction<'c>,
    delivery: Delivery<A>,
    rules: &Rules,
    begun: bool,
) -> Result<Receipt<Transaction<'c>, A>, StoreError> {
    let fault = |error: rusqlite::Error| StoreError::new(DOING, error);
    database::still_open(&transaction, DOING)?;
    // Dropped, a first delivery is rolled back, whatever the transaction was told before.
    transaction.set_drop_behavior(DropBehavior::Rollback);
    let (event, answer, hop) = received(delivery, rules);
    if let Some(refusal) = rules.refusal(&event) {
        let known = find(&transaction, &event).map_err(fault)?;
        if known.as_ref().is_some_and(|row| row.status == "processed") {
            hop.end(Ok("duplicate"));
            rules.tell(Action::Duplicate, &event, event.status(), Utc::now());
            return Ok(Receipt::Duplicate(Committed::new(answer)));
        }
        // What waits for another attempt is not waited for again: it is a dead letter too.
        if known.is_none_or(|row| row.status == "retrying") {
            let at = now(&transaction).map_err(fault)?;
            let dead = faulty(event, Fault::permanent(refusal), at);
            write(&transaction, Row::of(&dead)).map_err(fault)?;
            transaction.commit().map_err(fault)?;
            rules.tell_fault(&dead, at);
        }
        hop.end(Err("rejected"));
        return Ok(Receipt::Rejected(Committed::new(answer)));
    }
    let inserted = transaction
        .prepare_cached(
            "INSERT INTO inbox_event (source_system, id, received_at, status, attempts) \
             VALUES (?1, ?2, CAST(unixepoch('subsec') * 1000000 AS INTEGER), 'processed', ?3) ON CONFLICT DO NOTHING",
        )
        .and_then(|mut insert| insert.execute(params![event.source_system(), event.id().to_string(), event.attempts()]))
        .map_err(fault)?;
    let event = if inserted == 1 {
        event
    } else {
        let row = find(&transaction, &event).map_err(fault)?;
        match Known::of(row, rules, begun).map_err(|why| StoreError::new(DOING, why))? {
            Known::Attempt(event) => {
                write_processed(&transaction, &event).map_err(fault)?;
                event
            }
            Known::Spent(dead) => {
                let (dead, at) = (AnyEnvelope::from(dead), now(&transaction).map_err(fault)?);
                write(&transaction, Row::of(&dead)).map_err(fault)?;
                transaction.commit().map_err(fault)?;
                hop.faulted(&dead);
                rules.tell_fault(&dead, at);
                return Ok(Receipt::Rejected(Committed::new(answer)));
            }
            Known::Duplicate => {
                hop.end(Ok("duplicate"));
                rules.tell(Action::Duplicate, &event, event.status(), Utc::now());
                return Ok(Receipt::Duplicate(Committed::new(answer)));
            }
        }
    };
    // What an effect wrote before it failed goes, and the memory of the failure stays.
    transaction.execute_batch("SAVEPOINT effect").map_err(fault)?;
    Ok(Receipt::New(First {
        transaction,
        outermost: true,
        hop: hop.process(&event),
        event,
        answer,
        trail: rules.trail.clone(),
    }))
}

/// Receives a delivery, has its effect, and commits: the common case in one call.
///
/// A fault rolls back what the effect wrote, and is stored; the answer says what to tell the broker. A `?` in the effect,
/// and a panic, are faults for the moment; what can never succeed says so by [`Fault::permanent`]. Of a delivery that was
/// [made before](Delivery::is_redelivered), the attempt is counted, and committed, before the effect: one that ends its
/// process [comes to an end too](super#an-effect-that-ends-its-process).
///
/// # Errors
///
/// What the database answers. Then nothing of the effect is stored, and the event comes again; the attempt of one that was
/// delivered before stays counted.
pub fn process<A>(
    connection: &mut Connection,
    delivery: Delivery<A>,
    rules: &Rules,
    effect: impl FnOnce(&Transaction<'_>, &Envelope<Acknowledged>) -> Result<(), Fault>,
) -> Result<Handled<A>, StoreError> {
    let begun = delivery.is_redelivered() && begin_attempt(connection, &delivery, rules)?;
    match take_in(begin(connection)?, delivery, rules, begun)? {
        Receipt::New(first) => match first.in_span(|| caught(|| effect(&first.transaction, &first.event))) {
            Ok(()) => Ok(Handled::Processed(first.commit()?)),
            Err(fault) => first.fail(fault),
        },
        Receipt::Duplicate(committed) => Ok(Handled::Duplicate(committed)),
        Receipt::Rejected(committed) => Ok(Handled::Dead(committed)),
    }
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, StoreError> {
    let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    begun.map_err(|error| StoreError::new(DOING, error))
}

/// Commits that another attempt has begun, and says whether one has: none does of a duplicate, nor where none is left.
fn begin_attempt<A>(connection: &mut Connection, delivery: &Delivery<A>, rules: &Rules) -> Result<bool, StoreError> {
    let event = delivery.facts();
    if rules.refusal(event).is_some() {
        return Ok(false);
    }
    let fault = |error: rusqlite::Error| StoreError::new(DOING, error);
    let transaction = begin(connection)?;
    let inserted = transaction
        .prepare_cached(
            "INSERT INTO inbox_event (source_system, id, received_at, status, attempts) \
             VALUES (?1, ?2, CAST(unixepoch('subsec') * 1000000 AS INTEGER), 'retrying', 1) ON CONFLICT DO NOTHING",
        )
        .and_then(|mut insert| insert.execute(params![event.source_system(), event.id().to_string()]))
        .map_err(fault)?;
    let (event, attempts) = if inserted == 1 {
        (delivery.to_record(), 1)
    } else {
        let row = find(&transaction, event).map_err(fault)?;
        match Known::of(row, rules, false).map_err(|why| StoreError::new(DOING, why))? {
            Known::Attempt(event) => (event.to_record(), event.attempts()),
            Known::Spent(_) | Known::Duplicate => return Ok(false),
        }
    };
    let at = now(&transaction).map_err(fault)?;
    write(&transaction, begun(event, attempts, rules, at)).map_err(fault)?;
    transaction.commit().map_err(fault)?;
    Ok(true)
}

impl<A> First<Transaction<'_>, A> {
    /// Commits the effect and its memory.
    ///
    /// # Errors
    ///
    /// What the database answers. Then nothing is stored, and the event comes again.
    pub fn commit(self) -> Result<Committed<A>, StoreError> {
        let processed = self.event.process();
        database::still_open(&self.transaction, "committing an effect")?;
        point("before the effect commits");
        self.transaction.commit().map_err(|error| StoreError::new("committing an effect", error))?;
        point("after the effect");
        self.hop.end(Ok("processed"));
        tell_processed(&self.trail, &processed);
        Ok(Committed::new(self.answer))
    }

    /// Rolls back what the effect wrote, and commits that it failed: to be tried again while the policy of the
    /// [`Rules`] lasts, else as a dead letter.
    ///
    /// # Errors
    ///
    /// What the database answers. Then nothing is stored, and the event comes again.
    pub fn fail(self, fault: Fault) -> Result<Handled<A>, StoreError> {
        let Self { transaction, event, answer, hop, trail, .. } = self;
        let stored = || {
            // A constraint with `ON CONFLICT ROLLBACK` has rolled everything back already.
            let back = if transaction.is_autocommit() { "BEGIN IMMEDIATE" } else { "ROLLBACK TO effect" };
            transaction.execute_batch(back)?;
            let at = now(&transaction)?;
            let event = faulty(event, fault, at);
            write(&transaction, Row::of(&event))?;
            transaction.commit()?;
            Ok((event, at))
        };
        let (event, at) = stored().map_err(|error: rusqlite::Error| StoreError::new("storing a fault", error))?;
        hop.faulted(&event);
        tell_fault(&trail, &event, at);
        Ok(handled(&event, answer, at))
    }
}

/// Forgets up to `limit` events that were received longer ago than the window of the rules, and says how many. Dead
/// letters stay.
///
/// # Errors
///
/// What the database answers.
pub fn forget(connection: &Connection, rules: &Rules, limit: usize) -> Result<u64, StoreError> {
    let work = || {
        let age = TimeDelta::from_std(rules.window()).unwrap_or(TimeDelta::MAX);
        let Some(before) = now(connection)?.checked_sub_signed(age) else { return Ok(0) };
        let gone = connection
            .prepare_cached(
                "DELETE FROM inbox_event WHERE (source_system, id) IN (SELECT source_system, id FROM inbox_event \
                 WHERE received_at <= ?1 AND status IN ('processed', 'skipped') ORDER BY received_at LIMIT ?2)",
            )?
            .execute(params![micros(before), i64::try_from(limit).unwrap_or(i64::MAX)])?;
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    };
    work().map_err(|error: rusqlite::Error| StoreError::new("forgetting old events", error))
}

/// The dead letters of the inbox that a filter names, the oldest first.
///
/// # Errors
///
/// What the database answers.
pub fn dead_letters(connection: &Connection, filter: &Filter, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
    let work = || {
        let sql = format!(
            "SELECT {COLUMNS}, received_at FROM inbox_event WHERE status = 'failed' \
             AND (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR event_type = ?2) AND (?3 IS NULL OR source_system = ?3) \
             AND (?4 IS NULL OR instr(failure_reason, ?4) > 0) AND (?5 IS NULL OR failed_at >= ?5) \
             ORDER BY received_at LIMIT ?6"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let values = params![
            filter.id.as_ref().map(ToString::to_string),
            filter.event_type,
            filter.source_system,
            filter.reason_contains,
            filter.failed_since.map(micros),
            i64::try_from(limit).unwrap_or(i64::MAX),
        ];
        let rows = statement.query_map(values, |row| Ok((read_row(row)?, moment(row.get("received_at")?)?)))?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let rows = work().map_err(|error| StoreError::new("listing dead letters", error))?;
    let dead = |(row, received_at): (Row, _)| {
        Some(DeadLetter { event: row.read_in().ok()?, first_sent_at: Some(received_at) })
    };
    Ok(rows.into_iter().filter_map(dead).collect())
}

/// Takes a dead letter of the inbox up again, inside the caller's open transaction, as somebody decided: its effect can
/// be had now. Nothing where no dead letter has this id.
///
/// # Errors
///
/// What the database answers.
pub fn redrive<'c>(
    mut transaction: Transaction<'c>,
    source_system: &str,
    id: &EventId,
    decision: Decision,
    rules: &Rules,
) -> Result<Option<First<Transaction<'c>, ()>>, StoreError> {
    let fault = |error: rusqlite::Error| StoreError::new("redriving a dead letter", error);
    transaction.set_drop_behavior(DropBehavior::Rollback);
    let Some(row) = find_row(&transaction, source_system, &id.to_string()).map_err(fault)? else { return Ok(None) };
    let Ok(dead) = row.read_in::<Failed>() else { return Ok(None) };
    let event = dead.redrive(decision).with_retry_policy(rules.policy()).dispatch().acknowledge();
    write_processed(&transaction, &event).map_err(fault)?;
    transaction.execute_batch("SAVEPOINT effect").map_err(fault)?;
    Ok(Some(First {
        transaction,
        outermost: true,
        hop: Hop::redrive(&event),
        event,
        answer: (),
        trail: rules.trail.clone(),
    }))
}

/// Gives a dead letter of the inbox up, as somebody decided; says whether there was one of this id.
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
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Some(row) = find_row(&transaction, source_system, &id.to_string())? else { return Ok(false) };
        let Ok(dead) = row.read_in::<Failed>() else { return Ok(false) };
        let gone = dead.discard(decision);
        let at = gone.discarded().map_or_else(Utc::now, Decision::at);
        let gone = AnyEnvelope::from(gone);
        write(&transaction, Row::of(&gone))?;
        transaction.commit()?;
        trail.record(Action::Discard, &gone, gone.status(), at);
        Ok(true)
    };
    work().map_err(|error: rusqlite::Error| StoreError::new("discarding a dead letter", error))
}

fn find(transaction: &Transaction<'_>, event: &Facts<Untyped>) -> rusqlite::Result<Option<Row>> {
    find_row(transaction, event.source_system(), &event.id().to_string())
}

fn find_row(transaction: &Transaction<'_>, source_system: &str, id: &str) -> rusqlite::Result<Option<Row>> {
    let sql = format!("SELECT {COLUMNS} FROM inbox_event WHERE source_system = ?1 AND id = ?2");
    transaction.prepare_cached(&sql)?.query_row([source_system, id], read_row).optional()
}

/// Remembers that the event has its effect, and forgets what was kept of its failures.
fn write_processed(transaction: &Transaction<'_>, event: &Envelope<Acknowledged>) -> rusqlite::Result<usize> {
    transaction
        .prepare_cached(
            "UPDATE inbox_event SET status = 'processed', attempts = ?3, event_type = NULL, schema_version = NULL, \
             correlation_id = NULL, payload = NULL, tags = NULL, ordering_key = NULL, retry_policy = NULL, \
             created_at = NULL, failure_class = NULL, failure_reason = NULL, failed_at = NULL, \
             received_at = CAST(unixepoch('subsec') * 1000000 AS INTEGER) WHERE source_system = ?1 AND id = ?2",
        )?
        .execute(params![event.source_system(), event.id().to_string(), event.attempts()])
}

/// Keeps the whole of an event that failed, or was given up.
fn write(transaction: &Transaction<'_>, row: Row) -> rusqlite::Result<usize> {
    let (failure, redriven, discarded) = (row.failure.as_ref(), row.redriven.as_ref(), row.discarded.as_ref());
    let kept = row.status != DeliveryStatus::Skipped.as_str();
    transaction
        .prepare_cached(
            "INSERT INTO inbox_event (source_system, id, received_at, status, attempts, event_type, schema_version, \
             correlation_id, payload, tags, ordering_key, retry_policy, created_at, failure_class, failure_reason, \
             failed_at, redriven_by, redriven_reason, redriven_at, discarded_by, discarded_reason, discarded_at) \
             VALUES (?1, ?2, CAST(unixepoch('subsec') * 1000000 AS INTEGER), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, \
             ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21) \
             ON CONFLICT DO UPDATE SET status = ?3, attempts = ?4, event_type = ?5, schema_version = ?6, \
             correlation_id = ?7, payload = ?8, tags = ?9, ordering_key = ?10, retry_policy = ?11, created_at = ?12, \
             failure_class = ?13, failure_reason = ?14, failed_at = ?15, redriven_by = ?16, redriven_reason = ?17, \
             redriven_at = ?18, discarded_by = ?19, discarded_reason = ?20, discarded_at = ?21",
        )?
        .execute(params![
            row.source_system,
            row.id,
            row.status,
            row.attempts,
            row.event_type,
            row.schema_version,
            row.correlation_id,
            kept.then_some(row.payload),
            row.tags,
            row.ordering_key,
            row.retry_policy,
            micros(row.created_at),
            failure.map(|said| &said.what),
            failure.map(|said| &said.reason),
            failure.map(|said| micros(said.at)),
            redriven.map(|said| &said.what),
            redriven.map(|said| &said.reason),
            redriven.map(|said| micros(said.at)),
            discarded.map(|said| &said.what),
            discarded.map(|said| &said.reason),
            discarded.map(|said| micros(said.at)),
        ])
}
