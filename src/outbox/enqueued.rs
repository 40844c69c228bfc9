//! The outcome of an enqueue, and whether an event of the same id is the same event.

use std::future::Future;
use std::pin::Pin;

use crate::refused::Refused;
#[cfg(feature = "postgres")]
use crate::store::Row;
use crate::store::{StoreError, StoreErrorKind};
use crate::trace::End;

/// The outcome of an enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// The event is in the outbox, once the transaction is committed.
    New,
    /// The outbox already has an event with this id, source system and type: it is the
    /// same event, and nothing was written. Payloads are not compared.
    Duplicate,
}

/// The future of an enqueue. It gives the events back if they are refused.
///
/// It is boxed so that one mistake is one error: for an unnamed future, the compiler
/// reports a wrong argument once where it is made and again where it is awaited.
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

/// Refuses an event whose id belongs to another event: one of another source or type.
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
