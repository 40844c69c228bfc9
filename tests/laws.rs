//! What the reconcile kernel obeys, checked for every case that there is.
//!
//! The kernel only compares, so what it does for n systems is fixed by the equality pattern of n slots and a base. The
//! cases below run through every pattern of n + 1 distinct values, for 2, 3 and 4 systems: a proof, not a sample.

use std::time::Duration;

use chrono::DateTime;
use integration_automation_patterns::sync::{Base, FieldPlan, Question, Rule, Slot, Stamp, Verdict};

type State = Vec<Slot<u8>>;

/// A plan with nothing borrowed, to be compared and kept.
#[derive(Debug, Clone, PartialEq)]
struct Plan {
    verdict: Verdict,
    outcome: Option<Option<u8>>,
    writes: Vec<Written>,
    sides: Vec<(usize, Option<u8>)>,
    next: Base<u8>,
}

#[derive(Debug, Clone, PartialEq)]
struct Written {
    to: usize,
    value: Option<u8>,
    expects: Option<u8>,
    lost: Option<Option<u8>>,
}

fn plan(rule: Rule, state: &State, base: &Base<u8>) -> Plan {
    let slots = state.iter().collect::<Vec<_>>();
    let plan = FieldPlan::new(rule, &slots, base);
    let written = |write: integration_automation_patterns::sync::Write<'_, u8>| Written {
        to: write.to,
        value: write.value.copied(),
        expects: write.expects.copied(),
        lost: write.lost().map(Option::<&u8>::copied),
    };
    Plan {
        verdict: plan.verdict(),
        outcome: plan.outcome().map(Option::<&u8>::copied),
        writes: plan.writes().map(written).collect(),
        sides: plan.sides().map(|(place, value)| (place, value.copied())).collect(),
        next: plan.next_base(),
    }
}

/// The state after some of the writes, each of which finds what it expects.
fn apply(plan: &Plan, state: &State, included: impl Fn(usize) -> bool) -> State {
    let mut state = state.clone();
    for write in plan.writes.iter().filter(|write| included(write.to)) {
        assert_eq!(state[write.to], Slot::from(write.expects));
        state[write.to] = Slot::from(write.value);
    }
    state
}

fn edited(slot: &Slot<u8>, base: &Base<u8>) -> bool {
    match (slot, base) {
        (Slot::Unread, _) | (Slot::Empty, Base::Never) => false,
        (Slot::Value(_), Base::Never) => true,
        (Slot::Empty, Base::Known(agreed)) => agreed.is_some(),
        (Slot::Value(value), Base::Known(agreed)) => *agreed != Some(*value),
    }
}

/// One case, and the plan for it.
struct Case {
    rule: Rule,
    state: State,
    base: Base<u8>,
    plan: Plan,
}

impl Case {
    fn new(rule: Rule, state: State, base: Base<u8>) -> Self {
        let plan = plan(rule, &state, &base);
        Self { rule, state, base, plan }
    }

    fn asks(&self) -> bool {
        matches!(self.plan.verdict, Verdict::Ask(_))
    }

    fn applied(&self) -> State {
        apply(&self.plan, &self.state, |_| true)
    }

    fn edits(&self) -> impl Iterator<Item = (usize, Option<u8>)> {
        let edits = self.state.iter().enumerate().filter(|(_, slot)| edited(slot, &self.base));
        edits.map(|(place, slot)| (place, slot.read().expect("an edit was read").copied()))
    }

    /// The same case with the systems in another order.
    fn permuted(&self, order: &[usize]) -> Self {
        let state = order.iter().map(|place| self.state[*place]).collect();
        let rule = match self.rule {
            Rule::Owner(owner) => Rule::Owner(order.iter().position(|place| *place == owner).expect("a permutation")),
            rule => rule,
        };
        Self::new(rule, state, self.base)
    }
}

/// Every case for so many systems.
fn cases(systems: usize) -> impl Iterator<Item = Case> {
    let values = u8::try_from(systems).expect("few") + 1;
    let slots = || [Slot::Unread, Slot::Empty].into_iter().chain((0..values).map(Slot::Value)).collect::<Vec<_>>();
    let bases = [Base::Never, Base::Known(None)].into_iter().chain((0..values).map(|value| Base::Known(Some(value))));
    let rules = (0..systems).map(Rule::Owner).chain([Rule::Shared, Rule::Manual]).collect::<Vec<_>>();
    let mut states = vec![State::new()];
    for _ in 0..systems {
        let longer =
            |state: &State| slots().into_iter().map(|slot| [state.as_slice(), &[slot]].concat()).collect::<Vec<_>>();
        states = states.iter().flat_map(longer).collect();
    }
    let of_base = move |base: Base<u8>| {
        let rules = rules.clone();
        let of_state =
            move |state: State| rules.clone().into_iter().map(move |rule| Case::new(rule, state.clone(), base));
        states.clone().into_iter().flat_map(of_state)
    };
    bases.flat_map(of_base)
}

/// A law, checked in every case; the number of cases it speaks of must not be none.
fn law(holds: impl Fn(&Case) -> Option<bool>) {
    for systems in 2..=4 {
        let mut spoken = 0;
        for case in cases(systems) {
            if let Some(holds) = holds(&case) {
                assert!(holds, "{:?} {:?} {:?} -> {:?}", case.rule, case.state, case.base, case.plan);
                spoken += 1;
            }
        }
        assert!(spoken > 0, "the law speaks of no case");
    }
}

#[test]
fn law_1_convergence() {
    law(|case| {
        let decided = !case.asks() && case.plan.verdict != Verdict::Unread;
        let applied = case.applied();
        let mut said = applied.iter().filter_map(Slot::read);
        let first = said.next();
        decided.then(|| said.all(|other| Some(other) == first))
    });
}

#[test]
fn law_2_idempotence() {
    law(|case| {
        let again = plan(case.rule, &case.applied(), &case.plan.next);
        let same_question = !case.asks() || (again.verdict == case.plan.verdict && again.sides == case.plan.sides);
        Some(again.writes.is_empty() && same_question && (case.asks() || !matches!(again.verdict, Verdict::Ask(_))))
    });
}

#[test]
fn law_3_crash_safety() {
    law(|case| (!case.plan.writes.is_empty()).then(|| plan(case.rule, &case.applied(), &case.base).writes.is_empty()));
}

#[test]
fn law_4_resumability() {
    law(|case| {
        let subsets = 0..1_u32 << case.state.len();
        let resumed = |subset: u32| {
            let done = |place: usize| subset & (1 << place) != 0;
            let rest = plan(case.rule, &apply(&case.plan, &case.state, done), &case.base);
            let left = case.plan.writes.iter().filter(|write| !done(write.to)).cloned().collect::<Vec<_>>();
            rest.writes == left && rest.outcome == case.plan.outcome
        };
        (!case.plan.writes.is_empty()).then(|| subsets.into_iter().all(resumed))
    });
}

#[test]
fn law_5_authority() {
    law(|case| match case.rule {
        Rule::Owner(owner) if !case.plan.writes.is_empty() => {
            let of_the_owner = case.state[owner].read().map(Option::<&u8>::copied);
            Some(case.plan.writes.iter().all(|write| write.to != owner && Some(write.value) == of_the_owner))
        }
        _ => None,
    });
}

#[test]
fn law_6_manual() {
    law(|case| {
        let differ = case.plan.sides.windows(2).any(|pair| pair[0].1 != pair[1].1);
        let asked = case.plan.verdict == Verdict::Ask(Question::Manual);
        (case.rule == Rule::Manual).then_some(case.plan.writes.is_empty() && asked == differ)
    });
}

#[test]
fn law_7_no_invention() {
    law(|case| {
        let read = |value| case.plan.sides.iter().any(|(_, said)| *said == value);
        (!case.plan.writes.is_empty()).then(|| case.plan.writes.iter().all(|write| read(write.value)))
    });
}

#[test]
fn law_8_minimality() {
    law(|case| {
        let one_each = case.plan.writes.windows(2).all(|pair| pair[0].to < pair[1].to);
        let needed = |write: &Written| {
            let said = case.state[write.to].read().map(Option::<&u8>::copied);
            said.is_some() && said != Some(write.value)
        };
        (!case.plan.writes.is_empty()).then(|| one_each && case.plan.writes.iter().all(needed))
    });
}

#[test]
fn law_9_exact_loss() {
    law(|case| {
        let exact = |write: &Written| {
            let said = case.state[write.to].read().map(Option::<&u8>::copied);
            let lost = edited(&case.state[write.to], &case.base).then_some(write.expects);
            Some(write.expects) == said && write.lost == lost
        };
        (!case.plan.writes.is_empty()).then(|| case.plan.writes.iter().all(exact))
    });
}

#[test]
fn law_10_conservation() {
    law(|case| {
        let after = case.applied();
        let kept = |(place, edit): (usize, Option<u8>)| {
            let lost = case.plan.writes.iter().any(|write| write.to == place && write.lost == Some(edit));
            case.plan.outcome == Some(edit) || lost || after[place] == case.state[place]
        };
        let asked = |edit| !case.asks() || case.plan.sides.contains(&edit);
        case.edits().next().map(|_| case.edits().all(|edit| kept(edit) && asked(edit)))
    });
}

#[test]
fn law_11_maximality() {
    law(|case| {
        let first = case.edits().next();
        let edits_differ = case.edits().any(|(_, edit)| first.is_some_and(|(_, first)| first != edit));
        match case.rule {
            Rule::Shared => case.asks().then_some(edits_differ),
            Rule::Owner(owner) => case.asks().then(|| case.base == Base::Never && case.state[owner] == Slot::Empty),
            Rule::Manual => None,
        }
    });
}

#[test]
fn law_12_quiescence() {
    law(|case| {
        let unchanged = case.edits().next().is_none() && case.base != Base::Never;
        let quiet = case.plan.writes.is_empty() && !case.asks() && case.plan.next == case.base;
        unchanged.then_some(quiet)
    });
}

#[test]
fn law_13_symmetry() {
    law(|case| {
        let systems = case.state.len();
        let mut orders =
            (1..systems).map(|by| (0..systems).map(|place| (place + by) % systems).collect()).collect::<Vec<Vec<_>>>();
        orders.push([1, 0].into_iter().chain(2..systems).collect());
        let same = |order: &Vec<usize>| {
            let other = case.permuted(order).plan;
            let renamed = other.writes.iter().map(|write| Written { to: order[write.to], ..write.clone() });
            let mut writes = renamed.collect::<Vec<_>>();
            writes.sort_by_key(|write| write.to);
            let kind = |verdict| match verdict {
                Verdict::Agreed(_) => Verdict::Agreed(0),
                Verdict::Write(_) => Verdict::Write(0),
                verdict => verdict,
            };
            let alike = kind(other.verdict) == kind(case.plan.verdict);
            alike && writes == case.plan.writes && other.outcome == case.plan.outcome && other.next == case.plan.next
        };
        Some(orders.iter().all(same))
    });
}

#[test]
fn law_14_parametricity() {
    law(|case| {
        let renamed = |value: u8| 200 - value;
        let slot = |slot: &Slot<u8>| match slot {
            Slot::Value(value) => Slot::Value(renamed(*value)),
            slot => *slot,
        };
        let base = match case.base {
            Base::Known(agreed) => Base::Known(agreed.map(renamed)),
            Base::Never => Base::Never,
        };
        let other = plan(case.rule, &case.state.iter().map(slot).collect(), &base);
        let written = |write: &Written| Written {
            to: write.to,
            value: write.value.map(renamed),
            expects: write.expects.map(renamed),
            lost: write.lost.map(|lost| lost.map(renamed)),
        };
        let writes = case.plan.writes.iter().map(written).collect::<Vec<_>>();
        Some(other.verdict == case.plan.verdict && other.writes == writes)
    });
}

#[test]
fn law_15_the_base_moves_only_to_what_all_hold() {
    law(|case| {
        let moved = case.plan.next != case.base;
        moved.then(|| {
            case.applied().iter().filter_map(Slot::read).all(|said| Base::Known(said.copied()) == case.plan.next)
        })
    });
}

/// Law 15 over two rounds: what a system holds that was not read in the first is neither taken for agreed nor, in the
/// second, a reason to override an edit silently or to clear a value that was never agreed on.
#[test]
fn law_15_what_was_not_read_is_not_agreed() {
    law(|case| {
        let hidden = [Slot::Empty, Slot::Value(0), Slot::Value(1)];
        let unread = case.state.iter().position(|slot| *slot == Slot::Unread)?;
        let holds = |hidden: &Slot<u8>| {
            let mut state = case.applied();
            state[unread] = *hidden;
            let next = plan(case.rule, &state, &case.plan.next);
            let honest = |write: &Written| write.lost.is_some() || !edited(&state[write.to], &case.base);
            let clears = case.base == Base::Never && next.writes.iter().any(|write| write.value.is_none());
            next.writes.iter().all(honest) && !clears
        };
        Some(case.plan.next == case.base && hidden.iter().all(holds))
    });
}

/// A write that was refused, because its target moved on, moves nothing: with the old base, the next plan knows both
/// edits for what they are.
#[test]
fn law_31_a_refused_write_is_planned_again() {
    law(|case| {
        let refused = case.plan.writes.first()?;
        let holds = |moved_on: Slot<u8>| {
            let mut state = apply(&case.plan, &case.state, |to| to != refused.to);
            state[refused.to] = moved_on;
            let again = plan(case.rule, &state, &case.base);
            again.writes.iter().all(|write| write.lost.is_some() == edited(&state[write.to], &case.base))
        };
        Some([Slot::Empty, Slot::Value(0), Slot::Value(1)].into_iter().all(holds))
    });
}

#[test]
fn law_16_a_first_synchronisation_writes_no_blank_over_a_value() {
    law(|case| {
        let first = case.base == Base::Never && !case.plan.sides.is_empty();
        first.then(|| case.plan.writes.iter().all(|write| write.value.is_some()))
    });
    law(|case| match case.rule {
        Rule::Owner(owner) if case.base == Base::Never && case.state[owner] == Slot::Empty => {
            let others = case.plan.sides.iter().any(|(_, said)| said.is_some());
            Some((case.plan.verdict == Verdict::Ask(Question::BlankOwner)) == others)
        }
        _ => None,
    });
}

#[test]
fn law_17_once_there_is_a_base_clearing_is_an_edit() {
    law(|case| match (case.rule, case.base) {
        (Rule::Owner(owner), Base::Known(Some(_))) if case.state[owner] == Slot::Empty => {
            Some(case.applied().iter().filter_map(Slot::read).all(|said| said.is_none()))
        }
        _ => None,
    });
}

/// A declared preference settles true conflicts on shared fields and nothing else, and what it overrides is on record.
#[test]
fn law_26_a_preference_settles_only_a_true_conflict_on_a_shared_field() {
    let at = |place: usize| {
        let seconds = i64::try_from(place).expect("few") * 100;
        Stamp::OfField(DateTime::from_timestamp(seconds, 0).expect("in 1970"))
    };
    law(|case| {
        let slots = case.state.iter().collect::<Vec<_>>();
        let plan = FieldPlan::new(case.rule, &slots, &case.base);
        let conflict = plan.verdict() == Verdict::Ask(Question::Conflict);
        let settled = |settled: FieldPlan<'_, u8>, place: usize, settles: bool| {
            let verdict = if conflict && settles { Verdict::Write(place) } else { plan.verdict() };
            let listed = |write: integration_automation_patterns::sync::Write<'_, u8>| {
                write.to != place && write.lost().is_some() == edited(&case.state[write.to], &case.base)
            };
            settled.verdict() == verdict && (!(conflict && settles) || settled.writes().all(listed))
        };
        let stamps = (0..slots.len()).map(at).collect::<Vec<_>>();
        let last = slots.iter().rposition(|slot| edited(slot, &case.base));
        let places = (0..slots.len()).all(|place| {
            let (read, value) = (*slots[place] != Slot::Unread, matches!(slots[place], Slot::Value(_)));
            settled(plan.prefer(place), place, read) && settled(plan.prefer_unless_blank(place), place, value)
        });
        let recent = |tolerance, settles| {
            let plan = plan.prefer_last_writer(&stamps, Duration::from_secs(tolerance));
            last.is_none_or(|last| settled(plan, last, settles))
        };
        let too_few = plan.prefer_last_writer(&stamps[1..], Duration::ZERO).verdict() == plan.verdict();
        Some(places && recent(99, true) && recent(10_000, false) && too_few)
    });
}

#[test]
fn law_33_pairs_in_a_chain_depend_on_their_order() {
    let base = Base::Known(Some(0_u8));
    let pair = |one: &mut Slot<u8>, other: &mut Slot<u8>| {
        let state = vec![*one, *other];
        let after = apply(&plan(Rule::Shared, &state, &base), &state, |_| true);
        (*one, *other) = (after[0], after[1]);
    };
    let start = || (Slot::Value(1), Slot::Value(0), Slot::Value(2));
    let (mut a, mut b, mut c) = start();
    pair(&mut a, &mut b);
    pair(&mut b, &mut c);
    let one_way = b;
    let (mut a, mut b, mut c) = start();
    pair(&mut c, &mut b);
    pair(&mut b, &mut a);
    assert_ne!(one_way, b, "the order alone decides what the middle system holds");

    let (a, b, c) = start();
    let at_once = plan(Rule::Shared, &vec![a, b, c], &base);
    assert_eq!((at_once.verdict, at_once.writes), (Verdict::Ask(Question::Conflict), vec![]));
}

#[test]
fn an_owner_that_is_no_party_decides_nothing() {
    let state = vec![Slot::Value(1), Slot::Value(2)];
    assert_eq!(plan(Rule::Owner(2), &state, &Base::Never).verdict, Verdict::Unread);
    assert_eq!(plan(Rule::Shared, &vec![], &Base::Never).verdict, Verdict::Unread);
}
