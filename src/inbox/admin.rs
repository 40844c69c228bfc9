//! Administration of an inbox: counts, what it remembers of an event, and what waits for
//! a person.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::state::{Acknowledged, Retrying};
use crate::{AnyEnvelope, DeliveryStatus, Envelope, EventId};

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
    /// How many events are in each state; states without any are left out.
    pub by_status: BTreeMap<DeliveryStatus, u64>,
    /// How many of the retrying ones are [stalled](Stalled).
    pub stalled: u64,
    /// How many of the retrying ones the inbox [holds](Held).
    pub held: u64,
    /// How many of the skipped ones were forestalled, and not discarded by a person.
    pub forestalled: u64,
}

impl Counts {
    /// How many events are in one state.
    pub fn of(&self, status: DeliveryStatus) -> u64 {
        self.by_status.get(&status).copied().unwrap_or(0)
    }
}

/// An event that waits for another delivery, and has waited for longer than its policy's
/// attempts take: the broker has dropped it (by a limit of its own, by its age, in a
/// purge), or is about to deliver it after an outage.
///
/// After a person has redriven or discarded it, a late delivery is a duplicate.
#[derive(Debug)]
#[non_exhaustive]
pub struct Stalled {
    /// The event, with its last failure.
    pub event: Envelope<Retrying>,
    /// When it was first received, by the database's clock.
    pub received_at: DateTime<Utc>,
}

/// An event that is acked at its broker and that a worker handles by itself: it waits for
/// the one before it of its ordering key, or came so and waits for its next attempt.
///
/// A person frees it by a redrive, which handles it at once, whatever came before it, or
/// by a discard, after which the next of its key need not wait for it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Held {
    /// The event.
    pub event: Envelope<Acknowledged>,
    /// The event that it waits for, if any.
    pub after: Option<EventId>,
    /// Why it has not been handled.
    pub reason: String,
    /// When a worker looks at it again, at the latest.
    pub due_at: DateTime<Utc>,
    /// When it was received, by the database's clock.
    pub received_at: DateTime<Utc>,
}

/// A row of the inbox that is not a valid event, as plain SQL or a newer program may have
/// written it. It is in no other list, and no decision reaches it until it is repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// The source system in its row.
    pub source_system: String,
    /// The id in its row.
    pub id: String,
    /// Why it is not a valid event.
    pub reason: String,
}

/// What an inbox remembers of one event.
#[derive(Debug)]
#[non_exhaustive]
pub struct Remembered {
    /// `Processed`, `Retrying`, `Failed` (a dead letter) or `Skipped` (discarded or
    /// forestalled).
    pub status: DeliveryStatus,
    /// The attempts that its handler has made.
    pub attempts: u32,
    /// When it was received, by the database's clock: first, or when it was processed.
    pub received_at: DateTime<Utc>,
    /// The event. It is `None` for one that is processed, or was forestalled before it
    /// came: of these the inbox keeps only source and id. A skipped event has no payload.
    pub event: Option<AnyEnvelope>,
}
