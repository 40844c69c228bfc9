//! One look at the held events that are due: what it has done so far, and when its time
//! is up.

use std::time::{Duration, Instant};

use crate::DeliveryStatus;
use crate::inbox::Handled;

/// What a worker did with the held events that were due.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TakenUp {
    pub(crate) processed: u64,
    pub(crate) retrying: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) overdue: u64,
    /// Whether the time was up before all due events were handled.
    pub(crate) has_more: bool,
    /// Whether the inbox holds any event.
    pub(crate) holds: bool,
}

impl TakenUp {
    /// Whether any event was handled, or became a dead letter.
    pub(crate) const fn any(&self) -> bool {
        self.processed > 0 || self.retrying > 0 || self.dead_lettered > 0
    }
}

/// A look that has begun.
pub(crate) struct Round {
    began: Instant,
    longest: Duration,
    taken: TakenUp,
}

impl Round {
    /// Begins a look that takes up no further event once it has lasted so long.
    pub(crate) fn begin(longest: Duration) -> Self {
        Self { began: Instant::now(), longest, taken: TakenUp::default() }
    }

    /// Counts a row that is no event, and became a dead letter.
    pub(crate) const fn quarantined(&mut self) -> bool {
        self.taken.dead_lettered = self.taken.dead_lettered.saturating_add(1);
        true
    }

    /// Counts what came of one event, and says whether those that wait for it are due
    /// now. As long as it is not over they stay as they are: otherwise each attempt of
    /// the first would touch all the others of a long key.
    pub(crate) fn handled(
        &mut self,
        handled: Option<&Handled<()>>,
        is_overdue: bool,
    ) -> bool {
        let taken = &mut self.taken;
        let count = match handled {
            Some(Handled::Processed(_)) => &mut taken.processed,
            Some(Handled::RetryLater(_)) => &mut taken.retrying,
            Some(Handled::DeadLettered(_)) => &mut taken.dead_lettered,
            Some(Handled::Duplicate(_) | Handled::Forestalled(_)) => return true,
            Some(Handled::Held(_)) | None => return false,
        };
        *count = count.saturating_add(1);
        taken.overdue = taken.overdue.saturating_add(u64::from(is_overdue));
        handled.is_some_and(|handled| handled.status() != DeliveryStatus::Retrying)
    }

    /// Whether the time is up.
    pub(crate) fn is_over(&mut self) -> bool {
        self.taken.has_more = self.began.elapsed() >= self.longest;
        self.taken.has_more
    }

    /// What the look did; `holds` says whether the inbox holds any event.
    pub(crate) fn end(self, holds: bool) -> TakenUp {
        TakenUp { holds, ..self.taken }
    }
}
