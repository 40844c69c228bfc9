//! A protocol on top of the plans, in memory: three systems say what they hold, a hub
//! plans and sends orders, and people answer; with outages, messages delivered again and
//! overtaken, refusals, edits meanwhile, and turns that end in a crash. Whatever comes, it
//! comes to rest, loses nothing without record, and writes nothing twice.

use std::collections::{BTreeSet, VecDeque};

use integration_automation_patterns::Decision;
use integration_automation_patterns::sync::{
    Answer, Base, Bases, Choice, Content, FailedWrites, FieldPlan, HighWaterMark, News,
    NonOwnerEdits, Rule, Slot, Verdict, Write,
};
use proptest::prelude::*;

const SYSTEMS: [&str; 3] = ["crm", "erp", "billing"];

type Value = Option<u16>;

/// One system, with an inbox that takes each order once.
#[derive(Clone)]
struct System {
    holds: Value,
    version: u64,
    taken: BTreeSet<u64>,
    /// A value that a rule of its own forbids.
    refuses: Value,
    to_hub: VecDeque<Message>,
    orders: VecDeque<Order>,
}

/// What a system tells the hub, in the transaction of the change.
#[derive(Clone, Debug)]
struct Message {
    id: (usize, u64),
    system: usize,
    version: u64,
    holds: Value,
    /// The order that this is the outcome of, and what came of it.
    outcome: Option<(u64, Outcome)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Made,
    MovedOn,
    Refused,
}

#[derive(Clone, Debug)]
struct Order {
    id: u64,
    value: Value,
    expects: Value,
}

/// What the hub stores, all of it in the transaction of a turn.
#[derive(Clone)]
struct Page {
    known: Bases<u16>,
    shown: [Slot<u16>; 3],
    open: [Option<Order>; 3],
    latest: HighWaterMark<u64>,
    taken: BTreeSet<(usize, u64)>,
    failed: FailedWrites<u16>,
    asked: Option<[Slot<u16>; 3]>,
    next_order: u64,
    /// What is on record: edits that were overridden, and values that a person has seen
    /// in a question.
    lost: BTreeSet<u16>,
    seen: BTreeSet<u16>,
}

struct World {
    rule: Rule,
    systems: [System; 3],
    page: Page,
    /// Values that somebody entered, and nobody has replaced who saw them.
    entered: BTreeSet<u16>,
    next_value: u16,
    delivered: (Vec<Message>, Vec<(usize, Order)>),
    writes: usize,
}

/// What happens next.
#[derive(Debug, Clone)]
enum Deed {
    /// Somebody enters a value that is new, or one of a few, or clears the field.
    Edit(usize, Option<Option<u16>>),
    /// The hub takes the next message of a system; or the turn ends in a crash.
    Hub(usize, bool),
    /// A system takes its next order; or crashes.
    System(usize, bool),
    /// A message or an order arrives again.
    Again(bool, prop::sample::Index),
    /// A person answers the open question: with a side, or with something else.
    Answer(usize),
}

impl World {
    fn new(rule: Rule, start: [Value; 3], refuses: Value) -> Self {
        let system = |holds| System {
            holds,
            version: 0,
            taken: BTreeSet::new(),
            refuses: None,
            to_hub: VecDeque::new(),
            orders: VecDeque::new(),
        };
        let mut systems = start.map(system);
        systems[1].refuses = refuses;
        let page = Page {
            known: Bases::common(Base::Never, 3),
            shown: [Slot::Unread; 3],
            open: [const { None }; 3],
            latest: HighWaterMark::default(),
            taken: BTreeSet::new(),
            failed: FailedWrites::default(),
            asked: None,
            next_order: 0,
            lost: BTreeSet::new(),
            seen: BTreeSet::new(),
        };
        let mut world = Self {
            rule,
            systems,
            page,
            entered: BTreeSet::new(),
            next_value: 100,
            delivered: (Vec::new(), Vec::new()),
            writes: 0,
        };
        (0..3).for_each(|system| world.say(system, None));
        world
    }

    fn say(&mut self, system: usize, outcome: Option<(u64, Outcome)>) {
        let of = &mut self.systems[system];
        let id = (system, of.version * 2 + u64::from(outcome.is_some()));
        let id = outcome.map_or(id, |(order, _)| (system + 3, order));
        let message =
            Message { id, system, version: of.version, holds: of.holds, outcome };
        of.to_hub.push_back(message);
    }

    fn set(&mut self, system: usize, value: Value) {
        self.systems[system].holds = value;
        self.systems[system].version += 1;
        self.say(system, None);
    }

    fn edit(&mut self, system: usize, value: Value) {
        let before = self.systems[system].holds;
        if before == value {
            return;
        }
        // Whoever replaces a value in a system that shows it knows what is replaced.
        before.iter().for_each(|before| {
            self.entered.remove(before);
        });
        if let Some(value) = value.filter(|value| *value >= 100) {
            self.entered.insert(value);
        }
        self.set(system, value);
    }

    fn system_takes(&mut self, system: usize, order: &Order) {
        if !self.systems[system].taken.insert(order.id) {
            return;
        }
        let holds = self.systems[system].holds;
        let outcome = if holds == order.value {
            Outcome::Made
        } else if holds != order.expects {
            Outcome::MovedOn
        } else if order.value.is_some() && order.value == self.systems[system].refuses {
            Outcome::Refused
        } else {
            self.writes += 1;
            self.set(system, order.value);
            Outcome::Made
        };
        self.say(system, Some((order.id, outcome)));
    }

    fn perform(&mut self, deed: &Deed) {
        match deed {
            Deed::Edit(system, value) => {
                let value = value.unwrap_or_else(|| {
                    self.next_value += 1;
                    Some(self.next_value)
                });
                self.edit(*system, value);
            }
            Deed::Hub(system, crashes) => {
                if let Some(message) = self.systems[*system].to_hub.front().cloned() {
                    let mut page = self.page.clone();
                    let orders = page.takes(self.rule, &message);
                    // A crash before the commit: neither page nor orders, and the message
                    // is delivered again.
                    if !crashes {
                        self.systems[*system].to_hub.pop_front();
                        self.delivered.0.push(message);
                        self.commit(page, orders);
                    }
                }
            }
            Deed::System(system, crashes) => {
                let first = self.systems[*system].orders.front().cloned();
                if let Some(order) = first.filter(|_| !crashes) {
                    self.systems[*system].orders.pop_front();
                    self.system_takes(*system, &order);
                    self.delivered.1.push((*system, order));
                }
            }
            Deed::Again(to_hub, which) => {
                let (messages, orders) = &self.delivered;
                if *to_hub && !messages.is_empty() {
                    let message = messages[which.index(messages.len())].clone();
                    let mut page = self.page.clone();
                    let orders = page.takes(self.rule, &message);
                    self.commit(page, orders);
                } else if !*to_hub && !orders.is_empty() {
                    let (system, order) = orders[which.index(orders.len())].clone();
                    self.system_takes(system, &order);
                }
            }
            Deed::Answer(choice) => {
                let mut page = self.page.clone();
                let orders = page.answer(self.rule, *choice);
                self.commit(page, orders);
            }
        }
    }

    fn commit(&mut self, page: Page, orders: Vec<(usize, Order)>) {
        self.page = page;
        for (system, order) in orders {
            self.systems[system].orders.push_back(order);
        }
    }

    /// Delivers everything there is, and gives the number of steps.
    fn deliver_all(&mut self) -> usize {
        let mut steps = 0;
        let waits = |world: &Self| {
            (0..3).find(|system| {
                let of = &world.systems[*system];
                !of.to_hub.is_empty() || !of.orders.is_empty()
            })
        };
        while let Some(system) = waits(self) {
            self.perform(&Deed::System(system, false));
            self.perform(&Deed::Hub(system, false));
            steps += 1;
            assert!(steps < 5_000, "it does not come to rest");
        }
        steps
    }
}

impl Page {
    fn takes(&mut self, rule: Rule, message: &Message) -> Vec<(usize, Order)> {
        if !self.taken.insert(message.id) {
            return Vec::new();
        }
        let (system, name) = (message.system, SYSTEMS[message.system]);
        if let Some((id, outcome)) = message.outcome {
            let order = self.open[system].take_if(|order| order.id == id);
            let Some(order) = order else { return Vec::new() };
            match outcome {
                Outcome::Made => {
                    self.known.confirmed[system] = Base::Known(order.value);
                    self.failed.made(system);
                }
                Outcome::Refused => self.failed.failed(system, order.value.as_ref()),
                Outcome::MovedOn => {}
            }
        }
        if self.latest.look(name, message.version) == News::Newer {
            self.latest.processed(name, message.version);
            self.shown[system] = Slot::from(message.holds);
        } else if message.outcome.is_none() {
            return Vec::new();
        }
        self.plan(rule)
    }

    /// What is on its way counts as there.
    fn in_effect(&self) -> ([Slot<u16>; 3], Bases<u16>) {
        let (mut slots, mut known) = (self.shown, self.known.clone());
        for (system, order) in self.open.iter().enumerate() {
            if let Some(order) = order {
                slots[system] = Slot::from(order.value);
                known.confirmed[system] = Base::Known(order.value);
            }
        }
        (slots, known)
    }

    fn plan(&mut self, rule: Rule) -> Vec<(usize, Order)> {
        let (shown, known) = self.in_effect();
        let slots = shown.each_ref();
        let plan = FieldPlan::with_bases(rule, &slots, &known);
        let plan = plan.ask_if_stuck(&self.failed);
        if matches!(plan.verdict(), Verdict::Ask(_)) {
            self.asked = Some(shown);
            let values = shown.iter().filter_map(Slot::value);
            self.seen.extend(values.filter(|value| **value >= 100));
            return Vec::new();
        }
        self.asked = None;
        let writes = plan.writes().collect::<Vec<_>>();
        self.send(&writes, |not_made| plan.next_without(not_made))
    }

    fn answer(&mut self, rule: Rule, choice: usize) -> Vec<(usize, Order)> {
        let (shown, known) = self.in_effect();
        if self.asked.is_none() {
            return Vec::new();
        }
        assert_eq!(self.asked, Some(shown), "a question is to what is known");
        let slots = shown.each_ref();
        let plan = FieldPlan::with_bases(rule, &slots, &known);
        let plan = plan.ask_if_stuck(&self.failed);
        let row = plan.review("C-1", "field", SYSTEMS).expect("it is asked");
        let choice =
            if choice < 3 { Choice::Side(choice) } else { Choice::Other(Some(9)) };
        let decision =
            Decision::new("on-call", "as the customer says").expect("not blank");
        let Ok(settled) = plan.settle("C-1", "field", Answer::to(&row, choice, decision))
        else {
            return Vec::new(); // that system said nothing
        };
        self.asked = None;
        self.failed = FailedWrites::default();
        let writes = settled.writes().collect::<Vec<_>>();
        let mut orders = self.send(&writes, |not_made| settled.next_without(not_made));
        orders.extend(self.plan(rule));
        orders
    }

    /// Sends an order to each system that has none open; the others are planned again
    /// with the outcome of theirs.
    fn send(
        &mut self,
        writes: &[Write<'_, u16>],
        next: impl FnOnce(&[usize]) -> Bases<u16>,
    ) -> Vec<(usize, Order)> {
        let not_made = writes.iter().map(Write::to).collect::<Vec<_>>();
        let mut next = next(&not_made);
        for (system, open) in self.open.iter().enumerate() {
            if open.is_some() {
                next.confirmed[system] = self.known.confirmed[system];
            }
        }
        let before = std::mem::replace(&mut self.known, next);
        let mut orders = Vec::new();
        for write in writes {
            let system = write.to();
            assert_ne!(write.value(), write.expects(), "a write that changes nothing");
            if self.open[system].is_none() {
                let lost = write.lost().and_then(Content::into_option);
                // What a first synchronisation replaces was nobody's edit: it is what the
                // write expects.
                let first = before.confirmed[system] == Base::Never;
                let replaced = write.expects().filter(|_| first);
                self.lost.extend(lost.or(replaced).copied());
                self.next_order += 1;
                let order = Order {
                    id: self.next_order,
                    value: write.value().copied(),
                    expects: write.expects().copied(),
                };
                self.open[system] = Some(order.clone());
                orders.push((system, order));
            }
        }
        orders
    }
}

fn deed() -> impl Strategy<Value = Deed> {
    let of_few = prop::option::of(prop::option::weighted(0.8, 0_u16..4));
    prop_oneof![
        4 => (0_usize..3, of_few).prop_map(|(system, value)| Deed::Edit(system, value)),
        4 => (0_usize..3, prop::bool::weighted(0.1)).prop_map(|(system, crashes)| Deed::Hub(system, crashes)),
        4 => (0_usize..3, prop::bool::weighted(0.1)).prop_map(|(system, crashes)| Deed::System(system, crashes)),
        2 => (any::<bool>(), any::<prop::sample::Index>()).prop_map(|(to_hub, which)| Deed::Again(to_hub, which)),
        1 => (0_usize..4).prop_map(Deed::Answer),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let others = [NonOwnerEdits::Reject, NonOwnerEdits::Queue, NonOwnerEdits::Overwrite];
    let owned = (0_usize..3, prop::sample::select(others.to_vec()))
        .prop_map(|(owner, others)| Rule::Owner(owner, others));
    prop_oneof![2 => owned, 3 => Just(Rule::Shared), 1 => Just(Rule::Manual)]
}

fn value() -> impl Strategy<Value = Value> {
    prop::option::weighted(0.8, 0_u16..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Laws 38, 39, 41, 42 and 43 over any schedule; a system may be away for all of its
    /// first part.
    #[test]
    fn any_schedule_comes_to_rest_and_loses_nothing_unseen(
        rule in rule(),
        start in prop::array::uniform3(value()),
        refuses in value(),
        away in 0_usize..5,
        deeds in prop::collection::vec(deed(), 0..80),
    ) {
        let mut world = World::new(rule, start, refuses);
        for deed in &deeds {
            let of_away = match deed {
                Deed::Hub(system, _) | Deed::System(system, _) => *system == away,
                _ => false,
            };
            if !of_away {
                world.perform(deed);
            }
        }
        world.deliver_all();

        let holds = world.systems.each_ref().map(|system| system.holds);
        let agree = holds.windows(2).all(|pair| pair[0] == pair[1]);
        prop_assert!(world.page.open.iter().all(Option::is_none), "an order is open");
        prop_assert_eq!(world.page.shown, holds.map(Slot::from));
        prop_assert!(agree != world.page.asked.is_some(), "{:?} {:?}", holds, world.page.asked);
        if agree {
            prop_assert_eq!(world.page.known.in_common(), Some(&Base::Known(holds[0])));
        }
        for entered in &world.entered {
            let page = &world.page;
            let on_record = holds.contains(&Some(*entered))
                || [&page.lost, &page.seen].iter().any(|known| known.contains(entered));
            prop_assert!(on_record, "{entered} was lost without record");
        }
        if rule == Rule::Shared {
            prop_assert!(world.page.lost.iter().all(|lost| world.page.seen.contains(lost) || *lost < 100));
        }

        // Everything once more: nothing is written twice.
        let before = (world.writes, holds);
        let (messages, orders) = world.delivered.clone();
        for (system, order) in &orders {
            world.system_takes(*system, order);
        }
        for message in &messages {
            let mut page = world.page.clone();
            let orders = page.takes(rule, message);
            world.commit(page, orders);
        }
        world.deliver_all();
        prop_assert_eq!((world.writes, world.systems.each_ref().map(|system| system.holds)), before);
    }
}
