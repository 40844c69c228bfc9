//! The chain of an ordering key: each event names its predecessor, so that a consumer
//! can put the events back in order, whatever its broker does.
//!
//! When the broker confirms an event, it becomes the last of its key and source. The
//! claim of the next event writes that id under the tag [`KEY_AFTER`]. An event that
//! was given up or skipped was never confirmed, and leaves no hole in the chain.

use crate::envelope::KEY_AFTER;
use crate::state::Dispatched;
use crate::store::Row;
use crate::{Envelope, Refused};

/// For how many days after its confirmation the next event names an event. A consumer
/// must remember what it has handled for longer.
pub(crate) const NAMED_FOR_DAYS: u32 = 3;

/// The claimed event of a row, which names its predecessor if there is one. A name that
/// the event carries from another outbox is dropped: it says nothing about this one's
/// order.
///
/// # Errors
///
/// Why the row is no event, in words.
pub(crate) fn chained(
    row: Row,
    after: Option<String>,
) -> Result<Envelope<Dispatched>, String> {
    let mut record = row.into_record()?;
    record.tags.remove(KEY_AFTER);
    record.tags.extend(after.map(|id| (KEY_AFTER.to_owned(), id)));
    let event = record.rehydrate().map_err(|refused| refused.to_string())?;
    event.try_into().map_err(|refused: Refused<_, _>| refused.to_string())
}
