//! What a worker did, its health, and what went wrong without stopping it.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::EventId;
use crate::relay::{Outage, OutageKind, WORKER};

/// What a worker did, in one run or [so far](super::Worker::progress). It displays as one
/// line.
///
/// ```
/// use integration_automation_patterns::inbox::worker::Summary;
///
/// let mut summary = Summary::default();
/// (summary.received, summary.processed, summary.unstored) = (4, 3, 1);
/// let line = "3 processed, 0 duplicates, 0 retrying, 0 dead letters, 1 unstored";
/// assert_eq!(summary.to_string(), line);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Deliveries taken from the broker.
    pub received: u64,
    /// Events whose effect is committed.
    pub processed: u64,
    /// Deliveries of events whose effect was committed before.
    pub duplicates: u64,
    /// Deliveries of events that were [forestalled](crate::inbox::Forestalled), and so
    /// had no effect.
    pub forestalled: u64,
    /// Attempts that failed and have another to follow.
    pub retrying: u64,
    /// Events that became dead letters.
    pub dead_lettered: u64,
    /// Deliveries of which the database could store nothing: they come again.
    pub unstored: u64,
    /// Deliveries whose ack or nack failed: they come again, as duplicates.
    pub unanswered: u64,
    /// Deliveries that the inbox [holds](super::ByKey) until the one before has been
    /// handled. What becomes of such an event is counted too, once it does.
    pub held: u64,
    /// Held events whose handler ran without the one before, which was missing too long.
    pub overdue: u64,
    /// Events purged.
    pub purged: u64,
}

impl fmt::Display for Summary {
    /// What became of the events; the rest if there is any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processed, duplicates, retrying, dead_lettered, .. } = self;
        write!(
            f,
            "{processed} processed, {duplicates} duplicates, {retrying} retrying, \
             {dead_lettered} dead letters"
        )?;
        for (count, what) in [
            (self.held, "held"),
            (self.overdue, "overdue"),
            (self.unstored, "unstored"),
            (self.unanswered, "unanswered"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

/// The health of a worker at this moment.
///
/// ```
/// use integration_automation_patterns::inbox::worker::Health;
///
/// let resting = Health::default();
/// assert!(resting.is_well() && resting.in_hand == 0);
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Health {
    /// The outage of the database, if there is one.
    pub store: Option<Outage>,
    /// The outage of the broker, if there is one.
    pub broker: Option<Outage>,
    /// The outage of handling [held](super::ByKey) events, if there is one: the events
    /// stay held.
    pub held: Option<Outage>,
    /// The outage of purges, if there is one: the inbox grows.
    pub purge: Option<Outage>,
    /// How many deliveries the worker holds.
    pub in_hand: usize,
    /// How long it has held the oldest of them.
    pub oldest_in_hand: Option<Duration>,
    /// When it last stored the outcome of a delivery.
    pub last_stored_at: Option<DateTime<Utc>>,
}

impl Health {
    /// Whether there is no outage, as far as the worker has tried.
    pub const fn is_well(&self) -> bool {
        let Self { store, broker, held, purge, .. } = self;
        store.is_none() && broker.is_none() && held.is_none() && purge.is_none()
    }
}

/// What went wrong without stopping the worker.
#[derive(Debug)]
#[non_exhaustive]
pub enum Incident {
    /// The database or the broker fails, and the worker pauses. It reports each new
    /// reason, and then once a minute.
    Outage(Outage),
    /// One of these has ended.
    Recovered(Outage),
    /// The ack or nack of an event failed, and the event comes again.
    Unanswered {
        /// The event.
        event: EventId,
        /// What the broker said.
        reason: String,
    },
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outage(outage) => outage.describe(WORKER, f),
            Self::Recovered(Outage { kind, lasted, failures, .. }) => {
                f.write_str("the worker goes on: ")?;
                match kind {
                    OutageKind::Store(doing) => {
                        write!(f, "the database answers again at {doing}")?;
                    }
                    _ => f.write_str("the broker delivers again")?,
                }
                write!(f, ", after {lasted:.0?} and {failures} failed tries")
            }
            Self::Unanswered { event, reason } => write!(
                f,
                "the ack or nack of {event} failed, and it comes again: {reason}"
            ),
        }
    }
}
