//! What one step changes in the row of an event, whichever the database: for a
//! settlement, the sweep, and a person.

use chrono::{DateTime, Utc};

use super::blocked::frees;
use super::claim::{After, Settlement};
use crate::audit::Action;
use crate::envelope::{Facts, Payload};
use crate::store::{LAST_DUE, Said, write_tags};
use crate::{AnyEnvelope, DeliveryStatus, FailureClass};

/// The columns after a step. What is `None` stays as it is, but for `due_at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) status: DeliveryStatus,
    pub(crate) tags: Option<String>,
    pub(crate) failure: Option<Said>,
    /// When it is due again; nothing where it is not.
    pub(crate) due_at: Option<DateTime<Utc>>,
    pub(crate) history: Option<Entry>,
    /// The ordering key whose next event need not wait for this one any more.
    pub(crate) frees: Option<String>,
}

/// An entry of the history: the attempt that the row forgets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) action: Action,
    pub(crate) reason: String,
    /// Who did it, where it was not the holder of the claim.
    pub(crate) by: Option<String>,
}

/// What a settlement does to the row of its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The lifecycle goes on.
    Stepped(Change),
    /// Nothing was sent, for this reason: the row goes to where it was before the claim.
    Released(String),
}

/// What shows, beside the moment of its claim, that a settlement is stored: an earlier
/// call may have stored it whose answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trace {
    /// The state of the row.
    Row(DeliveryStatus),
    /// An entry of the history.
    History(Action),
}

impl Trace {
    /// The state, or the action, as the columns hold them.
    pub(crate) const fn columns(self) -> (Option<&'static str>, Option<&'static str>) {
        match self {
            Self::Row(status) => (Some(status.as_str()), None),
            Self::History(action) => (None, Some(action.as_str())),
        }
    }
}

impl Settled {
    pub(crate) fn of(settlement: &Settlement) -> Self {
        match &settlement.after {
            After::Released(_, reason) => Self::Released(reason.clone()),
            After::Step(event) => {
                let change = Change::of_step(event);
                Self::Stepped(change.due(settlement.next_attempt_at()))
            }
        }
    }

    /// What it leaves behind once it is stored.
    pub(crate) fn trace(&self) -> Trace {
        match self {
            Self::Stepped(Change { history: None, status, .. }) => Trace::Row(*status),
            Self::Stepped(Change { history: Some(entry), .. }) => {
                Trace::History(entry.action)
            }
            Self::Released(_) => Trace::History(Action::Release),
        }
    }

    /// What changes, unless the event was released.
    pub(crate) const fn change(&self) -> Option<&Change> {
        match self {
            Self::Stepped(change) => Some(change),
            Self::Released(_) => None,
        }
    }
}

impl Change {
    fn of_step(event: &AnyEnvelope) -> Self {
        let status = event.status();
        let frees = frees(event).map(str::to_owned);
        let change = Self {
            status,
            tags: None,
            failure: None,
            due_at: None,
            history: None,
            frees,
        };
        match event {
            AnyEnvelope::Retrying(event) => {
                change.failed(event).due(Some(event.next_attempt_at()))
            }
            AnyEnvelope::Failed(event) => change.failed(event),
            AnyEnvelope::Skipped(event) => {
                Self { tags: Some(write_tags(event.tags().clone())), ..change }
            }
            _ => change,
        }
    }

    fn due(self, at: Option<DateTime<Utc>>) -> Self {
        Self { due_at: at.map(|at| at.min(LAST_DUE)), ..self }
    }

    fn failed<P: Payload>(self, event: &Facts<P>) -> Self {
        let Some(failure) = event.failure() else { return self };
        let action = match failure.class {
            FailureClass::Transient => Action::Fail,
            FailureClass::Permanent => Action::Reject,
        };
        Self {
            failure: Some(Said {
                what: failure.class.as_str().to_owned(),
                reason: failure.reason.clone(),
                at: failure.at,
            }),
            history: Some(Entry { action, reason: failure.reason.clone(), by: None }),
            ..self
        }
    }

    /// A lease that ended is a failed attempt that somebody else found.
    pub(crate) fn of_expired(event: &AnyEnvelope, found_by: &str) -> Self {
        let change = Self::of_step(event);
        let history = change.history.clone().map(|history| Entry {
            action: Action::Expire,
            by: Some(found_by.to_owned()),
            ..history
        });
        Self { history, ..change }
    }

    /// Whether the event is done with: acknowledged, processed or skipped.
    pub(crate) const fn is_done(&self) -> bool {
        use DeliveryStatus::{Acknowledged, Processed, Skipped};
        matches!(self.status, Acknowledged | Processed | Skipped)
    }
}

/// Why an expired attempt failed.
pub(crate) fn expiry_reason(claimed_by: Option<&str>) -> String {
    format!(
        "the lease of {} ended before the send was settled",
        claimed_by.unwrap_or("an unknown relay")
    )
}
