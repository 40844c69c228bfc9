//! The inbox as people see it: how much there is in each state, and what waits for a
//! delivery that may never come.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::outbox::columns::Row;
use crate::outbox::{DeadLetter, StoreError};
use crate::state::Retrying;
use crate::{DeliveryStatus, Envelope};

/// How much an inbox holds.
///
/// ```
/// use integration_automation_patterns::DeliveryStatus;
/// use integration_automation_patterns::inbox::Counts;
///
/// let mut counts = Counts::default();
/// counts.by_status.insert(DeliveryStatus::Retrying, 3);
/// assert_eq!(
///     (counts.of(DeliveryStatus::Retrying), counts.of(DeliveryStatus::Failed)),
///     (3, 0)
/// );
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// The events in each state; a state without any is left out.
    pub by_status: BTreeMap<DeliveryStatus, u64>,
    /// Those of the retrying ones that are [stalled](Stalled).
    pub stalled: u64,
}

impl Counts {
    /// The events in one state.
    pub fn of(&self, status: DeliveryStatus) -> u64 {
        self.by_status.get(&status).copied().unwrap_or(0)
    }

    /// Of rows that say a state, how many events are in it, and how many of them are
    /// stalled.
    pub(crate) fn of_rows(rows: Vec<(String, i64, i64)>) -> Result<Self, StoreError> {
        let mut counts = Self::default();
        for (status, count, old) in rows {
            let status: DeliveryStatus =
                status.parse().map_err(|error| StoreError::new(COUNTING, error))?;
            counts.by_status.insert(status, u64::try_from(count).unwrap_or_default());
            if status == DeliveryStatus::Retrying {
                counts.stalled = u64::try_from(old).unwrap_or_default();
            }
        }
        Ok(counts)
    }
}

/// What is being done, in the words of an error.
pub(crate) const COUNTING: &str = "counting the inbox's events";

/// An event that waits for another delivery, and has waited for longer than its policy's
/// attempts take: the broker has dropped it (by a limit of its own, by its age, in a
/// purge), or is about to deliver it after an outage.
///
/// Redriven or discarded, it is known, and a delivery that comes all the same is a
/// duplicate.
#[derive(Debug)]
#[non_exhaustive]
pub struct Stalled {
    /// The event, with its last failure.
    pub event: Envelope<Retrying>,
    /// When it was first received, by the database's clock.
    pub received_at: DateTime<Utc>,
}

/// Those rows, each with the time when it was received, that are events.
pub(crate) fn stalled(rows: Vec<(Row, DateTime<Utc>)>) -> Vec<Stalled> {
    let read = |(row, received_at): (Row, _)| {
        Some(Stalled { event: row.read_in().ok()?, received_at })
    };
    rows.into_iter().filter_map(read).collect()
}

/// The same, of dead letters.
pub(crate) fn dead_letters(rows: Vec<(Row, DateTime<Utc>)>) -> Vec<DeadLetter> {
    let read = |(row, received_at): (Row, _)| {
        Some(DeadLetter { event: row.read_in().ok()?, first_sent_at: Some(received_at) })
    };
    rows.into_iter().filter_map(read).collect()
}
