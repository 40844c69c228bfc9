//! When a worker looks at the events that its inbox holds: soon after something happened
//! that they may wait for, and seldom where there are none.

use std::time::Duration;

use tokio::time::Instant;

use super::{Inbox, Worker, WorkerConfig};
use crate::broker::Consumer;
use crate::inbox::order::TakenUp;
use crate::store::StoreError;

/// How much longer than a look the pause after it is: many events may be held behind one.
const PAUSE: u32 = 8;

/// What a look at the held events found.
pub(super) struct TookUp {
    pub(super) tried: u64,
    pub(super) answer: Result<TakenUp, StoreError>,
    pub(super) took: Duration,
}

/// Handles the held events that are due.
pub(super) async fn take_up<I: Inbox, C: Consumer>(
    worker: &Worker<I, C>,
    tried: u64,
) -> TookUp {
    let began = Instant::now();
    let answer = worker.inbox.take_up().await;
    TookUp { tried, answer, took: began.elapsed() }
}

/// When the next look is.
pub(super) struct Turns {
    /// Nothing while one is under way.
    pub(super) at: Option<Instant>,
    /// Whether something happened since the last one began that events may wait for.
    pub(super) is_wanted: bool,
    /// Whether the inbox is known to hold any.
    holds: bool,
    /// Whether it has held one since the last look began, which may not have seen it.
    held_since: bool,
    /// No look before that, whatever happens.
    rests_until: Instant,
}

impl Turns {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            at: Some(now),
            is_wanted: false,
            holds: false,
            held_since: false,
            rests_until: now,
        }
    }

    /// Whether a look begins now.
    pub(super) fn begin(&mut self, now: Instant, rests: bool) -> bool {
        let begins = !rests && self.at.is_some_and(|at| at <= now);
        if begins {
            (self.at, self.is_wanted, self.held_since) = (None, false, false);
        }
        begins
    }

    /// Deliveries were handled, and perhaps some are held now.
    pub(super) fn after(&mut self, held: bool, config: &WorkerConfig) {
        self.holds |= held;
        self.held_since |= held;
        if self.holds && config.order.is_some() {
            self.is_wanted = true;
            self.at = self.at.map(|at| at.min(self.rests_until));
        }
    }

    /// A look has found what it sought.
    pub(super) fn again(
        &mut self,
        taken: &TakenUp,
        took: Duration,
        config: &WorkerConfig,
    ) {
        let now = Instant::now();
        let after = |wait: Duration| now.checked_add(wait).unwrap_or(now);
        self.holds = taken.holds || self.held_since;
        self.rests_until = after(took.saturating_mul(PAUSE));
        let at_rest = if config.order.is_some() || self.holds {
            config.poll_interval
        } else {
            config.purge_interval
        };
        self.is_wanted &= self.holds;
        self.at = Some(if taken.has_more {
            now
        } else if self.is_wanted {
            self.rests_until
        } else {
            after(at_rest)
        });
    }

    /// A look has failed, and the next one comes when the pause ends.
    pub(super) fn failed(&mut self, ends: Option<Instant>) {
        self.at = Some(ends.unwrap_or_else(Instant::now));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::inbox::order::ByKey;

    /// Protects an event that the inbox held while a look was under way: a run until idle
    /// would end before its turn.
    #[test]
    fn what_is_held_during_a_look_is_looked_at_again() {
        let config = WorkerConfig::default().order(ByKey::default());
        for (held, wanted) in [(true, true), (false, false)] {
            let mut turns = Turns::new(Instant::now());
            assert!(turns.begin(Instant::now(), false));
            turns.after(held, &config);
            turns.again(&TakenUp::default(), Duration::ZERO, &config);
            assert_eq!(turns.is_wanted, wanted, "{held}");
        }
    }
}
