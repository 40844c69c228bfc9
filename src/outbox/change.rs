//! What a step changes in the row of an event, in either database: a settlement, the end
//! of a lease, or a person's decision.

use chrono::{DateTime, Utc};

use super::blocked::frees;
use super::claim::{After, Settlement};
use crate::audit::Action;
use crate::envelope::{Facts, Payload};
use crate::store::{LAST_DUE, Said, write_tags};
use crate::{AnyEnvelope, DeliveryStatus, FailureClass};

/// The columns after a step. `None` leaves a column as it is, except `due_at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) status: DeliveryStatus,
    pub(crate) tags: Option<String>,
    pub(crate) failure: Option<Said>,
    /// When it is due again, if it is.
    pub(crate) due_at: Option<DateTime<Utc>>,
    pub(crate) history: Option<Entry>,
    /// The ordering key that goes on after this event.
    pub(crate) frees: Option<String>,
}

/// An entry of the history: the attempt that the row forgets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) action: Action,
    pub(crate) reason: String,
    /// Who did it, if not the holder of the claim.
    pub(crate) by: Option<String>,
}

/// What a settlement does to the row of its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The event takes a step of its lifecycle.
    Stepped(Change),
    /// Nothing was sent, for this reason: the row goes back to where it was.
    Released(String),
}

/// The trace that a stored settlement leaves beside the time of its claim. An earlier
/// call may have stored it, and its answer been lost.
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

    /// The trace that it leaves once it is stored.
    pub(crate) fn trace(&self) -> Trace {
        match self {
            Self::Stepped(Change { history: None, status, .. }) => Trace::Row(*status),
            Self::Stepped(Change { history: Some(entry), .. }) => {
                Trace::History(entry.action)
            }
            Self::Released(_) => Trace::History(Action::Release),
        }
    }

    /// The change, unless the event was released.
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

    /// The change of an event whose lease has ended: a failed attempt, found by another
    /// relay.
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
