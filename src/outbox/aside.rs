//! Events that are put aside, since an earlier one of their ordering key is under way: what both databases know of it.
//!
//! A claim that finds a due event blocked marks it, and no claim looks at it again; whatever ends the earlier event takes
//! the mark from the next one of the key. So a claim costs the same, however many events wait behind one of their key.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::KeyAfterFailure;
use crate::{AnyEnvelope, DeliveryStatus};

/// After how many blocked events a claim looks no further for others: it would hold up whoever waits for the database.
pub(crate) const MANY_BLOCKED: usize = 1_000;

/// Which rows of `outbox_event AS earlier` stand in the way of `event`, in SQL.
pub(crate) fn stands_before(after_failure: KeyAfterFailure) -> String {
    let blocking = match after_failure {
        KeyAfterFailure::Block => "'pending', 'dispatched', 'retrying', 'failed'",
        KeyAfterFailure::PassBy => "'pending', 'dispatched', 'retrying'",
    };
    format!(
        "earlier.ordering_key = event.ordering_key AND earlier.sequence < event.sequence \
         AND earlier.status IN ('pending', 'dispatched', 'retrying', 'failed') AND earlier.status IN ({blocking})"
    )
}

/// The ordering key whose next event need not wait for this one any more: it is done, or a dead letter, of which the next
/// claim says whether it blocks its key.
pub(crate) fn frees(event: &AnyEnvelope) -> Option<&str> {
    use DeliveryStatus::{Dispatched, Pending, Retrying};
    let under_way = matches!(event.status(), Pending | Dispatched | Retrying);
    event.ordering_key().filter(|_| !under_way)
}

/// When a store last looked for events that are put aside with nothing in their way: the earlier one was changed by other
/// hands than those of relay and desk, or blocks no more under the rule of this relay.
#[derive(Debug, Default)]
pub(crate) struct Rounds(Mutex<Option<(Instant, KeyAfterFailure)>>);

impl Rounds {
    const EVERY: Duration = Duration::from_secs(10);

    /// Whether it is time for another look: at the first claim, every ten seconds, and when the rule has changed. The look
    /// counts as done.
    pub(crate) fn are_due(&self, after_failure: KeyAfterFailure) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|(at, rule)| rule != after_failure || at.elapsed() >= Self::EVERY);
        if due {
            *last = Some((Instant::now(), after_failure));
        }
        due
    }
}
