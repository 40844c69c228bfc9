//! What the rows of an inbox say to people, and what a decision makes of one.

use chrono::{DateTime, Utc};

use super::counting::Key;
use super::entry::Entry;
use super::intake::{Found, begun};
use super::{Counts, Held, Remembered, Stalled, Unreadable};
use crate::audit::{Action, AuditTrail};
use crate::state::{Failed, Retrying, Skipped};
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
                status.parse().map_err(|error| unread(COUNTING, error))?;
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
fn unread(
    doing: &'static str,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::of(StoreErrorKind::Unreadable, doing, error)
}

/// A row of a list, as people ask for it.
pub(crate) struct Listed {
    pub(crate) entry: Entry,
    pub(crate) received_at: DateTime<Utc>,
    /// The event that it waits for.
    pub(crate) after: Option<String>,
}

/// The stalled event of a row; nothing if it is none, which is for [`unreadable`].
pub(crate) fn stalled(listed: Listed) -> Option<Stalled> {
    let event = listed.entry.row.read_in().ok()?;
    Some(Stalled { event, received_at: listed.received_at })
}

/// The same, of a held event.
pub(crate) fn held(listed: Listed) -> Option<Held> {
    let Listed { entry: Entry { row, due_at, .. }, received_at, after } = listed;
    let reason = row.failure.as_ref()?.reason.clone();
    Some(Held {
        event: begun(row).ok()?,
        after: after.and_then(|id| id.parse().ok()),
        reason,
        due_at: due_at.unwrap_or(received_at),
        received_at,
    })
}

/// The same, of a dead letter.
pub(crate) fn dead_letter(listed: Listed) -> Option<DeadLetter> {
    let event = listed.entry.row.read_in().ok()?;
    Some(DeadLetter { event, first_sent_at: Some(listed.received_at) })
}

/// Why a row is in none of the lists, if it is in none.
pub(crate) fn unreadable(Listed { entry, .. }: Listed) -> Option<Unreadable> {
    let Key { source_system, id } = Key::of_row(&entry.row);
    let reason = match Found::of(Some(entry)) {
        Found::Dead(Entry { row, .. }) => row.read_in::<Failed>().err(),
        Found::Waiting(Entry { row, .. }) => row.read_in::<Retrying>().err(),
        Found::Held(Entry { row, .. }) if row.failure.is_none() => {
            Some("the row of a held event is to say why it is held".to_owned())
        }
        Found::Held(Entry { row, .. }) => begun(row).err(),
        Found::Nothing | Found::Processed | Found::Discarded | Found::Forestalled => None,
    };
    Some(Unreadable { source_system, id, reason: reason? })
}

impl Remembered {
    /// What a row says, and the time when it was received.
    pub(crate) fn of_row(
        (row, received_at): (Row, DateTime<Utc>),
    ) -> Result<Self, StoreError> {
        let status: DeliveryStatus =
            row.status.parse().map_err(|error| unread(GETTING, error))?;
        let attempts = u32::try_from(row.attempts).unwrap_or(u32::MAX);
        let event = match status {
            DeliveryStatus::Processed => None,
            // It was forestalled before it came: no more than its id is known.
            DeliveryStatus::Skipped if row.event_type.is_empty() => None,
            _ => Some(row.read().map_err(|why| unread(GETTING, why))?),
        };
        Ok(Self { status, attempts, received_at, event })
    }
}

/// The dead letter that a person decides about: one that failed for good, or one that
/// waits for a delivery that may never come.
pub(crate) fn undelivered(entry: Entry) -> Option<Envelope<Failed>> {
    let row = match Found::of(Some(entry)) {
        Found::Dead(Entry { row, .. }) => row,
        Found::Waiting(Entry { row, .. }) | Found::Held(Entry { row, .. }) => {
            let what = FailureClass::Permanent.as_str().to_owned();
            let failure = row.failure.map(|said| Said { what, ..said });
            let status = DeliveryStatus::Failed.as_str().to_owned();
            Row { status, failure, ..row }
        }
        Found::Nothing | Found::Processed | Found::Discarded | Found::Forestalled => {
            return None;
        }
    };
    row.read_in().ok()
}

/// A dead letter that a person gives up, to be recorded once that is stored.
pub(crate) struct Discarded(Envelope<Skipped>);

impl Discarded {
    pub(crate) fn of(entry: Entry, decision: Decision) -> Option<Self> {
        Some(Self(undelivered(entry)?.discard(decision)))
    }

    pub(crate) fn entry(&self) -> Entry {
        Entry::ended(Row::of_record(self.0.to_record()))
    }

    pub(crate) fn record(&self, trail: &AuditTrail) {
        let at = self.0.discarded().map_or_else(Utc::now, Decision::at);
        trail.record(Action::Discard, &self.0, self.0.status(), at);
    }
}
