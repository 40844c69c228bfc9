//! The inbox in a SQLite file.
//!
//! ```
//! use integration_automation_patterns::broker::{Broker, Consumer, in_process};
//! use integration_automation_patterns::inbox::{Receipt, InboxConfig, sqlite};
//! use integration_automation_patterns::{Envelope, RetryPolicy, RawEvent};
//! use std::time::Duration;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let mut erp = rusqlite::Connection::open_in_memory()?;
//! sqlite::install(&mut erp)?;
//! erp.execute_batch("CREATE TABLE customer (lead BLOB)")?;
//! let config = InboxConfig::new(Duration::from_secs(7 * 24 * 60 * 60), &RetryPolicy::DEFAULT)?;
//!
//! let (broker, mut listener) = in_process(16);
//! let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?.dispatch();
//! let send = broker.send(&event);
//! let consume = async {
//!     let delivery = listener.next().await?.ok_or("no delivery")?;
//!     let Receipt::New(first) = sqlite::receive(erp.transaction()?, delivery, &config)? else { return Err("seen".into()) };
//!     first.transaction().execute("INSERT INTO customer VALUES (?1)", [first.event().payload().bytes()])?;
//!     first.commit()?.ack().await?; // the effect and its memory are committed, and then the broker is told
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! };
//! let (sent, consumed) = tokio::join!(send, consume);
//! assert!(sent.is_ok() && consumed.is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admin;
mod rows;

use rusqlite::{Connection, DropBehavior, Transaction, TransactionBehavior, params};

pub use self::admin::{counts, dead_letters, discard, purge, redrive, stalled};
use self::rows::{find, find_row, remove, write, write_processed, write_unless_done};
use super::handler_error::caught;
use super::intake::{
    Begun, Ended, HAVING, Known, RECEIVING, STORING, TurnedAway, Unkept, begun, faulty,
    handled, received, tell_fault, tell_processed, told_of, uncommitted,
};
use super::{Committed, Fresh, Handled, HandlerError, InboxConfig, Receipt};
use crate::audit::Action;
use crate::broker::Delivery;
use crate::crash_point::crash_point;
use crate::state::Acknowledged;
use crate::store::Part;
use crate::store::Row;
use crate::store::StoreError;
use crate::store::sqlite::{self as database, now};
use crate::{AnyEnvelope, DeliveryStatus, Envelope};

/// The table, as it is made: with what each column means.
pub const SCHEMA: &str = include_str!("../schema_sqlite.sql");

const PART: Part = Part { name: "inbox", versions: &[SCHEMA] };

/// Creates the table of the inbox, or brings it up to date.
///
/// # Errors
///
/// What the database answers, and a table that a newer version of this crate has made.
pub fn install(connection: &mut Connection) -> Result<(), StoreError> {
    database::install(connection, &PART)
}

/// Takes a delivery in, inside the caller's open transaction: is it the first of its
/// event, or a duplicate?
///
/// Begin the transaction as `IMMEDIATE`, or two consumers of one file may meet in a
/// deadlock, which the database answers with an error.
///
/// An effect that ends its process is not counted here: [`process`] counts it.
///
/// # Errors
///
/// What the database answers. The delivery is given up with it, and comes again.
pub fn receive<'c, A>(
    transaction: Transaction<'c>,
    delivery: Delivery<A>,
    config: &InboxConfig,
) -> Result<Receipt<Transaction<'c>, A>, StoreError> {
    take_in(transaction, delivery, config, false)
}

/// A savepoint behind the row of the event: what an effect wrote before it failed goes,
/// and the memory of the failure stays. Where it is gone, so is the transaction that the
/// inbox began.
const SAVEPOINT: &str = "SAVEPOINT inbox_effect";
const RELEASE: &str = "RELEASE inbox_effect";
const ROLLBACK: &str = "ROLLBACK TO inbox_effect";

fn fault(error: rusqlite::Error) -> StoreError {
    database::fault(RECEIVING, error)
}

/// Takes a delivery in; `begun`, where its attempt is counted already.
fn take_in<'c, A>(
    mut transaction: Transaction<'c>,
    delivery: Delivery<A>,
    config: &InboxConfig,
    begun: bool,
) -> Result<Receipt<Transaction<'c>, A>, StoreError> {
    database::still_open(&transaction, RECEIVING)?;
    // Dropped, a first delivery is rolled back, whatever the transaction was told before.
    transaction.set_drop_behavior(DropBehavior::Rollback);
    let (event, received) = received(delivery, config);
    if let Some(refusal) = config.refusal(&event) {
        let row = find(&transaction, &event).map_err(fault)?;
        return Ok(match TurnedAway::of(row.as_ref(), &event, config.leaves(&refusal)) {
            TurnedAway::Duplicate => received.duplicate(&event),
            TurnedAway::Left(wait) => received.left(&event, wait),
            TurnedAway::Known => received.known(),
            TurnedAway::DeadLettered => {
                let at = now(&transaction).map_err(fault)?;
                let dead = faulty(event, HandlerError::permanent(refusal.reason), at);
                write(&transaction, Row::of(&dead)).map_err(fault)?;
                transaction.commit().map_err(fault)?;
                received.refused(&dead, at)
            }
        });
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
        let attempt = match Known::of(row, &event, config, begun)
            .map_err(|why| StoreError::new(RECEIVING, why))?
        {
            Known::Unknown => event,
            Known::Attempt(event) => event,
            Known::Spent(dead) => {
                let (dead, at) =
                    (AnyEnvelope::from(dead), now(&transaction).map_err(fault)?);
                write(&transaction, Row::of(&dead)).map_err(fault)?;
                transaction.commit().map_err(fault)?;
                return Ok(received.spent(&dead, at));
            }
            Known::Duplicate => return Ok(received.duplicate(&event)),
        };
        write_processed(&transaction, &attempt).map_err(fault)?;
        attempt
    };
    transaction.execute_batch(SAVEPOINT).map_err(fault)?;
    Ok(received.first(transaction, true, event))
}

/// Receives a delivery, has its effect, and commits: the common case in one call.
///
/// A fault rolls back what the effect wrote, and is stored; the answer says what to tell
/// the broker. A `?` in the effect, and a panic, are faults for the moment; what can
/// never succeed says so by [`HandlerError::permanent`]. What the database refuses only
/// when the effect is committed (a deferred constraint, a statement that failed and was
/// overlooked) is a fault as well, and so is an effect that ends the transaction by SQL:
/// its transaction is the inbox's to end. Of a delivery that was [made
/// before](Delivery::is_redelivered), the attempt is counted, and committed, before the
/// effect: one that ends its process [comes to an end
/// too](super#an-effect-that-ends-its-process).
///
/// # Errors
///
/// What the database answers that is no fault of the event: it is busy or full, or the
/// disk fails. Then nothing is stored, no attempt is spent, and the event comes again. An
/// effect that has committed by SQL is told so here: it is remembered as processed, and
/// what it wrote stays.
pub fn process<A>(
    connection: &mut Connection,
    delivery: Delivery<A>,
    config: &InboxConfig,
    effect: impl FnOnce(&Transaction<'_>, &Envelope<Acknowledged>) -> Result<(), HandlerError>,
) -> Result<Handled<A>, StoreError> {
    let owed = config.owed().take(delivery.facts());
    let mut begun = None;
    let attempt = || {
        if delivery.is_redelivered() {
            begun = begin_attempt(connection, &delivery, config, owed.is_some())?;
        }
        attempt(connection, delivery, config, owed.is_some() || begun.is_some(), effect)
    };
    let handled = attempt();
    if handled.is_err() {
        let not_taken_back = || {
            begun
                .filter(|begun| take_back(connection, begun).is_err())
                .map(|begun| begun.event)
        };
        if let Some(event) = owed.or_else(not_taken_back) {
            config.owed().add(event);
        }
    }
    handled
}

/// One attempt; `begun`, where it is counted already.
fn attempt<A>(
    connection: &mut Connection,
    delivery: Delivery<A>,
    config: &InboxConfig,
    begun: bool,
    effect: impl FnOnce(&Transaction<'_>, &Envelope<Acknowledged>) -> Result<(), HandlerError>,
) -> Result<Handled<A>, StoreError> {
    let handled = match take_in(begin(connection)?, delivery, config, begun)? {
        Receipt::New(first) => {
            match first.in_span(|| caught(|| effect(&first.transaction, &first.event))) {
                Ok(()) => first.keep().map(Handled::Processed),
                Err(fault) => first.record(fault),
            }
        }
        Receipt::Duplicate(committed) => Ok(Handled::Duplicate(committed)),
        Receipt::Rejected(committed) => Ok(Handled::DeadLettered(committed)),
        Receipt::Left(again) => Ok(Handled::RetryLater(again)),
    };
    handled.or_else(|unkept| match unkept {
        Unkept::Told(error) => Err(error),
        Unkept::Ended(ended) => store(connection, *ended),
    })
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, StoreError> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)
}

/// Commits that another attempt has begun, and says so: none does of a duplicate, nor
/// where none is left. One that is `owed` is counted already.
fn begin_attempt<A>(
    connection: &mut Connection,
    delivery: &Delivery<A>,
    config: &InboxConfig,
    owed: bool,
) -> Result<Option<Begun>, StoreError> {
    let event = delivery.facts();
    if config.refusal(event).is_some() {
        return Ok(None);
    }
    let transaction = begin(connection)?;
    let before = find(&transaction, event).map_err(fault)?;
    let (event, attempts) = match &before {
        None => (delivery.to_record(), 1),
        Some(row) => {
            let known = Known::of(Some(row.clone()), event, config, owed);
            match known.map_err(|why| StoreError::new(RECEIVING, why))? {
                Known::Unknown => (delivery.to_record(), 1),
                Known::Attempt(event) => (event.to_record(), event.attempts()),
                Known::Spent(_) | Known::Duplicate => return Ok(None),
            }
        }
    };
    let at = now(&transaction).map_err(fault)?;
    let row = begun(event, attempts, config, at);
    let begun = Begun::new(&row, before);
    write(&transaction, row).map_err(fault)?;
    transaction.commit().map_err(fault)?;
    Ok(Some(begun))
}

/// Takes a counted attempt back that was none.
fn take_back(connection: &mut Connection, begun: &Begun) -> rusqlite::Result<()> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (source_system, id) = &begun.event;
    match begun.taken_back(find_row(&transaction, source_system, id)?) {
        Some(Some(row)) => write(&transaction, row)?,
        Some(None) => remove(&transaction, source_system, id)?,
        None => return Ok(()),
    };
    transaction.commit()
}

/// Stores the fault of an attempt whose transaction is over, in one of its own. Meanwhile
/// another consumer may have had the effect, which stays.
fn store<A>(
    connection: &mut Connection,
    ended: Ended<A>,
) -> Result<Handled<A>, StoreError> {
    let Ended { event, answer, hop, trail, fault, error, by_effect } = ended;
    let stored = |event: Envelope<Acknowledged>| {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let at = now(&transaction)?;
        let event = faulty(event, fault, at);
        let written = write_unless_done(&transaction, Row::of(&event))?;
        transaction.commit()?;
        Ok((event, at, written == 1))
    };
    let (event, at, is_stored) = stored(event)
        .map_err(|error: rusqlite::Error| database::fault(STORING, error))?;
    if is_stored {
        hop.faulted(&event);
        tell_fault(&trail, &event, at);
        return Ok(handled(&event, answer, at));
    }
    if by_effect {
        return Err(error);
    }
    hop.end(Ok("duplicate"));
    trail.record(Action::Duplicate, &event, DeliveryStatus::Acknowledged, at);
    Ok(Handled::Duplicate(Committed::new(answer)))
}

/// Whether a savepoint is not there because its transaction is not.
fn is_ended(transaction: &Transaction<'_>, error: &rusqlite::Error) -> bool {
    transaction.is_autocommit() || error.to_string().starts_with("no such savepoint")
}

impl<A> Fresh<Transaction<'_>, A> {
    /// Commits the effect and its memory.
    ///
    /// # Errors
    ///
    /// What the database answers. Then nothing is stored, and the event comes again. It
    /// is an error too where the effect has ended the transaction by SQL.
    pub fn commit(self) -> Result<Committed<A>, StoreError> {
        self.keep().map_err(Unkept::into_error)
    }

    /// Commits, or says what there is to store instead.
    fn keep(self) -> Result<Committed<A>, Unkept<A>> {
        let Self { transaction, event, answer, hop, trail, .. } = self;
        // Of a transaction that is not the one in which the savepoint was made, SQLite
        // does not release it.
        let released = transaction.execute_batch(RELEASE);
        let by_effect =
            released.as_ref().is_err_and(|error| is_ended(&transaction, error));
        let committed = released.and_then(|()| {
            crash_point("before the effect commits");
            transaction.commit()
        });
        if let Err(error) = committed {
            let (fault, error) = uncommitted(error, by_effect);
            if !fault.counts {
                return Err(Unkept::Told(error));
            }
            return Err(Unkept::Ended(Box::new(Ended {
                event,
                answer,
                hop,
                trail,
                fault,
                error,
                by_effect,
            })));
        }
        crash_point("after the effect");
        hop.end(Ok("processed"));
        tell_processed(&trail, &event.process());
        Ok(Committed::new(answer))
    }

    /// Rolls back what the effect wrote, and commits that it failed: to be tried again
    /// while the policy of the [`InboxConfig`] lasts, else as a dead letter.
    ///
    /// # Errors
    ///
    /// What the database answers, and a fault that [spends no attempt](HandlerError).
    /// Then nothing is stored, and the event comes again.
    pub fn fail(self, fault: HandlerError) -> Result<Handled<A>, StoreError> {
        self.record(fault).map_err(Unkept::into_error)
    }

    /// Commits the fault, or says what there is to store instead.
    fn record(self, fault: HandlerError) -> Result<Handled<A>, Unkept<A>> {
        let Self { transaction, event, answer, hop, trail, .. } = self;
        if !fault.counts {
            return Err(Unkept::Told(StoreError::new(HAVING, fault.reason)));
        }
        let unstored =
            |error: rusqlite::Error| Unkept::Told(database::fault(STORING, error));
        if let Err(error) = transaction.execute_batch(ROLLBACK) {
            if !is_ended(&transaction, &error) {
                return Err(unstored(error));
            }
            let error = told_of(&fault);
            return Err(Unkept::Ended(Box::new(Ended {
                event,
                answer,
                hop,
                trail,
                fault,
                error,
                by_effect: true,
            })));
        }
        let stored = || {
            let at = now(&transaction)?;
            let event = faulty(event, fault, at);
            write(&transaction, Row::of(&event))?;
            transaction.commit()?;
            Ok((event, at))
        };
        let (event, at) = stored().map_err(unstored)?;
        hop.faulted(&event);
        tell_fault(&trail, &event, at);
        Ok(handled(&event, answer, at))
    }
}
