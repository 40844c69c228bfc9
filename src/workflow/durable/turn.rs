//! A clerk's turn with an instance whose time has passed: what it becomes, when one that
//! fails is looked at again, and what the clerk reports.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, TimeDelta, Utc};

use super::{FIRING, StepError, WorkflowConfig};
use crate::inbox::is_of_the_database;
use crate::reason::reason;
use crate::relay::Outage;
use crate::store::{LAST_DUE, StoreError};
use crate::workflow::{Driven, InstanceRecord, Verdict, Written};
use crate::{EventId, RetryPolicy};

/// What a clerk did, in one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClerkSummary {
    /// Deadlines that have moved their instance.
    pub moved: u64,
    /// Turns that failed: their instances are as they were, and are looked at again.
    pub failed: u64,
}

/// What went wrong without stopping a clerk.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClerkIncident {
    /// The turn of an instance failed. It is as it was, and is looked at again.
    Failed {
        /// The workflow.
        workflow: String,
        /// The instance.
        instance: String,
        /// How often its turn has failed in a row.
        failures: u32,
        /// Why.
        reason: String,
        /// When it is looked at again.
        again_at: DateTime<Utc>,
    },
    /// The clerk was given no table of a workflow, and so it ends: it would move nothing.
    NoTable,
    /// The database does not do what the clerk asks, and is tried again. Reported once for
    /// each new reason, then once a minute.
    Outage(Outage),
    /// That has ended: after the [grace](super::Clerk::grace), a turn was taken.
    Recovered(Outage),
}

impl fmt::Display for ClerkIncident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { workflow, instance, failures, reason, again_at } => write!(
                f,
                "the deadline of {workflow} {instance} has passed, and its turn failed \
                 ({failures} in a row; again at {}): {reason}",
                again_at.format("%Y-%m-%d %H:%M:%S UTC")
            ),
            Self::NoTable => f.write_str(
                "the clerk ends, since it knows no workflow and would move nothing: give \
                 it each table with `of`",
            ),
            Self::Outage(outage) => outage.describe("clerk", f),
            Self::Recovered(Outage { lasted, failures, .. }) => write!(
                f,
                "the clerk goes on: the store answers again at {FIRING}, after {lasted:.0?} \
                 and {failures} failed tries"
            ),
        }
    }
}

/// What the turn of one instance came to.
pub(super) enum Turned {
    /// It has moved.
    Moved,
    /// It is as it was.
    Failed(ClerkIncident),
}

impl Turned {
    /// The instance, if its turn failed.
    pub(super) fn failed(&self) -> Option<&str> {
        match self {
            Self::Failed(ClerkIncident::Failed { instance, .. }) => Some(instance),
            _ => None,
        }
    }
}

/// An instance whose time has passed.
pub(super) struct Due {
    pub(super) id: String,
    pub(super) workflow: String,
    /// How often its turn has failed in a row.
    pub(super) failures: u32,
}

impl Due {
    /// The same after another failure: how often by now, and when it is looked at again.
    /// A clerk never gives one up: it is listed until somebody repairs it.
    pub(super) fn failed(
        self,
        reason: String,
        policy: &RetryPolicy,
        now: DateTime<Utc>,
    ) -> Failed {
        let wait = match self.id.parse::<EventId>() {
            Ok(id) => policy.wait_for(&id, self.failures),
            Err(_) => policy.wait(self.failures),
        };
        let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
        let again_at = now.checked_add_signed(wait).unwrap_or(LAST_DUE).min(LAST_DUE);
        let failures = self.failures.saturating_add(1);
        Failed { id: self.id, workflow: self.workflow, failures, reason, again_at }
    }
}

/// A turn that failed, as it is stored and reported.
pub(super) struct Failed {
    pub(super) id: String,
    workflow: String,
    pub(super) failures: u32,
    pub(super) reason: String,
    pub(super) again_at: DateTime<Utc>,
}

impl From<Failed> for Turned {
    fn from(failed: Failed) -> Self {
        let Failed { id: instance, workflow, failures, reason, again_at } = failed;
        Self::Failed(ClerkIncident::Failed {
            workflow,
            instance,
            failures,
            reason,
            again_at,
        })
    }
}

/// Why an instance did not take its turn.
pub(super) enum TurnError {
    /// The database refuses what it would refuse of any instance.
    Store(StoreError),
    /// It is this instance's own.
    Failed(String),
}

impl From<StoreError> for TurnError {
    fn from(error: StoreError) -> Self {
        if is_of_the_database(&error) {
            Self::Store(error)
        } else {
            Self::Failed(without_rows(reason(&error)))
        }
    }
}

/// The words of a database without the row that they are about: PostgreSQL shows all of
/// one that it refuses.
fn without_rows(mut reason: String) -> String {
    reason.truncate(reason.find("\nDETAIL:").unwrap_or(reason.len()));
    reason
}

impl From<StepError> for TurnError {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Store(error) => error.into(),
            error => Self::Failed(reason(&error)),
        }
    }
}

/// The step of an instance whose deadline has passed, as it is stored. Here runs all of
/// the program's own code (steps, data, calendar, directory): what it does wrong is a
/// failed turn of this instance alone.
///
/// # Errors
///
/// Why it takes none, in words.
pub(super) fn fire<W: Driven>(
    record: InstanceRecord,
    config: &WorkflowConfig,
    now: DateTime<Utc>,
) -> Result<Written, String> {
    let fired = catch_unwind(AssertUnwindSafe(|| {
        let at = W::rehydrate(record).map_err(|refused| reason(refused.cause()))?;
        let Verdict::Moved(step) = W::due(at) else {
            return Err("it has a deadline, and is over".to_owned());
        };
        let written = config.put(step).write(now, config.hours());
        written.map_err(|error| reason(&error))
    }));
    // What a panic says may quote the data; the program's own hook has printed it.
    fired.unwrap_or_else(|_| Err("the code of the step panicked".to_owned()))
}
