//! What enqueuing did, and whether the event that is there is the same one.

use std::future::Future;
use std::pin::Pin;

use crate::refused::Refused;
#[cfg(feature = "postgres")]
use crate::store::Row;
use crate::store::{StoreError, StoreErrorKind};
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

/// An enqueue that is under way: await it. It gives the events back where they are
/// refused.
///
/// It is boxed so that a slip is one error: the compiler repeats what it has against an
/// argument wherever an unnamed future is made and awaited.
pub type Enqueuing<'t, Answer, Events> = Pin<
    Box<dyn Future<Output = Result<Answer, Refused<Events, StoreError>>> + Send + 't>,
>;

impl From<Enqueued> for End {
    fn from(enqueued: Enqueued) -> Self {
        match enqueued {
            Enqueued::New => Self::New,
            Enqueued::Duplicate => Self::Duplicate,
        }
    }
}

/// Whether the event that is there under this id is the one that was to be enqueued: of
/// one source, and of one type.
#[cfg(feature = "postgres")]
pub(crate) fn same_event(
    doing: &'static str,
    row: &Row,
    there: &(String, String),
) -> Result<Enqueued, StoreError> {
    let (source_system, event_type) = there;
    if (source_system, event_type) == (&row.source_system, &row.event_type) {
        return Ok(Enqueued::Duplicate);
    }
    let there = format!("{event_type} from {source_system}");
    let wanted = format!("{} from {}", row.event_type, row.source_system);
    Err(another_event(doing, &row.id, &there, &wanted))
}

/// Another event has the id: what is there, and what was to be enqueued.
pub(crate) fn another_event(
    doing: &'static str,
    id: &str,
    there: &str,
    wanted: &str,
) -> StoreError {
    StoreError::of(
        StoreErrorKind::IdTaken,
        doing,
        format!(
            "another event has the id {id:?}: {there} is there, and {wanted} was to be enqueued \
             (derive ids that are unique with their source alone: EventId::derived)"
        ),
    )
}
