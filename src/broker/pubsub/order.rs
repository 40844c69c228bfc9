//! What waits to be handed out, and which of it is next: of one ordering key, one message
//! at a time is in anybody's hands.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// The ordering key of a message, where it has one.
pub(super) type Key = Option<Arc<str>>;

/// The messages by their numbers, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Order {
    waiting: VecDeque<(Key, u64)>,
    /// The keys of which one is in hand, or waits for its retry.
    in_hand: HashSet<Arc<str>>,
}

impl Order {
    pub(super) fn push(&mut self, key: Key, number: u64) {
        self.waiting.push_back((key, number));
    }

    /// The first message whose key is not in hand.
    pub(super) fn next(&mut self) -> Option<(Key, u64)> {
        let is_free =
            |key: &Key| key.as_ref().is_none_or(|key| !self.in_hand.contains(key));
        let place = self.waiting.iter().position(|(key, _)| is_free(key))?;
        let (key, number) = self.waiting.remove(place)?;
        self.in_hand.extend(key.clone());
        Some((key, number))
    }

    /// The message of this key that was in hand is dealt with: the next may follow.
    pub(super) fn done(&mut self, key: &Key) {
        if let Some(key) = key {
            self.in_hand.remove(key);
        }
    }

    /// The message that was in hand is handed out again, before all others of its key.
    pub(super) fn again(&mut self, key: Key, number: u64) {
        self.done(&key);
        self.waiting.push_front((key, number));
    }

    /// The message of this key that was in hand goes back to the server, and so must all
    /// that wait behind it.
    pub(super) fn back(&mut self, key: &Key) -> Vec<u64> {
        self.done(key);
        if key.is_none() {
            return Vec::new();
        }
        let all = std::mem::take(&mut self.waiting);
        let (of_key, others): (VecDeque<_>, VecDeque<_>) =
            all.into_iter().partition(|(other, _)| other == key);
        self.waiting = others;
        of_key.into_iter().map(|(_, number)| number).collect()
    }

    /// All that wait, in their order.
    pub(super) fn drain(&mut self) -> Vec<u64> {
        self.waiting.drain(..).map(|(_, number)| number).collect()
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Push(u8),
        Take,
        Done(u8),
        Again(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..3_u8).prop_map(Step::Push),
            Just(Step::Take),
            (0..3_u8).prop_map(Step::Done),
            (0..3_u8).prop_map(Step::Again),
        ]
    }

    proptest! {
        /// Whatever fails, the messages of a key are dealt with in their order, and no
        /// two of them are in hand at once. Those without a key wait for nothing.
        #[test]
        fn the_messages_of_a_key_keep_their_order(
            steps in prop::collection::vec(step(), 0..300),
        ) {
            let mut order = Order::default();
            let key = |key: u8| -> Key { (key > 0).then(|| key.to_string().into()) };
            let mut pushed = 0;
            let mut in_hand: BTreeMap<u8, u64> = BTreeMap::new();
            let mut undone: BTreeMap<u8, VecDeque<u64>> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Push(of) => {
                        order.push(key(of), pushed);
                        undone.entry(of).or_default().push_back(pushed);
                        pushed += 1;
                    }
                    Step::Take => {
                        let Some((of, number)) = order.next() else { continue };
                        let Some(of) = of else { continue };
                        let of: u8 = of.parse().unwrap_or_default();
                        prop_assert_eq!(in_hand.insert(of, number), None);
                        let first = undone.get(&of).and_then(|all| all.front());
                        prop_assert_eq!(first, Some(&number));
                    }
                    Step::Done(of) => {
                        if in_hand.remove(&of).is_some() {
                            order.done(&key(of));
                            undone.entry(of).or_default().pop_front();
                        }
                    }
                    Step::Again(of) => {
                        if let Some(number) = in_hand.remove(&of) {
                            order.again(key(of), number);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_goes_back_takes_all_of_its_key_with_it() {
        let mut order = Order::default();
        let key = || -> Key { Some("lead-7".into()) };
        for number in 0..3 {
            order.push(key(), number);
        }
        order.push(None, 3);
        assert_eq!(order.next(), Some((key(), 0)));
        assert_eq!(order.back(&key()), [1, 2]);
        assert_eq!(order.drain(), [3]);
    }
}
