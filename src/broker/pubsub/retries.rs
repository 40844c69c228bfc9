//! What waits for its retry: when each message is due, and whether its lease lasts until
//! then.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::order::Key;

/// So long before its lease ends, a message goes back to the server.
const BEFORE_THE_END: Duration = Duration::from_secs(30);

/// What becomes of a message when its wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Again,
    /// Its lease ends before the retry.
    Back,
}

/// The messages that wait, by their numbers.
#[derive(Debug)]
pub(super) struct Retries {
    /// How long the client renews the deadline of a message.
    max_lease: Duration,
    due: BTreeMap<(Instant, u64), (Key, Then)>,
}

impl Retries {
    pub(super) const fn new(max_lease: Duration) -> Self {
        Self { max_lease, due: BTreeMap::new() }
    }

    /// The message waits from `now` on. Its lease began when it was received.
    pub(super) fn wait(
        &mut self,
        number: u64,
        key: Key,
        received: Instant,
        now: Instant,
        after: Duration,
    ) {
        let leased = self.max_lease.saturating_sub(BEFORE_THE_END);
        let left = leased.saturating_sub(now.saturating_duration_since(received));
        let then = if after < left { Then::Again } else { Then::Back };
        // At most a day, as a lease is.
        let at = now.checked_add(after.min(left)).unwrap_or(now);
        self.due.insert((at, number), (key, then));
    }

    /// When the next is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// The next that is due by now.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(u64, Key, Then)> {
        let first = self.due.first_entry().filter(|first| first.key().0 <= now)?;
        let (_, number) = *first.key();
        let (key, then) = first.remove();
        Some((number, key, then))
    }

    /// All that wait.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = u64> {
        std::mem::take(&mut self.due).into_keys().map(|(_, number)| number)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests")]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A retry never waits into the end of its lease: there the server would deliver the
    /// message to another consumer, and this one hand it out too.
    #[test]
    fn a_retry_waits_for_its_delay_or_goes_back_before_its_lease_ends() {
        let received = Instant::now();
        for held in 0..150 {
            for after in 0..150 {
                let mut retries = Retries::new(100 * SECOND);
                let now = received + held * SECOND;
                retries.wait(7, None, received, now, after * SECOND);
                let (then, at) = match held + after < 70 {
                    true => (Then::Again, now + after * SECOND),
                    false => (Then::Back, now.max(received + 70 * SECOND)),
                };
                assert_eq!(
                    retries.next_due(),
                    Some(at),
                    "held {held} s, after {after} s"
                );
                assert_eq!(retries.take_due(at - SECOND / 2), None);
                assert_eq!(retries.take_due(at), Some((7, None, then)));
                assert_eq!(retries.next_due(), None);
            }
        }
    }

    #[test]
    fn the_first_that_is_due_is_the_first_taken() {
        let (mut retries, now) = (Retries::new(3600 * SECOND), Instant::now());
        for (number, after) in [(1, 3), (2, 1), (3, 2), (4, 9)] {
            retries.wait(number, None, now, now, after * SECOND);
        }
        let due = now + 3 * SECOND;
        let taken = std::iter::from_fn(|| retries.take_due(due));
        let taken: Vec<u64> = taken.map(|(number, ..)| number).collect();
        assert_eq!(taken, [2, 3, 1]);
        assert_eq!(retries.drain().collect::<Vec<_>>(), [4]);
    }
}
