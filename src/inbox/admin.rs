//! The inbox as people see it: how much there is in each state, what it remembers of one
//! event, and what waits for a person.

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
    /// The events in each state; a state without any is left out.
    pub by_status: BTreeMap<DeliveryStatus, u64>,
    /// How many of the retrying ones are [stalled](Stalled).
    pub stalled: u64,
    /// How many of them the inbox [holds](Held) itself.
    pub held: u64,
    /// How many of the skipped ones were forestalled, and not discarded by a person.
    pub forestalled: u64,
}

impl Counts {
    /// The events in one state.
    pub fn of(&self, status: DeliveryStatus) -> u64 {
        self.by_status.get(&status).copied().unwrap_or(0)
    }
}

/// An event that waits for another delivery, and has waited for longer than its policy's
/// attempts take: the broker has dropped it (by a limit of its own, by its age, in a
/// purge), or is about to deliver it after an outage.
///
/// Once a person has redriven or discarded it, a delivery that comes all the same is a
/// duplicate.
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
    /// The event that it waits for, where it waits for one.
    pub after: Option<EventId>,
    /// Why it has not been handled.
    pub reason: String,
    /// When a worker looks at it again, at the latest.
    pub due_at: DateTime<Utc>,
    /// When it was received, by the database's clock.
    pub received_at: DateTime<Utc>,
}

/// A row of the inbox that is no valid event: plain SQL has written to it, or a newer
/// program. It is in no other list, and no decision reaches it until it is repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// The source system in its row.
    pub source_system: String,
    /// The id in its row.
    pub id: String,
    /// Why it is no event.
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
    /// The event, but for one that is processed, or was forestalled before it came: of
    /// that the inbox keeps no more than its source and id. A skipped one has no payload
    /// any more.
    pub event: Option<AnyEnvelope>,
}
