//! What enqueuing did, and whether the event that is there is the same one.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use crate::store::{Row, StoreError, StoreErrorKind};
use crate::trace::End;

/// What enqueuing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// The event is in the outbox, once the transaction is committed.
    New,
    /// An event of this id, from the same system and of the same type, was there before:
    /// it is the same event, and there is still one of it. (Payloads are not compared.)
    Duplicate,
}

impl From<Enqueued> for End {
    fn from(enqueued: Enqueued) -> Self {
        match enqueued {
            Enqueued::New => Self::New,
            Enqueued::Duplicate => Self::Duplicate,
        }
    }
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
/// Whether the event that is there under this id is the one that was to be enqueued: of
/// one source, and of one type.
pub(crate) fn same_event(
    doing: &'static str,
    row: &Row,
    there: &(String, String),
) -> Result<Enqueued, StoreError> {
    let (source_system, event_type) = there;
    if (source_system, event_type) == (&row.source_system, &row.event_type) {
        return Ok(Enqueued::Duplicate);
    }
    Err(StoreError::of(
        StoreErrorKind::IdTaken,
        doing,
        format!(
            "another event has the id {:?}: {event_type} from {source_system} is there, and {} from {} was to be enqueued \
             (derive ids that are unique with their source alone: EventId::derived)",
            row.id, row.event_type, row.source_system
        ),
    ))
}
