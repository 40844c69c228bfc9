//! A step is stored in the caller's transaction of PostgreSQL: the row with its votes, the
//! journal, and what leaves.

use chrono::{DateTime, Utc};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Transaction};

use super::rows::{insert, lock, place_and_time, update};
use crate::crash_point::crash_point;
use crate::outbox::postgres::{OpenTransaction, enqueue, recall};
use crate::outbox::{Enqueued, Recalled};
use crate::state::Pending;
use crate::store::error::Doing;
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
/// An instance of the same id begins once: a second call waits for the first, stores
/// nothing, and nothing leaves.
///
/// # Errors
///
/// [`StepError`], with the step given back. Roll the transaction back.
///
/// A business key is for one life: [`EarlierLife`](NotStoredError::EarlierLife) where an
/// instance of this id ran before and was purged, and the outbox still has its events.
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
        Ok(Some(stored)) => {
            stored.record(config.trail());
            Ok(Begun::New)
        }
        Ok(None) => Ok(Begun::AlreadyThere),
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
    let (_, Some(found)) = find_record(transaction, id.as_event_id()).await? else {
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
        let id = step.id().into_event_id();
        let (at, found) = find_record(transaction, &id).await?;
        let written = step.write(at, config.hours())?;
        let place = found.map(|found| found.place);
        store_step(transaction, written, (Mover::Program, None), place, at).await
    };
    match stored.await {
        Ok(stored) => {
            stored.record(config.trail());
            Ok(())
        }
        Err(cause) => Err(Refused::new(step, cause)),
    }
}

/// An instance as it was found, locked until the transaction ends.
pub(super) struct Found {
    pub(super) record: InstanceRecord,
    pub(super) place: Place,
}

/// What a step is compared with, and what it replaces.
pub(super) struct Place {
    /// That of the row; 0 where there is none yet.
    revision: u64,
    begun_at: DateTime<Utc>,
    tags: String,
    has_votes: bool,
}

impl Place {
    /// Where there is no row yet.
    fn new(at: DateTime<Utc>) -> Self {
        Self { revision: 0, begun_at: at, tags: "{}".to_owned(), has_votes: false }
    }

    fn of(record: &InstanceRecord, begun_at: DateTime<Utc>, tags: String) -> Self {
        let asked = record.question.as_ref().is_some_and(|asked| !asked.votes.is_empty());
        let has_votes = asked || !record.cleared.is_empty();
        Self { revision: record.revision, begun_at, tags, has_votes }
    }
}

/// The instance of this id, if there is one, and the database's time once it is locked.
pub(super) async fn find_record(
    transaction: &Transaction<'_>,
    id: &EventId,
) -> Result<(DateTime<Utc>, Option<Found>), StoreError> {
    let (at, found) = lock(transaction, &id.to_string()).await.doing(LOADING)?;
    let Some((rows, begun_at)) = found else { return Ok((at, None)) };
    let tags = rows.instance.tags.clone();
    match rows.read() {
        Ok(record) => {
            let place = Place::of(&record, begun_at, tags);
            Ok((at, Some(Found { record, place })))
        }
        Err(why) => Err(StoreError::of(StoreErrorKind::Unreadable, LOADING, why)),
    }
}

/// Who has the step taken, and the event that caused it, where one did.
pub(super) type Moved<'a> = (Mover, Option<&'a Facts<RawEvent>>);

/// Stores the first step; nothing where the instance was there before.
async fn begin_step(
    transaction: &Transaction<'_>,
    written: Written,
    at: DateTime<Utc>,
) -> Result<Option<StoredStep>, StepError> {
    if written.record.revision > 1 {
        let wanted = written.record.revision.saturating_sub(1);
        return Err(NotStoredError::Overtaken { wanted, found: 0 }.into());
    }
    let place = Place::new(at);
    put(transaction, written, (Mover::Program, None), &place, at).await
}

/// Stores a step that a program, an event or a deadline has caused, where it was taken
/// from the revision that was found.
pub(super) async fn store_step(
    transaction: &Transaction<'_>,
    written: Written,
    moved: Moved<'_>,
    found: Option<Place>,
    at: DateTime<Utc>,
) -> Result<StoredStep, StepError> {
    let place = found.unwrap_or_else(|| Place::new(at));
    let (wanted, found) = (written.record.revision.saturating_sub(1), place.revision);
    if found != wanted || found == 0 {
        return Err(NotStoredError::Overtaken { wanted, found }.into());
    }
    let stored = put(transaction, written, moved, &place, at).await?;
    stored.ok_or_else(|| {
        let what = "the row was changed by another statement of this transaction";
        StoreError::of(StoreErrorKind::Busy, STORING, what).into()
    })
}

/// Writes a step and sends its commands, in its span; nothing where its row is another's.
async fn put(
    transaction: &Transaction<'_>,
    written: Written,
    (mover, cause): Moved<'_>,
    place: &Place,
    at: DateTime<Utc>,
) -> Result<Option<StoredStep>, StepError> {
    let (id, workflow) = (written.record.id.clone(), written.record.workflow.clone());
    let span = StepSpan::begin(mover, &workflow, &id, &place.tags);
    let tags = span.tags(&place.tags);
    let work = async {
        let Written { record, commands, recall, entry } = written;
        if let Some(recall) = recall {
            take_back(transaction, recall).await?;
        }
        let entry = EntryRow::of_step(entry, &record, &commands, cause, at);
        let rows = Rows::of(record, tags);
        let sent = send(transaction, commands, &rows.instance.id, place);
        let is_written = if place.revision == 0 {
            let is_new = insert(transaction, &rows, &entry).await.doing(STORING)?;
            if is_new {
                sent.await?;
            }
            is_new
        } else {
            // On their way together: the row is locked, and what fails is rolled back.
            let updated = async {
                let updated = update(transaction, &rows, &entry, place.has_votes).await;
                Ok(updated.doing(STORING)?)
            };
            tokio::try_join!(biased; updated, sent)?.0
        };
        if !is_written {
            return Ok::<_, StepError>(None);
        }
        Ok(Some(StoredStep::of(id, &rows.instance, &entry)))
    };
    // Boxed: it holds all that a step writes, inside the futures of whoever receives.
    let stored = span.instrument(Box::pin(work)).await?;
    match &stored {
        Some(step) => {
            span.end(step.step(), step.what());
            crash_point("before the instance commits");
        }
        None => span.end("", "already_there"),
    }
    Ok(stored)
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

/// Enqueues events of the instance. One that it has sent before, as under an earlier
/// version of its table, does not leave again.
async fn send(
    transaction: &Transaction<'_>,
    events: Vec<Envelope<Pending>>,
    instance: &str,
    place: &Place,
) -> Result<(), StepError> {
    for event in events {
        let id = event.id().clone();
        let enqueued = enqueue(transaction, dated(event, place.begun_at)?).await;
        let enqueued =
            enqueued.map_err(|refused| StepError::Store(refused.into_cause()))?;
        if enqueued == Enqueued::Duplicate
            && !has_sent(transaction, instance, place, &id).await.doing(STORING)?
        {
            return Err(NotStoredError::EarlierLife { event: id }.into());
        }
    }
    Ok(())
}

async fn has_sent(
    transaction: &Transaction<'_>,
    instance: &str,
    place: &Place,
    event: &EventId,
) -> Result<bool, Error> {
    let revision = i64::try_from(place.revision).unwrap_or(i64::MAX);
    let values: [(&(dyn ToSql + Sync), Type); 3] = [
        (&instance, Type::TEXT),
        (&revision, Type::INT8),
        (&event.to_string(), Type::TEXT),
    ];
    transaction.query_typed_one(HAS_SENT, &values).await?.try_get(0)
}
