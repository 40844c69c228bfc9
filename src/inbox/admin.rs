//! The inbox as people see it: how much there is in each state, what it remembers of one
//! event, and what waits for a person.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::intake::Found;
use crate::audit::{Action, AuditTrail};
use crate::outbox::columns::{Row, Said};
use crate::outbox::{DeadLetter, StoreError};
use crate::state::{Failed, Retrying, Skipped};
use crate::{AnyEnvelope, Decision, DeliveryStatus, Envelope, FailureClass};

/// What an error says was being done.
pub(crate) const COUNTING: &str = "counting the inbox's events";
pub(crate) const LISTING_DEAD: &str = "listing dead letters";
pub(crate) const LISTING_STALLED: &str = "listing stalled events";
pub(crate) const GETTING: &str = "looking at an event";
pub(crate) const REDRIVING: &str = "redriving a dead letter";
pub(crate) const DISCARDING: &str = "discarding a dead letter";
pub(crate) const PURGING: &str = "forgetting old events";

/// How much an inbox holds.
///
/// ```
/// use integration_automation_patterns::DeliveryStatus;
/// use integration_automation_patterns::inbox::Counts;
///
/// let counts =
///     Counts { by_status: [(DeliveryStatus::Retrying, 3)].into(), stalled: 1 };
/// assert_eq!(
///     (counts.of(DeliveryStatus::Retrying), counts.of(DeliveryStatus::Failed)),
///     (3, 0)
/// );
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The events in each state; a state without any is left out.
    pub by_status: BTreeMap<DeliveryStatus, u64>,
    /// How many of the retrying ones are [stalled](Stalled).
    pub stalled: u64,
}

impl Counts {
    /// The events in one state.
    pub fn of(&self, status: DeliveryStatus) -> u64 {
        self.by_status.get(&status).copied().unwrap_or(0)
    }

    /// Of rows that each say a state, how many events are in it, and how many of these
    /// have waited for long.
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

/// An event that waits for another delivery, and has waited for longer than its policy's
/// attempts take: the broker has dropped it (by a limit of its own, by its age, in a
/// purge), or is about to deliver it after an outage.
///
/// Once a person has redriven or discarded it, a delivery that comes all the same is a
/// duplicate.
#[derive(Debug)]
pub struct Stalled {
    /// The event, with its last failure.
    pub event: Envelope<Retrying>,
    /// When it was first received, by the database's clock.
    pub received_at: DateTime<Utc>,
}

/// Those rows that are events, each with the time when it was received.
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

/// What an inbox remembers of one event.
#[derive(Debug)]
#[non_exhaustive]
pub struct Remembered {
    /// `Processed`, `Retrying`, `Failed` (a dead letter) or `Skipped` (a discarded one).
    pub status: DeliveryStatus,
    /// The attempts that its handler has made.
    pub attempts: u32,
    /// When it was received, by the database's clock: first, or when it was processed.
    pub received_at: DateTime<Utc>,
    /// The event, but for one that is processed: of that the inbox keeps no more than its
    /// source and id. A discarded one has no payload any more.
    pub event: Option<AnyEnvelope>,
}

impl Remembered {
    /// What a row says, and the time when it was received.
    pub(crate) fn of_row(
        (row, received_at): (Row, DateTime<Utc>),
    ) -> Result<Self, StoreError> {
        let status: DeliveryStatus =
            row.status.parse().map_err(|error| StoreError::new(GETTING, error))?;
        let attempts = u32::try_from(row.attempts).unwrap_or(u32::MAX);
        let event = match status {
            DeliveryStatus::Processed => None,
            _ => Some(row.read().map_err(|why| StoreError::new(GETTING, why))?),
        };
        Ok(Self { status, attempts, received_at, event })
    }
}

/// The dead letter that a person decides about: one that failed for good, or one that
/// waits for a delivery that may never come.
pub(crate) fn undelivered(row: Row) -> Option<Envelope<Failed>> {
    let row = match Found::of(Some(row)) {
        Found::Dead(row) => row,
        Found::Waiting(row) => {
            let what = FailureClass::Permanent.as_str().to_owned();
            let failure = row.failure.map(|said| Said { what, ..said });
            let status = DeliveryStatus::Failed.as_str().to_owned();
            Row { status, failure, ..row }
        }
        Found::Nothing | Found::Processed | Found::Discarded => return None,
    };
    row.read_in().ok()
}

/// A dead letter that a person gives up, to be recorded once that is stored.
pub(crate) struct Discarded(Envelope<Skipped>);

impl Discarded {
    pub(crate) fn of(row: Row, decision: Decision) -> Option<Self> {
        Some(Self(undelivered(row)?.discard(decision)))
    }

    pub(crate) fn row(&self) -> Row {
        Row::of_record(self.0.to_record())
    }

    pub(crate) fn record(&self, trail: &AuditTrail) {
        let at = self.0.discarded().map_or_else(Utc::now, Decision::at);
        trail.record(Action::Discard, &self.0, self.0.status(), at);
    }
}
