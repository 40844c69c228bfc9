//! The deliveries that wait for a lane, and which of them is next: two of one event, or of
//! one ordering key, are never handled at once, and never overtake one another.

use std::collections::VecDeque;

use crate::broker::Delivery;
use crate::{Facts, RawEvent};

/// A delivery in the hands of a worker, by the number under which it came.
pub(super) struct InHand<A> {
    pub(super) number: u64,
    pub(super) delivery: Delivery<A>,
}

/// What must not be handled at once: the event, by its source and id, and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    event: (String, String),
    key: Option<String>,
}

impl Claim {
    fn of(event: &Facts<RawEvent>) -> Self {
        Self {
            event: (event.source_system().to_owned(), event.id().to_string()),
            key: event.ordering_key().map(str::to_owned),
        }
    }

    fn excludes(&self, other: &Self) -> bool {
        self.event == other.event || self.key.is_some() && self.key == other.key
    }
}

/// What waits, in the order in which it came, and what is being handled.
pub(super) struct Queue<A> {
    waiting: VecDeque<(Claim, InHand<A>)>,
    handled: Vec<(u64, Claim)>,
}

impl<A> Queue<A> {
    pub(super) const fn new() -> Self {
        Self { waiting: VecDeque::new(), handled: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn push(&mut self, taken: InHand<A>) {
        self.waiting.push_back((Claim::of(taken.delivery.facts()), taken));
    }

    /// The next to be handled, until it is [done](Self::done).
    pub(super) fn take(&mut self) -> Option<InHand<A>> {
        let waiting = self.waiting.iter().map(|(claim, _)| claim);
        let handled = self.handled.iter().map(|(_, claim)| claim);
        let (claim, taken) = self.waiting.remove(next(waiting, handled)?)?;
        self.handled.push((taken.number, claim));
        Some(taken)
    }

    /// It is not being handled any more.
    pub(super) fn done(&mut self, number: u64) {
        self.handled.retain(|(handled, _)| *handled != number);
    }

    /// Gives what waits back to the broker, unanswered, and says what that was.
    pub(super) fn release(&mut self) -> Vec<u64> {
        self.waiting.drain(..).map(|(_, released)| released.number).collect()
    }
}

/// The place of the first that nothing before it excludes, handled or waiting.
fn next<'c>(
    waiting: impl Iterator<Item = &'c Claim>,
    handled: impl Iterator<Item = &'c Claim>,
) -> Option<usize> {
    let mut before: Vec<&Claim> = handled.collect();
    for (place, claim) in waiting.enumerate() {
        if !before.iter().any(|other| other.excludes(claim)) {
            return Some(place);
        }
        before.push(claim);
    }
    None
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim((id, key): (u8, Option<u8>)) -> Claim {
        Claim {
            event: ("crm".to_owned(), id.to_string()),
            key: key.map(|key| key.to_string()),
        }
    }

    proptest! {
        /// However fast the lanes are, each of a key comes after all that came before it,
        /// and nothing waits for ever.
        #[test]
        fn the_events_of_a_key_keep_their_order(
            arrived in prop::collection::vec((0..6_u8, prop::option::of(0..3_u8)), 0..40),
            ends in prop::collection::vec(0..4_usize, 200),
        ) {
            let arrived: Vec<Claim> = arrived.into_iter().map(claim).collect();
            let mut waiting: Vec<usize> = (0..arrived.len()).collect();
            let (mut handled, mut done): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
            let mut ends = ends.into_iter();
            while done.len() < arrived.len() {
                let claims = |of: &[usize]| -> Vec<Claim> {
                    of.iter().map(|one| arrived[*one].clone()).collect()
                };
                let (queued, busy) = (claims(&waiting), claims(&handled));
                match next(queued.iter(), busy.iter()).filter(|_| handled.len() < 4) {
                    Some(place) => {
                        let begun = waiting.remove(place);
                        for earlier in 0..begun {
                            let is_before = arrived[earlier].excludes(&arrived[begun]);
                            prop_assert!(!is_before || done.contains(&earlier));
                        }
                        handled.push(begun);
                    }
                    None => {
                        prop_assert!(!handled.is_empty(), "something can always be handled");
                        let ended = ends.next().unwrap_or_default() % handled.len();
                        done.push(handled.remove(ended));
                    }
                }
            }
        }
    }
}
