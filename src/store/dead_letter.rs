//! A dead letter, and which of them a person means.

use chrono::{DateTime, Utc};

use crate::state::Failed;
use crate::{Envelope, EventId};

/// Which events, among those that a call is about. All conditions hold at once; none is
/// every event.
///
/// ```
/// use integration_automation_patterns::outbox::Filter;
///
/// let one = Filter::id("evt-1002".parse()?);
/// assert_eq!(one.id, Some("evt-1002".parse()?));
/// assert_eq!(one.event_type, None); // of any type
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this id.
    pub id: Option<EventId>,
    /// Of this type.
    pub event_type: Option<String>,
    /// From this system.
    pub source_system: Option<String>,
    /// Whose failure's reason contains this text.
    pub reason_contains: Option<String>,
    /// That failed at this time or later.
    pub failed_since: Option<DateTime<Utc>>,
}

impl Filter {
    /// The one event of this id.
    pub fn id(id: EventId) -> Self {
        Self { id: Some(id), ..Self::default() }
    }
}

/// An event that waits for a person.
#[derive(Debug)]
pub struct DeadLetter {
    /// The event, with its failure.
    pub event: Envelope<Failed>,
    /// When it was first sent; in an inbox, when it was received. By the database's
    /// clock.
    pub first_sent_at: Option<DateTime<Utc>>,
}
