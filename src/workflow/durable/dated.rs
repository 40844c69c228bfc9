//! When an instance began, on each of its commands: a participant that has nothing of an
//! older command knows by it whether it can remember one.

use chrono::{DateTime, Utc};

use crate::state::Pending;
use crate::store::{StoreError, StoreErrorKind};
use crate::{Envelope, Facts, RawEvent, Refused};

use super::STORING;

/// The tag of a command that says when its instance began. No command of the instance is
/// older.
const BEGUN_AT: &str = "begunat";

/// The command, which says when its instance began.
///
/// # Errors
///
/// It is no event any more, which no moment makes of one.
pub(super) fn dated(
    command: Envelope<Pending>,
    begun_at: DateTime<Utc>,
) -> Result<Envelope<Pending>, StoreError> {
    let mut record = command.to_record();
    record.tags.insert(BEGUN_AT.to_owned(), begun_at.to_rfc3339());
    let unreadable =
        |why: String| StoreError::of(StoreErrorKind::Unreadable, STORING, why);
    let event = record.rehydrate().map_err(|refused| unreadable(refused.to_string()))?;
    event.try_into().map_err(|refused: Refused<_, _>| unreadable(refused.to_string()))
}

/// The moment before which no command of the event's instance was sent. One that does not
/// say it may have commands of any age.
pub(super) fn begun_at(event: &Facts<RawEvent>) -> DateTime<Utc> {
    let moment = event.tags().get(BEGUN_AT).and_then(|text| text.parse().ok());
    moment.unwrap_or(DateTime::<Utc>::MIN_UTC)
}
