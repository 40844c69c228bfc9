//! What people change by hand: a deadline, whom a question asks, an instance whose turn
//! has failed, and what is over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Desk, DeskError, PAGE};
use crate::store::StoreError;
use crate::workflow::durable::journal::ByRow;
use crate::workflow::durable::stored::StoredStep;
use crate::workflow::durable::{StepError, WorkflowConfig, WorkflowDatabase};
use crate::workflow::{Driven, InstanceRecord, Intervention, NotStoredError, Written};
use crate::{Decision, EventId, Refused};

/// What a desk makes of an instance that a database has found and holds.
pub(crate) type Take = Box<
    dyn FnOnce(Option<InstanceRecord>, DateTime<Utc>) -> Result<Written, DeskError>
        + Send,
>;

/// An intervention, with the decision behind it.
#[derive(Clone)]
pub(super) struct Order {
    intervention: Intervention,
    decision: Decision,
}

impl<D: WorkflowDatabase> Desk<D> {
    /// Moves the deadline of an instance to another moment, be it later or earlier: of a
    /// question, the end of the level that is asked, which is not reminded any more. What
    /// was asked stays asked, and nothing leaves. A moment that has passed has a clerk look
    /// at once.
    ///
    /// `revision` is that of the [view](super::InstanceView) on which the decision rests.
    ///
    /// # Errors
    ///
    /// [`DeskError`], among them that the instance has moved since, or is over.
    pub async fn postpone(
        &self,
        id: &EventId,
        revision: i64,
        until: DateTime<Utc>,
        decision: &Decision,
    ) -> Result<(), DeskError> {
        self.intervene(id, revision, Intervention::Postpone(until), decision).await
    }

    /// Asks the next level of the chain at once: the question that is open is closed, and
    /// a new one asked, with a deadline of its own. The votes stand. For one person who is
    /// away another decides [in their place](crate::workflow::Seat::instead_of); there is
    /// nobody behind the last level, and then the order is refused.
    ///
    /// `revision` is that of the [view](super::InstanceView) on which the decision rests.
    ///
    /// # Errors
    ///
    /// [`DeskError`], among them that the instance has moved since, or asks nobody.
    pub async fn reassign(
        &self,
        id: &EventId,
        revision: i64,
        decision: &Decision,
    ) -> Result<(), DeskError> {
        self.intervene(id, revision, Intervention::Reassign, decision).await
    }

    async fn intervene(
        &self,
        id: &EventId,
        revision: i64,
        intervention: Intervention,
        decision: &Decision,
    ) -> Result<(), DeskError> {
        let (tables, config) = (self.tables.clone(), self.config.clone());
        let order = Order { intervention, decision: decision.clone() };
        let wanted = u64::try_from(revision).unwrap_or_default();
        let id_of = id.clone();
        let take = move |record: Option<InstanceRecord>, now: DateTime<Utc>| {
            let record = record.ok_or(DeskError::NoSuchInstance { found: id_of })?;
            let Some(table) = tables.get(record.workflow.as_str()) else {
                return Err(DeskError::OtherTable { workflow: record.workflow });
            };
            let found = record.revision;
            if found != wanted {
                return Err(NotStoredError::Overtaken { wanted, found }.into());
            }
            (table.intervene)(record, order, &config, now)
        };
        let stored = self.database.step(id, Box::new(take)).await?;
        stored.record(self.config.trail());
        Ok(())
    }

    /// Has a clerk look at once at an instance whose turn has failed, after a repair: its
    /// failures are forgotten, its deadline stands, and its journal keeps the decision.
    /// False where there is no such one.
    ///
    /// # Errors
    ///
    /// What the database answers.
    pub async fn take_up(
        &self,
        id: &EventId,
        decision: &Decision,
    ) -> Result<bool, StoreError> {
        let by = ByRow::of(decision.clone().into());
        let taken_up = self.database.take_up(id, by).await?;
        if let Some(entry) = &taken_up {
            entry.record(self.config.trail());
        }
        Ok(taken_up.is_some())
    }

    /// Removes up to `most` instances that ended longer than `age` ago, with their votes
    /// and their journals, and says how many: call it until it says less than `most`.
    ///
    /// A business key is for one life. An id that is purged is unknown, and a reply to it
    /// is a dead letter; begun again, its commands have the ids of the first life, which
    /// outbox and participants take for duplicates. So let `age` be longer than any source
    /// may begin the same business twice or answer late, than the outbox keeps its events
    /// (`begin` refuses the id until they are purged), and than the window of every
    /// participant's inbox. What is purged has no journal any more: the [audit
    /// trail](WorkflowConfig::with_audit_trail) keeps the decision, for each.
    ///
    /// # Errors
    ///
    /// What the database answers. The pages that were removed before stay removed.
    pub async fn purge(
        &self,
        age: Duration,
        most: usize,
        decision: &Decision,
    ) -> Result<usize, StoreError> {
        let mut gone = 0_usize;
        while gone < most {
            let page = PAGE.min(most.saturating_sub(gone));
            let removed = self.database.purge(age, page).await?;
            let count = removed.len();
            for row in removed {
                let Ok(id) = row.id.parse::<EventId>() else { continue };
                let purged = StoredStep::of_purge(id, row, decision, Utc::now());
                purged.record(self.config.trail());
            }
            gone = gone.saturating_add(count);
            if count < page {
                break;
            }
        }
        Ok(gone)
    }
}

/// The step of an order, as it is stored. Here runs the program's own code.
pub(super) fn intervene<W: Driven>(
    record: InstanceRecord,
    Order { intervention, decision }: Order,
    config: &WorkflowConfig,
    now: DateTime<Utc>,
) -> Result<Written, DeskError> {
    let taken = catch_unwind(AssertUnwindSafe(|| {
        let at = W::rehydrate(record).map_err(Refused::into_cause);
        let step = W::intervene(at.map_err(DeskError::Row)?, intervention, decision);
        let step = step.map_err(|refused| DeskError::NotDecided(refused.into_cause()))?;
        let written = config.put(step).write(now, config.hours());
        written.map_err(|error| StepError::from(error).into())
    }));
    taken.unwrap_or(Err(DeskError::Panicked))
}
