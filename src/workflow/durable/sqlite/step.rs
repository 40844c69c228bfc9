//! A step is stored in the caller's transaction of SQLite: the row with its votes, the
//! journal, and what leaves.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::rows::{Place, find, find_place, write, write_entry};
use crate::crash_point::crash_point;
use crate::outbox::sqlite::{OpenTransaction, enqueue, recall};
use crate::outbox::{Enqueued, Recalled};
use crate::state::Pending;
use crate::store::error::Doing;
use crate::store::sqlite::{now, still_open};
use crate::store::{StoreError, StoreErrorKind};
use crate::trace::{Mover, StepSpan};
use crate::workflow::durable::columns::Rows;
use crate::workflow::durable::dated::dated;
use crate::workflow::durable::journal::{EntryRow, HAS_SENT};
use crate::workflow::durable::stored::StoredStep;
use crate::workflow::durable::{LOADING, LoadError, STORING, StepError, WorkflowConfig};
use crate::workflow::{
    AnyAdvance, Begun, Driven, InstanceId, InstanceRecord, NotStoredError, Recall,
    Workflow, Written,
};
use crate::{Envelope, EventId, Facts, RawEvent, Refused};

/// Begins an instance, in the caller's open transaction: its row is stored and its first
/// command enqueued, once the business change is committed.
///
/// An instance of the same id begins once: a second call stores nothing, and nothing
/// leaves.
///
/// # Errors
///
/// [`StepError`], with the step given back. Roll the transaction back.
///
/// A business key is for one life: [`EarlierLife`](NotStoredError::EarlierLife) where an
/// instance of this id ran before and was purged, and the outbox still has its events.
///
/// ```
/// # mod shop {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/orders.rs"));
/// # }
/// # use shop::{Order, Sales, login, order_to_cash};
/// use integration_automation_patterns::workflow::{
///     Begun, InstanceId, WorkflowConfig, sqlite,
/// };
/// # use integration_automation_patterns::{inbox, outbox};
///
/// let mut crm = rusqlite::Connection::open_in_memory()?;
/// # outbox::sqlite::install(&mut crm)?;
/// # inbox::sqlite::install(&mut crm)?;
/// sqlite::install(&mut crm)?;
/// let anna = login::seat::<Sales>("anna")?;
/// let config = WorkflowConfig::default();
/// let begin = |business: &rusqlite::Transaction<'_>| {
///     let id = InstanceId::of("order 4711")?;
///     let first = order_to_cash::start(id, Order::of(900), &anna);
///     let begun = sqlite::begin(business, first, &config);
///     begun.map_err(|refused| Box::<dyn std::error::Error>::from(refused.into_cause()))
/// };
/// let business = crm.transaction()?;
/// assert_eq!(begin(&business)?, Begun::New);
/// assert_eq!(begin(&business)?, Begun::AlreadyThere);
/// business.commit()?; // the order, its instance and its first command, or none of them
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn begin<W: Workflow, T: OpenTransaction>(
    transaction: &T,
    first: impl Into<AnyAdvance<W>>,
    config: &WorkflowConfig,
) -> Result<Begun, Refused<AnyAdvance<W>, StepError>> {
    let first = config.put(first.into());
    match begin_step(transaction, &first, config) {
        Ok(begun) => Ok(begun),
        Err(cause) => Err(Refused::new(first, cause)),
    }
}

/// The instance of this id, in the caller's open transaction; nothing where there is none.
///
/// Begin the transaction as `IMMEDIATE`: what is loaded stays so until the transaction
/// ends.
///
/// # Errors
///
/// [`LoadError`], where the row is no instance of this table.
pub fn load<W: Driven, T: OpenTransaction>(
    transaction: &T,
    id: &InstanceId<W>,
) -> Result<Option<W::Any>, LoadError> {
    let connection = transaction.connection();
    still_open(connection, LOADING)?;
    let Some(record) = find_record(connection, id.as_event_id())? else {
        return Ok(None);
    };
    let at = W::rehydrate(record);
    at.map(Some).map_err(|refused| LoadError::Row(refused.into_cause()))
}

/// Stores a step of an instance that is there, in the caller's open transaction: its row,
/// its journal, and what leaves, or nothing of it.
///
/// # Errors
///
/// [`StepError`], with the step given back: [`Overtaken`](NotStoredError::Overtaken) where
/// somebody else has moved the instance. Roll the transaction back.
///
/// ```
/// # mod shop {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/orders.rs"));
/// # }
/// # use shop::{CreditReserved, Order, Sales, login, order_to_cash};
/// # use integration_automation_patterns::{inbox, outbox};
/// use integration_automation_patterns::workflow::{InstanceId, WorkflowConfig, sqlite};
/// use order_to_cash::{Any, at};
///
/// # let mut crm = rusqlite::Connection::open_in_memory()?;
/// # outbox::sqlite::install(&mut crm)?;
/// # inbox::sqlite::install(&mut crm)?;
/// # sqlite::install(&mut crm)?;
/// # let anna = login::seat::<Sales>("anna")?;
/// let (id, config) = (InstanceId::of("order 4711")?, WorkflowConfig::default());
/// # let first = order_to_cash::start(id.clone(), Order::of(900), &anna);
/// let business = crm.transaction()?;
/// # sqlite::begin(&business, first, &config).map_err(|refused| refused.into_cause())?;
/// // The credit desk has reserved it by telephone.
/// let found = sqlite::load(&business, &id)?;
/// let Some(Any::Awaiting(at::Awaiting::reserve_credit(order))) = found else {
///     panic!("the order does not await it");
/// };
/// let step = order.done(CreditReserved);
/// sqlite::store(&business, step, &config).map_err(|refused| refused.into_cause())?;
/// let found = sqlite::load(&business, &id)?;
/// assert!(matches!(found, Some(Any::Awaiting(at::Awaiting::hold_stock(_)))));
/// business.commit()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn store<W: Workflow, T: OpenTransaction>(
    transaction: &T,
    step: impl Into<AnyAdvance<W>>,
    config: &WorkflowConfig,
) -> Result<(), Refused<AnyAdvance<W>, StepError>> {
    let step = config.put(step.into());
    let stored = || {
        let connection = transaction.connection();
        still_open(connection, STORING)?;
        let now = now(connection).doing(STORING)?;
        let written = step.write(now, config.hours())?;
        store_step(transaction, written, (Mover::Program, None), now)
    };
    match stored() {
        Ok(stored) => {
            stored.record(config.trail());
            Ok(())
        }
        Err(cause) => Err(Refused::new(step, cause)),
    }
}

/// The record of an instance.
pub(super) fn find_record(
    connection: &Connection,
    id: &EventId,
) -> Result<Option<InstanceRecord>, StoreError> {
    let rows = find(connection, &id.to_string()).doing(LOADING)?;
    let record = rows.map(Rows::read).transpose();
    record.map_err(|why| StoreError::of(StoreErrorKind::Unreadable, LOADING, why))
}

fn begin_step<W: Workflow, T: OpenTransaction>(
    transaction: &T,
    first: &AnyAdvance<W>,
    config: &WorkflowConfig,
) -> Result<Begun, StepError> {
    let connection = transaction.connection();
    still_open(connection, STORING)?;
    let id = first.id().into_event_id();
    if find_place(connection, &id.to_string()).doing(STORING)?.is_some() {
        return Ok(Begun::AlreadyThere);
    }
    if first.revision() > 0 {
        let wanted = first.revision();
        return Err(NotStoredError::Overtaken { wanted, found: 0 }.into());
    }
    let now = now(connection).doing(STORING)?;
    let written = first.write(now, config.hours())?;
    let moved = (Mover::Program, None);
    put(transaction, written, moved, &Place::new(now), now)?.record(config.trail());
    Ok(Begun::New)
}

/// Who has the step taken, and the event that caused it, where one did.
pub(super) type Moved<'a> = (Mover, Option<&'a Facts<RawEvent>>);

/// Stores a step that a program, an event or a deadline has caused.
pub(super) fn store_step<T: OpenTransaction>(
    transaction: &T,
    written: Written,
    moved: Moved<'_>,
    now: DateTime<Utc>,
) -> Result<StoredStep, StepError> {
    let id = written.record.id.to_string();
    let place = find_place(transaction.connection(), &id).doing(STORING)?;
    let place = place.unwrap_or_else(|| Place::new(now));
    let (wanted, found) = (written.record.revision.saturating_sub(1), place.revision);
    if found != wanted || found == 0 {
        return Err(NotStoredError::Overtaken { wanted, found }.into());
    }
    put(transaction, written, moved, &place, now)
}

/// Takes back the command of a step that is given up, or that a person says has done
/// nothing.
fn take_back<T: OpenTransaction>(
    transaction: &T,
    Recall { command, decision, though_sent }: Recall,
) -> Result<(), StepError> {
    match recall(transaction, &command, &decision)? {
        Recalled::Taken => Ok(()),
        // One that was purged was sent before.
        Recalled::StillOut(_) | Recalled::NotThere if though_sent => Ok(()),
        Recalled::StillOut(_) | Recalled::NotThere => {
            Err(NotStoredError::StillOut { command }.into())
        }
    }
}

/// Writes a step and sends its commands, in its span.
fn put<T: OpenTransaction>(
    transaction: &T,
    written: Written,
    (mover, cause): Moved<'_>,
    place: &Place,
    now: DateTime<Utc>,
) -> Result<StoredStep, StepError> {
    let (id, workflow) = (written.record.id.clone(), written.record.workflow.clone());
    let span = StepSpan::begin(mover, &workflow, &id, &place.tags);
    let tags = span.tags(&place.tags);
    let stored = span.in_scope(|| {
        let Written { record, commands, recall, entry } = written;
        if let Some(recall) = recall {
            take_back(transaction, recall)?;
        }
        let entry = EntryRow::of_step(entry, &record, &commands, cause, now);
        let rows = Rows::of(record, tags);
        write_step(transaction.connection(), &rows, &entry, now)?;
        for command in commands {
            send(transaction, command, &rows.instance.id, place)?;
        }
        Ok::<_, StepError>(StoredStep::of(id, &rows.instance, &entry))
    })?;
    span.end(stored.step(), stored.what());
    crash_point("before the instance commits");
    Ok(stored)
}

/// Enqueues an event of the instance. One that it has sent before, as under an earlier
/// version of its table, does not leave again.
fn send<T: OpenTransaction>(
    transaction: &T,
    event: Envelope<Pending>,
    instance: &str,
    place: &Place,
) -> Result<(), StepError> {
    let id = event.id().clone();
    let enqueued = enqueue(transaction, dated(event, place.begun_at)?);
    let enqueued = enqueued.map_err(|refused| StepError::Store(refused.into_cause()))?;
    if enqueued == Enqueued::New
        || has_sent(transaction.connection(), instance, place, &id).doing(STORING)?
    {
        return Ok(());
    }
    Err(NotStoredError::EarlierLife { event: id }.into())
}

fn has_sent(
    connection: &Connection,
    instance: &str,
    place: &Place,
    event: &EventId,
) -> rusqlite::Result<bool> {
    let revision = i64::try_from(place.revision).unwrap_or(i64::MAX);
    let mut sent = connection.prepare_cached(HAS_SENT)?;
    sent.query_row(params![instance, revision, event.to_string()], |row| row.get(0))
}

fn write_step(
    connection: &Connection,
    rows: &Rows,
    entry: &EntryRow,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if !write(connection, rows, now).doing(STORING)? {
        let what = "the row was changed by another statement of this transaction";
        return Err(StoreError::of(StoreErrorKind::Busy, STORING, what));
    }
    write_entry(connection, &rows.instance.id, entry).doing(STORING)
}
