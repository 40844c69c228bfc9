//! What a listener has fetched and not handed out, and which of it is next: of one group,
//! one message at a time is in anybody's hands.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// The name of a group of a FIFO queue.
pub(super) type Group = Arc<str>;

/// How many messages that could be handed out are enough.
const ENOUGH: usize = 10;

/// How many wait at the most, where they are of groups in hand.
const MOST: usize = 100;

/// The messages in the order in which they came.
pub(super) struct Buffer<T> {
    waiting: VecDeque<(Option<Group>, T)>,
    /// The groups of which one is in hand.
    in_hand: HashSet<Group>,
}

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), in_hand: HashSet::new() }
    }
}

impl<T> Buffer<T> {
    pub(super) fn push(&mut self, group: Option<Group>, message: T) {
        self.waiting.push_back((group, message));
    }

    /// The first message whose group is not in hand.
    pub(super) fn next(&mut self) -> Option<(Option<Group>, T)> {
        let is_free = |group: &Option<Group>| {
            group.as_ref().is_none_or(|group| !self.in_hand.contains(group))
        };
        let place = self.waiting.iter().position(|(group, _)| is_free(group))?;
        let (group, message) = self.waiting.remove(place)?;
        self.in_hand.extend(group.clone());
        Some((group, message))
    }

    /// The message of this group that was in hand is dealt with: the next may follow.
    pub(super) fn done(&mut self, group: &Group) {
        self.in_hand.remove(group);
    }

    /// The message of this group that was in hand comes again, and so must all that wait
    /// behind it, in their order.
    pub(super) fn back(&mut self, group: &Group) -> Vec<T> {
        self.in_hand.remove(group);
        let all = std::mem::take(&mut self.waiting);
        let (of_group, others): (VecDeque<_>, VecDeque<_>) =
            all.into_iter().partition(|(other, _)| other.as_ref() == Some(group));
        self.waiting = others;
        of_group.into_iter().map(|(_, message)| message).collect()
    }

    /// All that wait, in their order.
    pub(super) fn drain(&mut self) -> Vec<T> {
        self.waiting.drain(..).map(|(_, message)| message).collect()
    }

    /// Whether more are to be fetched.
    pub(super) fn has_room(&self) -> bool {
        let mut groups = HashSet::new();
        let ready = self.waiting.iter().filter(|(group, _)| match group {
            Some(group) => !self.in_hand.contains(group) && groups.insert(group),
            None => true,
        });
        ready.count() < ENOUGH && self.waiting.len() < MOST
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// The queue hands out the next of a group, where it may.
        Fetch(u8),
        Take,
        /// What is in hand of a group is dealt with, or comes again.
        Done(u8),
        Back(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..3_u8).prop_map(Step::Fetch),
            Just(Step::Take),
            (0..3_u8).prop_map(Step::Done),
            (0..3_u8).prop_map(Step::Back),
        ]
    }

    proptest! {
        /// Whatever fails, the messages of a group are dealt with in their order, and no
        /// two of them are in hand at once.
        #[test]
        fn the_messages_of_a_group_keep_their_order(
            steps in prop::collection::vec(step(), 0..300),
        ) {
            let mut buffer = Buffer::default();
            // Of each group: the next that the queue hands out, what is in hand, and how
            // many are done.
            let mut fetched: BTreeMap<u8, u32> = BTreeMap::new();
            let mut in_hand: BTreeMap<u8, u32> = BTreeMap::new();
            let mut done: BTreeMap<u8, u32> = BTreeMap::new();
            let name = |group: u8| -> Group { group.to_string().into() };
            for step in steps {
                match step {
                    Step::Fetch(group) => {
                        let number = fetched.entry(group).or_default();
                        buffer.push(Some(name(group)), *number);
                        *number += 1;
                    }
                    Step::Take => {
                        let Some((Some(group), number)) = buffer.next() else { continue };
                        let group = group.parse().unwrap_or_default();
                        prop_assert!(in_hand.insert(group, number).is_none());
                    }
                    Step::Done(group) => {
                        let Some(number) = in_hand.remove(&group) else { continue };
                        buffer.done(&name(group));
                        let expected = done.entry(group).or_default();
                        prop_assert_eq!(number, *expected);
                        *expected += 1;
                    }
                    Step::Back(group) => {
                        let Some(number) = in_hand.remove(&group) else { continue };
                        let rest = buffer.back(&name(group));
                        let wanted: Vec<u32> = (number + 1..fetched[&group]).collect();
                        prop_assert_eq!(rest, wanted, "all behind it go back");
                        fetched.insert(group, number);
                    }
                }
            }
        }
    }

    #[test]
    fn a_slow_group_leaves_room_for_others_and_has_an_end() {
        let mut buffer = Buffer::default();
        let slow: Group = "slow".into();
        for number in 0..10 {
            buffer.push(Some(Arc::clone(&slow)), number);
        }
        assert_eq!(buffer.next().map(|(_, number)| number), Some(0));
        assert!(buffer.next().is_none() && buffer.has_room());
        for number in 0..10 {
            buffer.push(None, number);
        }
        assert!(!buffer.has_room(), "ten can be handed out");
        assert_eq!(buffer.next(), Some((None, 0)), "past those that wait");
        for number in 0..100 {
            buffer.push(Some(Arc::clone(&slow)), number);
        }
        while buffer.next().is_some() {}
        assert!(!buffer.has_room(), "nobody fetches without an end");
    }
}
