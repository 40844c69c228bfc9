//! Blocked events: set aside behind an earlier event of their ordering key.
//!
//! A claim that finds a due event blocked marks it, and later claims skip it. Whatever
//! ends the earlier event unmarks the next one of the key. So a claim costs the same,
//! however many events wait behind one of their key.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use crate::outbox::store::OnDeadLetter;
use crate::{AnyEnvelope, DeliveryStatus};

/// The most blocked events that one claim steps over: a longer search would hold up
/// others that need the database.
pub(crate) const MANY_BLOCKED: usize = 1_000;

/// Which rows of `outbox_event AS earlier` stand in the way of `event`, in SQL.
pub(crate) fn stands_before(on_dead_letter: OnDeadLetter) -> String {
    let blocking = match on_dead_letter {
        OnDeadLetter::Block => "'pending', 'dispatched', 'retrying', 'failed'",
        OnDeadLetter::Skip => "'pending', 'dispatched', 'retrying'",
    };
    format!(
        "earlier.ordering_key = event.ordering_key AND earlier.sequence < event.sequence \
         AND earlier.status IN ('pending', 'dispatched', 'retrying', 'failed') AND earlier.status IN ({blocking})"
    )
}

/// The ordering key that goes on after this event: the event is done, or is a dead letter
/// and the next claim decides whether that blocks the key.
pub(crate) fn frees(event: &AnyEnvelope) -> Option<&str> {
    use DeliveryStatus::{Dispatched, Pending, Retrying};
    let under_way = matches!(event.status(), Pending | Dispatched | Retrying);
    event.ordering_key().filter(|_| !under_way)
}

/// The sweeps of a store for events that are set aside although nothing blocks them:
/// plain SQL has changed the earlier event, or it does not block under this relay's rule.
/// A sweep goes through all keys in slices, with pauses for others that need the
/// database. Each rule has its own sweeps, since relays with different rules may share a
/// store.
#[derive(Debug, Default)]
pub(crate) struct Sweeps {
    block: Mutex<Last>,
    skip: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    began: Option<Instant>,
    /// The task that continues it after its first slice.
    rest: Option<AbortHandle>,
}

impl Sweeps {
    const EVERY: Duration = Duration::from_secs(10);

    /// Begins a sweep under a rule if it is time for one: at the first claim, and every
    /// ten seconds unless one is running.
    pub(crate) fn is_due(&self, on_dead_letter: OnDeadLetter) -> bool {
        let mut last = self.last(on_dead_letter);
        let is_on = last.rest.as_ref().is_some_and(|rest| !rest.is_finished());
        let due = last.began.is_none_or(|at| !is_on && at.elapsed() >= Self::EVERY);
        if due {
            last.began = Some(Instant::now());
        }
        due
    }

    /// Continues a sweep beside the claims. Its errors are not reported: they meet the
    /// claims too, which report them, and the next sweep starts over.
    pub(crate) fn continue_with(
        &self,
        on_dead_letter: OnDeadLetter,
        rest: impl Future<Output = ()> + Send + 'static,
    ) {
        self.last(on_dead_letter).rest = Some(tokio::spawn(rest).abort_handle());
    }

    fn last(&self, on_dead_letter: OnDeadLetter) -> MutexGuard<'_, Last> {
        let last = match on_dead_letter {
            OnDeadLetter::Block => &self.block,
            OnDeadLetter::Skip => &self.skip,
        };
        last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        self.rest.take().iter().for_each(AbortHandle::abort);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise two relays of one store would begin a sweep with every claim, and each
    /// would end the other's.
    #[tokio::test]
    async fn each_rule_has_sweeps_of_its_own() {
        use OnDeadLetter::{Block, Skip};
        let sweeps = Sweeps::default();
        assert!(sweeps.is_due(Block));
        sweeps.continue_with(Block, std::future::pending());
        assert!(sweeps.is_due(Skip));
        assert!(!sweeps.is_due(Block) && !sweeps.is_due(Skip));
        tokio::task::yield_now().await;
        assert!(sweeps.last(Block).rest.as_ref().is_some_and(|rest| !rest.is_finished()));
    }
}
