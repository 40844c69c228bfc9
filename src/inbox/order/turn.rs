//! Whose turn it is: what the inbox knows of an event's predecessor, and whether the
//! event may be handled.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{ByKey, OnMissing};
use crate::envelope::KEY_AFTER;
use crate::outbox::OnDeadLetter;
use crate::{DeliveryStatus, Facts, RawEvent};

/// The id of the predecessor that an event names. One that names itself has none.
pub(crate) fn after(event: &Facts<RawEvent>) -> Option<&str> {
    let after = event.tags().get(KEY_AFTER)?.as_str();
    Some(after).filter(|after| !after.is_empty() && *after != event.id().to_string())
}

/// What the inbox knows of an event's predecessor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// It has not come.
    Missing,
    /// It failed, and its broker is to deliver it again.
    Retrying,
    /// The inbox holds it as well.
    Held,
    /// It is a dead letter.
    Dead,
    /// It was handled, or a person discarded it.
    Done,
}

impl Before {
    /// Reads the status of its row, and whether the inbox holds it.
    pub(crate) fn of(status: &str, is_held: bool) -> Self {
        match status.parse() {
            Ok(DeliveryStatus::Retrying) if is_held => Self::Held,
            Ok(DeliveryStatus::Retrying) => Self::Retrying,
            Ok(DeliveryStatus::Failed) => Self::Dead,
            _ => Self::Done,
        }
    }
}

/// Whether an event may be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Now,
    /// Its patience has ended, and this is what follows.
    Overdue(OnMissing),
    NotYet,
}

/// Decides whether an event that has waited this long may be handled. Without an order
/// it always may: the setting was removed while the inbox held it.
pub(crate) fn turn(order: Option<&ByKey>, before: Before, waited: Duration) -> Turn {
    let Some(order) = order else { return Turn::Now };
    match (before, order.on_dead_letter) {
        (Before::Done, _) | (Before::Dead, OnDeadLetter::Skip) => Turn::Now,
        // A held predecessor ends by itself, and a dead letter by a person's decision.
        (Before::Held, _) | (Before::Dead, OnDeadLetter::Block) => Turn::NotYet,
        (Before::Missing | Before::Retrying, _) if waited < order.patience => {
            Turn::NotYet
        }
        (Before::Missing | Before::Retrying, _) => Turn::Overdue(order.on_missing),
    }
}

/// The SQL condition that the turn of a row of `inbox_event AS held` has come.
pub(crate) fn turn_sql(order: Option<&ByKey>) -> String {
    let Some(order) = order else { return "TRUE".to_owned() };
    let done = match order.on_dead_letter {
        OnDeadLetter::Block => "'processed', 'skipped'",
        OnDeadLetter::Skip => "'processed', 'skipped', 'failed'",
    };
    format!(
        "EXISTS (SELECT 1 FROM inbox_event AS before \
           WHERE before.source_system = held.source_system \
           AND before.id = held.held_after AND before.status IN ({done}))"
    )
}

/// When the worker looks at a waiting event again, if nothing makes it due before.
pub(crate) fn looked_at(order: Option<&ByKey>, now: DateTime<Utc>) -> DateTime<Utc> {
    let patience = order.map_or(Duration::from_secs(60), |order| order.patience);
    let patience = TimeDelta::from_std(patience).unwrap_or(TimeDelta::MAX);
    now.checked_add_signed(patience).unwrap_or(now)
}
