//! The errors of a listener's client that `next` returns: each once, and no two within a
//! second.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::broker::BrokerError;

/// How long lies between two of them, so that a loop around `next` does not spin.
pub(super) const BETWEEN: Duration = Duration::from_secs(1);

/// How many are kept. An outage says the same again and again.
const MOST: usize = 16;

#[derive(Default)]
pub(super) struct Errors {
    waiting: VecDeque<(&'static str, BrokerError)>,
    returned: Option<Instant>,
}

impl Errors {
    /// Keeps an error; of two of the same kind that wait, the later.
    pub(super) fn add(&mut self, kind: &'static str, error: BrokerError) {
        if let Some((_, waits)) =
            self.waiting.iter_mut().find(|(of, _)| *of == kind && kind != LOST)
        {
            *waits = error;
        } else if self.waiting.len() < MOST || kind == LOST {
            self.waiting.push_back((kind, error));
        }
    }

    /// The next to return, where its time has come.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<BrokerError> {
        if self.not_before().is_some_and(|at| at > now) {
            return None;
        }
        let (_, error) = self.waiting.pop_front()?;
        self.returned = Some(now);
        Some(error)
    }

    /// When the next is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.front()?;
        Some(self.not_before().unwrap_or_else(Instant::now))
    }

    fn not_before(&self) -> Option<Instant> {
        self.returned.and_then(|at| at.checked_add(BETWEEN))
    }
}

/// Events that nobody can read any more: each of these is returned.
pub(super) const LOST: &str = "lost";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_a_second_and_every_loss() {
        let (mut errors, now) = (Errors::default(), Instant::now());
        assert_eq!(errors.next_due(now), None);
        errors.add("first", BrokerError::transient("first"));
        assert_eq!(
            errors.next_due(now),
            Some(BrokerError::transient("first")),
            "at once"
        );
        for number in 0..1000 {
            errors.add("down", BrokerError::unreachable(number.to_string()));
            errors.add(LOST, BrokerError::permanent(number.to_string()));
        }
        let later =
            |seconds| now.checked_add(Duration::from_secs(seconds)).unwrap_or(now);
        assert_eq!(errors.next_due(later(1)), Some(BrokerError::unreachable("999")));
        assert_eq!(errors.next_due(later(1)), None);
        assert_eq!(errors.next_due(later(2)), Some(BrokerError::permanent("0")));
        assert_eq!(errors.waiting.len(), 999);
    }
}
