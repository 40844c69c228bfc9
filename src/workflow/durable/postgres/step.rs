//! A step is stored in the caller's transaction of PostgreSQL: the row with its votes, the
//! journal, and what leaves.

use chrono::{DateTime, Utc};
use tokio_postgres::{Error, Transaction};

use super::rows::{check_place, insert, lock, now, update, write_entry};
use crate::crash_point::crash_point;
use crate::outbox::Recalled;
use crate::outbox::postgres::{OpenTransaction, enqueue, recall};
use crate::state::Pending;
use crate::store::error::Doing;
use crate::store::{StoreError, StoreErrorKind};
use crate::workflow::durable::columns::Rows;
use crate::workflow::durable::dated::dated;
use crate::workflow::durable::journal::EntryRow;
use crate::workflow::durable::{LOADING, LoadError, STORING, StepError, WorkflowConfig};
use crate::workflow::{
    AnyAdvance, Begun, Driven, InstanceId, InstanceRecord, NotStoredError, Recall,
    Workflow, Written,
};
use crate::{Envelope, EventId, Facts, RawEvent, Refused};

/// Begins an instance, in the caller's open transaction: its row is stored and its first
/// command enqueued, once the business change is committed.
///
/// An instance of the same id begins once: a second call waits for the first, stores
/// nothing, and nothing leaves.
///
/// # Errors
///
/// [`StepError`], with the step given back. Roll the transaction back.
pub async fn begin<W: Workflow, T: OpenTransaction<Via>, Via>(
    transaction: &T,
    first: impl Into<AnyAdvance<W>>,
    config: &WorkflowConfig,
) -> Result<Begun, Refused<AnyAdvance<W>, StepError>> {
    let (transaction, first) = (transaction.transaction(), config.put(first.into()));
    let begun = async {
        let at = place_and_time(transaction).await.doing(STORING)?;
        begin_step(transaction, first.write(at, config.hours())?, at).await
    };
    match begun.await {
        Ok(begun) => Ok(begun),
        Err(cause) => Err(Refused::new(first, cause)),
    }
}

/// The instance of this id, in the caller's open transaction, whose row is locked until
/// the transaction ends; nothing where there is none.
///
/// # Errors
///
/// [`LoadError`], where the row is no instance of this table.
pub async fn load<W: Driven, T: OpenTransaction<Via>, Via>(
    transaction: &T,
    id: &InstanceId<W>,
) -> Result<Option<W::Any>, LoadError> {
    let transaction = transaction.transaction();
    check_place(transaction).await.doing(LOADING)?;
    let Some(found) = find_record(transaction, id.as_event_id()).await? else {
        return Ok(None);
    };
    let at = W::rehydrate(found.record);
    at.map(Some).map_err(|refused| LoadError::Row(refused.into_cause()))
}

/// Stores a step of an instance that is there, in the caller's open transaction: its row,
/// its journal, and what leaves, or nothing of it.
///
/// # Errors
///
/// [`StepError`], with the step given back: [`Overtaken`](NotStoredError::Overtaken) where
/// somebody else has moved the instance. Roll the transaction back.
pub async fn store<W: Workflow, T: OpenTransaction<Via>, Via>(
    transaction: &T,
    step: impl Into<AnyAdvance<W>>,
    config: &WorkflowConfig,
) -> Result<(), Refused<AnyAdvance<W>, StepError>> {
    let (transaction, step) = (transaction.transaction(), config.put(step.into()));
    let stored = async {
        let at = place_and_time(transaction).await.doing(STORING)?;
        let id = step.id().into_event_id();
        let found = find_record(transaction, &id).await?;
        let written = step.write(at, config.hours())?;
        store_step(transaction, written, found.as_ref().map(Found::place), None, at).await
    };
    match stored.await {
        Ok(()) => Ok(()),
        Err(cause) => Err(Refused::new(step, cause)),
    }
}

/// Refuses a search path whose first schema has no workflows; and the database's time.
pub(super) async fn place_and_time(
    transaction: &Transaction<'_>,
) -> Result<DateTime<Utc>, Error> {
    check_place(transaction).await?;
    now(transaction).await
}

/// An instance as it was found, locked until the transaction ends.
pub(super) struct Found {
    pub(super) record: InstanceRecord,
    pub(super) begun_at: DateTime<Utc>,
}

/// The revision of an instance, and when it began.
pub(super) type Place = (u64, DateTime<Utc>);

impl Found {
    pub(super) fn place(&self) -> Place {
        (self.record.revision, self.begun_at)
    }

    pub(super) fn record(self) -> InstanceRecord {
        self.record
    }
}

pub(super) async fn find_record(
    transaction: &Transaction<'_>,
    id: &EventId,
) -> Result<Option<Found>, StoreError> {
    let found = lock(transaction, &id.to_string()).await.doing(LOADING)?;
    let Some((rows, begun_at)) = found else { return Ok(None) };
    match rows.read() {
        Ok(record) => Ok(Some(Found { record, begun_at })),
        Err(why) => Err(StoreError::of(StoreErrorKind::Unreadable, LOADING, why)),
    }
}

async fn begin_step(
    transaction: &Transaction<'_>,
    Written { record, commands, entry, .. }: Written,
    at: DateTime<Utc>,
) -> Result<Begun, StepError> {
    if record.revision > 1 {
        let wanted = record.revision.saturating_sub(1);
        return Err(NotStoredError::Overtaken { wanted, found: 0 }.into());
    }
    let entry = EntryRow::of_step(entry, &record, &commands, None, at);
    let rows = Rows::of(record);
    if !insert(transaction, &rows, at).await.doing(STORING)? {
        return Ok(Begun::AlreadyThere);
    }
    write_entry(transaction, &rows.instance.id, &entry).await.doing(STORING)?;
    send(transaction, commands, at).await?;
    Ok(Begun::New)
}

/// Stores a step that a program, an event or a deadline has caused, where it was taken
/// from the revision that was found.
pub(super) async fn store_step(
    transaction: &Transaction<'_>,
    Written { record, commands, recall, entry }: Written,
    found: Option<Place>,
    cause: Option<&Facts<RawEvent>>,
    at: DateTime<Utc>,
) -> Result<(), StepError> {
    let (found, begun_at) = found.unwrap_or((0, at));
    let wanted = record.revision.saturating_sub(1);
    if found != wanted || found == 0 {
        return Err(NotStoredError::Overtaken { wanted, found }.into());
    }
    if let Some(recall) = recall {
        take_back(transaction, recall).await?;
    }
    let entry = EntryRow::of_step(entry, &record, &commands, cause, at);
    let rows = Rows::of(record);
    if !update(transaction, &rows, at).await.doing(STORING)? {
        let what = "the row was changed by another statement of this transaction";
        return Err(StoreError::of(StoreErrorKind::Busy, STORING, what).into());
    }
    write_entry(transaction, &rows.instance.id, &entry).await.doing(STORING)?;
    send(transaction, commands, begun_at).await
}

/// Takes back the command of a step that is given up, or that a person says has done
/// nothing.
async fn take_back(
    transaction: &Transaction<'_>,
    Recall { command, decision, though_sent }: Recall,
) -> Result<(), StepError> {
    match recall(transaction, &command, &decision).await? {
        Recalled::Taken => Ok(()),
        // One that was purged was sent before.
        Recalled::StillOut(_) | Recalled::NotThere if though_sent => Ok(()),
        Recalled::StillOut(_) | Recalled::NotThere => {
            Err(NotStoredError::StillOut { command }.into())
        }
    }
}

async fn send(
    transaction: &Transaction<'_>,
    commands: Vec<Envelope<Pending>>,
    begun_at: DateTime<Utc>,
) -> Result<(), StepError> {
    for command in commands {
        let enqueued = enqueue(transaction, dated(command, begun_at)?).await;
        enqueued.map_err(|refused| StepError::Store(refused.into_cause()))?;
    }
    crash_point("before the instance commits");
    Ok(())
}
