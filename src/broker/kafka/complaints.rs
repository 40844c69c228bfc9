//! What a listener has to tell of its client: each once, and no two within a second.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::broker::BrokerError;

/// How long lies between two that are told, so that a loop around `next` does not spin.
pub(super) const BETWEEN: Duration = Duration::from_secs(1);

/// How many wait to be told. An outage says the same again and again.
const MOST: usize = 16;

#[derive(Default)]
pub(super) struct Complaints {
    waiting: VecDeque<(&'static str, BrokerError)>,
    told: Option<Instant>,
}

impl Complaints {
    /// Keeps an error to be told; of two of the same kind that wait, the later.
    pub(super) fn add(&mut self, kind: &'static str, error: BrokerError) {
        if let Some((_, waits)) =
            self.waiting.iter_mut().find(|(of, _)| *of == kind && kind != LOST)
        {
            *waits = error;
        } else if self.waiting.len() < MOST || kind == LOST {
            self.waiting.push_back((kind, error));
        }
    }

    /// The next to tell, where its time has come.
    pub(super) fn tell(&mut self, now: Instant) -> Option<BrokerError> {
        if self.not_before().is_some_and(|at| at > now) {
            return None;
        }
        let (_, error) = self.waiting.pop_front()?;
        self.told = Some(now);
        Some(error)
    }

    /// When there is one to tell.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.front()?;
        Some(self.not_before().unwrap_or_else(Instant::now))
    }

    fn not_before(&self) -> Option<Instant> {
        self.told.and_then(|told| told.checked_add(BETWEEN))
    }
}

/// Events that nobody can read any more: each of these is told.
pub(super) const LOST: &str = "lost";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_a_second_and_every_loss() {
        let (mut complaints, now) = (Complaints::default(), Instant::now());
        assert_eq!(complaints.tell(now), None);
        complaints.add("first", BrokerError::transient("first"));
        assert_eq!(
            complaints.tell(now),
            Some(BrokerError::transient("first")),
            "at once"
        );
        for number in 0..1000 {
            complaints.add("down", BrokerError::unreachable(number.to_string()));
            complaints.add(LOST, BrokerError::permanent(number.to_string()));
        }
        let later =
            |seconds| now.checked_add(Duration::from_secs(seconds)).unwrap_or(now);
        assert_eq!(complaints.tell(later(1)), Some(BrokerError::unreachable("999")));
        assert_eq!(complaints.tell(later(1)), None);
        assert_eq!(complaints.tell(later(2)), Some(BrokerError::permanent("0")));
        assert_eq!(complaints.waiting.len(), 999);
    }
}
