//! `StoredStep`: what audit trail and span say of a step, once it is written. The audit
//! line has an event, and here that is the step.

use chrono::{DateTime, Utc};

use super::columns::InstanceRow;
use super::journal::{ByRow, EntryRow};
use crate::audit::{Action, AuditRecord, AuditTrail};
use crate::envelope::to_micros;
use crate::workflow::{Cause, Status};
use crate::{Decision, DeliveryStatus, EventId};

/// A step of an instance, or another entry of its journal, that is written.
#[derive(Debug)]
pub(crate) struct StoredStep {
    instance: EventId,
    workflow: String,
    version: i64,
    revision: i64,
    round: i64,
    action: Action,
    /// The journal's word, and where the entry has led.
    what: &'static str,
    status: String,
    /// The step that it led to; of an end, the one that it left.
    step: String,
    decision: Option<Decision>,
    at: DateTime<Utc>,
}

/// What is read of an instance that is removed.
#[derive(Debug)]
pub(crate) struct GoneRow {
    pub(crate) id: String,
    pub(crate) workflow: String,
    pub(crate) version: i64,
    pub(crate) revision: i64,
    pub(crate) round: i64,
    pub(crate) status: String,
}

impl StoredStep {
    pub(crate) fn of(instance: EventId, row: &InstanceRow, entry: &EntryRow) -> Self {
        let step = entry.to_step.as_ref().or(entry.step.as_ref());
        Self {
            instance,
            workflow: row.workflow.clone(),
            version: row.version,
            revision: entry.revision,
            round: row.round,
            action: action(entry.what, &entry.status),
            what: entry.what.as_str(),
            status: entry.status.clone(),
            step: step.map_or_else(|| "instance".to_owned(), String::clone),
            decision: entry.by.as_ref().and_then(ByRow::decision),
            at: entry.at,
        }
    }

    /// An instance that was over, and is removed.
    pub(crate) fn of_purge(
        instance: EventId,
        gone: GoneRow,
        decision: &Decision,
        at: DateTime<Utc>,
    ) -> Self {
        Self {
            instance,
            workflow: gone.workflow,
            version: gone.version,
            revision: gone.revision,
            round: gone.round,
            action: Action::Purge,
            what: "purged",
            status: gone.status,
            step: "instance".to_owned(),
            decision: Some(decision.clone()),
            at,
        }
    }

    pub(crate) fn step(&self) -> &str {
        &self.step
    }

    pub(crate) const fn what(&self) -> &'static str {
        self.what
    }

    pub(crate) fn record(&self, trail: &AuditTrail) {
        trail.record_with(|system| self.audit(system));
    }

    /// The step as an event: its id is derived from the revision, so that a step that was
    /// rolled back and is taken again is the same.
    fn audit(&self, system: &str) -> AuditRecord {
        let Self { workflow, instance, revision, what, .. } = self;
        let (name, at) = (format!("{instance}/{revision}/{what}"), to_micros(self.at));
        AuditRecord {
            // Neither is empty.
            event_id: EventId::derived(workflow, &name)
                .unwrap_or_else(|_| instance.clone()),
            event_type: format!("{workflow}.{}.{}", self.step, self.status),
            source_system: workflow.clone(),
            correlation_id: Some(format!("{workflow}/{instance}")),
            schema_version: self.version.to_string(),
            created_at: at,
            system: system.to_owned(),
            action: self.action,
            status: DeliveryStatus::Processed,
            attempts: u32::try_from(self.round).unwrap_or(u32::MAX),
            failure: None,
            decision: self.decision.clone(),
            at,
        }
    }
}

/// What was done: by what moved the instance, and else by where it led.
fn action(cause: Cause, status: &str) -> Action {
    match (cause, status.parse()) {
        (Cause::Late, _) => Action::Late,
        (Cause::Voted | Cause::Approved, _) => Action::Approve,
        (Cause::Declined | Cause::Expired, _) => Action::Refuse,
        (Cause::Escalated | Cause::Reminded | Cause::Reassigned, _) => Action::Escalate,
        (
            Cause::Happened | Cause::DidNotHappen | Cause::AskedAgain | Cause::GivenUp,
            _,
        ) => Action::Settle,
        (Cause::Withdrawn | Cause::Amended | Cause::Postponed | Cause::TakenUp, _) => {
            Action::Decide
        }
        (_, Ok(Status::Parked | Status::Stuck)) => Action::Park,
        (_, Ok(Status::Undoing | Status::Undone)) => Action::Undo,
        _ => Action::Proceed,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Protects the people who are accountable from two words for one thing: every cause
    /// has its action.
    #[test]
    fn every_cause_has_its_action() {
        let action = |cause, status: Status| action(cause, status.as_str());
        let by_place = [
            (Status::Awaiting, Action::Proceed),
            (Status::Forestalling, Action::Proceed),
            (Status::Completed, Action::Proceed),
            (Status::Undoing, Action::Undo),
            (Status::Undone, Action::Undo),
            (Status::Parked, Action::Park),
            (Status::Stuck, Action::Park),
        ];
        for (status, expected) in by_place {
            for cause in [Cause::Done, Cause::Refused, Cause::TimedOut, Cause::Cancelled]
            {
                assert_eq!(action(cause, status), expected, "{cause} {status}");
            }
            assert_eq!(action(Cause::Approved, status), Action::Approve);
            assert_eq!(action(Cause::Expired, status), Action::Refuse);
            assert_eq!(action(Cause::Late, status), Action::Late);
            assert_eq!(action(Cause::Reassigned, status), Action::Escalate);
        }
        assert_eq!(action(Cause::GivenUp, Status::GivenUp), Action::Settle);
        assert_eq!(action(Cause::TakenUp, Status::Awaiting), Action::Decide);
    }
}
