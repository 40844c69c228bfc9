//! What the rows of an inbox say to people, and what a decision makes of one.

use chrono::{DateTime, Utc};

use super::intake::{Found, begun};
use super::{Counts, Held, Remembered, Stalled};
use crate::audit::{Action, AuditTrail};
use crate::state::{Failed, Skipped};
use crate::store::doing::{COUNTING, GETTING};
use crate::store::{DeadLetter, Row, Said, StoreError, StoreErrorKind};
use crate::{Decision, DeliveryStatus, Envelope, FailureClass};

/// How many events are in a state, and how many of these have waited for long, are held,
/// or were forestalled.
pub(crate) struct CountedRow {
    pub(crate) status: String,
    pub(crate) count: i64,
    pub(crate) old: i64,
    pub(crate) held: i64,
    pub(crate) forestalled: i64,
}

impl Counts {
    /// Of rows that each say how many events are in a state.
    pub(crate) fn of_rows(rows: Vec<CountedRow>) -> Result<Self, StoreError> {
        let mut counts = Self::default();
        for CountedRow { status, count, old, held, forestalled } in rows {
            let status: DeliveryStatus =
                status.parse().map_err(|error| unreadable(COUNTING, error))?;
            counts.by_status.insert(status, u64::try_from(count).unwrap_or_default());
            if status == DeliveryStatus::Retrying {
                counts.stalled = u64::try_from(old).unwrap_or_default();
                counts.held = u64::try_from(held).unwrap_or_default();
            }
            if status == DeliveryStatus::Skipped {
                counts.forestalled = u64::try_from(forestalled).unwrap_or_default();
            }
        }
        Ok(counts)
    }
}

/// A stored row holds what this crate cannot read.
fn unreadable(
    doing: &'static str,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::of(StoreErrorKind::Unreadable, doing, error)
}

/// Those rows that are events, each with the time when it was received.
pub(crate) fn stalled(rows: Vec<(Row, DateTime<Utc>)>) -> Vec<Stalled> {
    let read = |(row, received_at): (Row, _)| {
        Some(Stalled { event: row.read_in().ok()?, received_at })
    };
    rows.into_iter().filter_map(read).collect()
}

/// A row that the inbox holds, with the times when it was received and is due, and the
/// event that it waits for.
pub(crate) type HeldRow = (Row, DateTime<Utc>, DateTime<Utc>, Option<String>);

/// Those held rows that are events.
pub(crate) fn held(rows: Vec<HeldRow>) -> Vec<Held> {
    let read = |(row, received_at, due_at, after): HeldRow| {
        let reason = row.failure.as_ref()?.reason.clone();
        Some(Held {
            event: begun(row).ok()?,
            after: after.and_then(|id| id.parse().ok()),
            reason,
            due_at,
            received_at,
        })
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

impl Remembered {
    /// What a row says, and the time when it was received.
    pub(crate) fn of_row(
        (row, received_at): (Row, DateTime<Utc>),
    ) -> Result<Self, StoreError> {
        let status: DeliveryStatus =
            row.status.parse().map_err(|error| unreadable(GETTING, error))?;
        let attempts = u32::try_from(row.attempts).unwrap_or(u32::MAX);
        let event = match status {
            DeliveryStatus::Processed => None,
            // It was forestalled before it came: no more than its id is known.
            DeliveryStatus::Skipped if row.event_type.is_empty() => None,
            _ => Some(row.read().map_err(|why| unreadable(GETTING, why))?),
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
        Found::Nothing
        | Found::Processed
        | Found::Held
        | Found::Discarded
        | Found::Forestalled => return None,
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
