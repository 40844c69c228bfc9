//! The chain of an ordering key: each event names the one before it, so that a consumer
//! puts them into order again, whatever its broker does.
//!
//! The broker's confirmation makes an event the last of its key and source, and a claim
//! names that one to the next event, under the tag [`KEY_AFTER`]. An event that was given
//! up or passed by was never confirmed, and leaves no hole in the chain.

use crate::envelope::KEY_AFTER;
use crate::state::Dispatched;
use crate::store::Row;
use crate::{Envelope, Refused};

/// For how many days after its confirmation an event is named to the next one. A consumer
/// remembers for longer what it has handled.
pub(crate) const NAMED_FOR_DAYS: u32 = 3;

/// The claimed event of a row, which names the event before it, where there is one. What
/// another outbox has named is no promise of this one.
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
