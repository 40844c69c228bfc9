//! A model of one ordering key, from its outbox to the effects of many consumers, under
//! random schedules of sends, lost confirmations, repeated and reordered deliveries,
//! failures, dead letters and people's decisions.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::ByKey;
use super::turn::{Before, Turn, turn};
use crate::outbox::OnDeadLetter;

/// The random choices of one schedule.
struct Chances(std::vec::IntoIter<u16>);

impl Chances {
    fn of(&mut self, many: usize) -> usize {
        usize::from(self.0.next().unwrap_or_default()) % many.max(1)
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.of(many) == 1
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Waits,
    Confirmed,
    Dead,
    Discarded,
}

/// A message: an event, by its number, and the one that it names.
type Message = (usize, Option<usize>);

/// The outbox and its relay, which sends the first event that is not over.
struct Sender {
    events: Vec<Sent>,
    rule: OnDeadLetter,
    /// The last confirmed event.
    last: Option<usize>,
    /// The events that were given up once: later ones may have gone on without them.
    given_up: Vec<bool>,
}

impl Sender {
    fn step(&mut self, chances: &mut Chances, broker: &mut Vec<Message>) {
        let skips = self.rule == OnDeadLetter::Skip;
        let next = self.events.iter().position(|event| match event {
            Sent::Waits => true,
            Sent::Dead => !skips || chances.one_in(8),
            Sent::Confirmed | Sent::Discarded => false,
        });
        let Some(next) = next else { return };
        if self.events[next] == Sent::Dead {
            let redrives = chances.one_in(2);
            self.events[next] = if redrives { Sent::Waits } else { Sent::Discarded };
            return;
        }
        let message = (next, self.last.filter(|last| *last < next));
        match chances.of(10) {
            // It arrived, and the confirmation is lost.
            0 => broker.push(message),
            1 => {
                broker.extend(chances.one_in(2).then_some(message));
                self.events[next] = Sent::Dead;
                self.given_up[next] = true;
            }
            _ => {
                broker.push(message);
                self.events[next] = Sent::Confirmed;
                self.last = self.last.max(Some(next));
            }
        }
    }
}

/// What an inbox knows of an event that it has received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Has {
    Processed,
    Retrying,
    Held { after: Option<usize> },
    Dead,
    Skipped,
}

struct Receiver {
    order: ByKey,
    has: BTreeMap<usize, Has>,
    effects: Vec<usize>,
    poison: Vec<bool>,
    /// How often an event fails before it succeeds.
    fails: Vec<usize>,
}

impl Receiver {
    fn before(&self, after: usize) -> Before {
        match self.has.get(&after) {
            None => Before::Missing,
            Some(Has::Processed | Has::Skipped) => Before::Done,
            Some(Has::Retrying) => Before::Retrying,
            Some(Has::Held { .. }) => Before::Held,
            Some(Has::Dead) => Before::Dead,
        }
    }

    fn turn(&self, before: Option<Before>) -> Turn {
        before.map_or(Turn::Now, |before| turn(Some(&self.order), before, Duration::ZERO))
    }

    /// Handles or holds a message, by what the consumer saw of its predecessor a while
    /// ago; says whether the broker must deliver it again.
    fn receive(&mut self, (event, after): Message, before: Option<Before>) -> bool {
        match self.has.get(&event) {
            Some(Has::Retrying) | None if self.turn(before) == Turn::Now => {
                self.handle(event, Has::Retrying)
            }
            None => {
                self.has.insert(event, Has::Held { after });
                false
            }
            Some(_) => false,
        }
    }

    fn handle(&mut self, event: usize, fails: Has) -> bool {
        let has = if self.poison[event] {
            Has::Dead
        } else if let Some(left) = self.fails[event].checked_sub(1) {
            self.fails[event] = left;
            fails
        } else {
            self.effects.push(event);
            Has::Processed
        };
        self.has.insert(event, has);
        has == Has::Retrying
    }

    /// Handles every held event whose turn has come.
    fn take_up(&mut self) {
        loop {
            let due = self.has.iter().find_map(|(event, has)| match has {
                Has::Held { after: None } => Some(*event),
                Has::Held { after: Some(after) } => {
                    let turn = self.turn(Some(self.before(*after)));
                    (turn == Turn::Now).then_some(*event)
                }
                _ => None,
            });
            let Some(event) = due else { return };
            self.handle(event, Has::Held { after: None });
        }
    }

    fn discard(&mut self, chances: &mut Chances) {
        let dead = self.has.iter().find(|(_, has)| **has == Has::Dead);
        if let Some(event) = dead.map(|(event, _)| *event).filter(|_| chances.one_in(40))
        {
            self.has.insert(event, Has::Skipped);
        }
    }
}

/// Runs a schedule, and then delivers all that the broker still has.
fn run(
    count: usize,
    rules: [OnDeadLetter; 2],
    mut chances: Chances,
) -> (Sender, Receiver) {
    let mut sender = Sender {
        events: vec![Sent::Waits; count],
        rule: rules[0],
        last: None,
        given_up: vec![false; count],
    };
    let mut receiver = Receiver {
        order: ByKey::default().on_dead_letter(rules[1]),
        has: BTreeMap::new(),
        effects: Vec::new(),
        poison: (0..count).map(|_| chances.one_in(12)).collect(),
        fails: (0..count).map(|_| chances.of(3)).collect(),
    };
    let (mut broker, mut delivered) = (Vec::new(), Vec::new());
    // Deliveries that consumers have begun and not yet stored, while others go on.
    let mut begun: Vec<(Message, Option<Before>)> = Vec::new();
    for _ in 0..300 {
        match chances.of(6) {
            0 | 1 => sender.step(&mut chances, &mut broker),
            2 if !delivered.is_empty() && chances.one_in(4) => {
                broker.push(delivered[chances.of(delivered.len())]);
            }
            2 | 3 if !broker.is_empty() => {
                let message: Message = broker.swap_remove(chances.of(broker.len()));
                delivered.push(message);
                begun.push((message, message.1.map(|after| receiver.before(after))));
            }
            4 if !begun.is_empty() => {
                let (message, before) = begun.swap_remove(chances.of(begun.len()));
                broker.extend(receiver.receive(message, before).then_some(message));
            }
            5 => {
                receiver.take_up();
                receiver.discard(&mut chances);
            }
            _ => {}
        }
    }
    broker.extend(begun.into_iter().map(|(message, _)| message));
    while let Some(message) = broker.pop() {
        let before = message.1.map(|after| receiver.before(after));
        broker.extend(receiver.receive(message, before).then_some(message));
    }
    receiver.take_up();
    (sender, receiver)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn effects_are_once_and_in_order_and_nothing_is_held_for_ever(
        count in 1..12_usize,
        skips in any::<[bool; 2]>(),
        chances in proptest::collection::vec(any::<u16>(), 1_500),
    ) {
        use OnDeadLetter::{Block, Skip};
        let rules = skips.map(|skips| if skips { Skip } else { Block });
        let (sender, receiver) = run(count, rules, Chances(chances.into_iter()));
        let effects = &receiver.effects;
        for (place, event) in effects.iter().enumerate() {
            prop_assert!(!effects[..place].contains(event), "twice: {effects:?}");
            for later in &effects[place..] {
                // Others went on without what was given up, and a person has seen that.
                let is_late = sender.given_up[*later] || sender.given_up[*event];
                prop_assert!(later >= event || is_late, "out of order: {effects:?}");
            }
        }
        let blocks = rules[1] == Block && receiver.has.values().any(|has| *has == Has::Dead);
        for has in receiver.has.values() {
            prop_assert!(blocks || !matches!(has, Has::Held { .. }), "{:?}", receiver.has);
        }
    }
}
