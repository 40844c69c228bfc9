//! The deliveries that wait for a lane, and which of them is next: two of one event, or
//! of one ordering key, are never handled at once, and never overtake one another.

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

    /// The next to be handled by one lane in their order, until they are
    /// [done](Self::done): no more than `limit`.
    pub(super) fn take(&mut self, limit: usize) -> Vec<InHand<A>> {
        let waiting = self.waiting.iter().map(|(claim, _)| claim);
        let handled = self.handled.iter().map(|(_, claim)| claim);
        let places = next(waiting, handled, limit);
        let mut taken = Vec::with_capacity(places.len());
        // From the last on, so that the places of the others stay.
        for place in places.into_iter().rev() {
            if let Some((claim, one)) = self.waiting.remove(place) {
                self.handled.push((one.number, claim));
                taken.push(one);
            }
        }
        taken.reverse();
        taken
    }

    /// They are not being handled any more.
    pub(super) fn done(&mut self, numbers: &[u64]) {
        self.handled.retain(|(handled, _)| !numbers.contains(handled));
    }

    /// Gives what waits back to the broker, unanswered, and says what that was.
    pub(super) fn release(&mut self) -> Vec<u64> {
        self.waiting.drain(..).map(|(_, released)| released.number).collect()
    }
}

/// The places of the first that nothing excludes which is handled, or waits before them
/// and is not among them.
fn next<'c>(
    waiting: impl Iterator<Item = &'c Claim>,
    handled: impl Iterator<Item = &'c Claim>,
    limit: usize,
) -> Vec<usize> {
    let mut before: Vec<&Claim> = handled.collect();
    let mut places = Vec::new();
    for (place, claim) in waiting.enumerate() {
        if places.len() >= limit {
            break;
        }
        if before.iter().any(|other| other.excludes(claim)) {
            before.push(claim);
        } else {
            places.push(place);
        }
    }
    places
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
        /// and nothing waits forever.
        #[test]
        fn the_events_of_a_key_keep_their_order(
            arrived in prop::collection::vec((0..6_u8, prop::option::of(0..3_u8)), 0..40),
            ends in prop::collection::vec(0..4_usize, 200),
            limit in 1..5_usize,
        ) {
            let arrived: Vec<Claim> = arrived.into_iter().map(claim).collect();
            let mut waiting: Vec<usize> = (0..arrived.len()).collect();
            // What each lane handles, in its order.
            let mut lanes: Vec<Vec<usize>> = Vec::new();
            let (mut done, mut ends) = (Vec::new(), ends.into_iter());
            while done.len() < arrived.len() {
                let handled = lanes.iter().flatten().map(|one| &arrived[*one]);
                let queued = waiting.iter().map(|one| &arrived[*one]);
                let places = next(queued, handled, limit);
                if places.is_empty() || lanes.len() == 3 {
                    prop_assert!(!lanes.is_empty(), "something can always be handled");
                    let ended = ends.next().unwrap_or_default() % lanes.len();
                    done.extend(lanes.remove(ended));
                    continue;
                }
                let mut taken = Vec::new();
                for place in places.into_iter().rev() {
                    taken.insert(0, waiting.remove(place));
                }
                for (place, begun) in taken.iter().enumerate() {
                    for earlier in 0..*begun {
                        let is_before = arrived[earlier].excludes(&arrived[*begun]);
                        let comes_first =
                            done.contains(&earlier) || taken[..place].contains(&earlier);
                        prop_assert!(!is_before || comes_first);
                    }
                }
                lanes.push(taken);
            }
        }
    }
}
