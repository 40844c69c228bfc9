//! What the reconcile kernel obeys, checked for every case that there is.
//!
//! The kernel only compares, so what it does for n systems is fixed by the equality
//! pattern of n slots and a base. The cases below run through every pattern of n + 1
//! distinct values, for 2, 3 and 4 systems: a proof, not a sample. `bases` does the same
//! for systems with bases of their own.
//!
//! What the others may do with an owned field (`NonOwnerEdits`) changes one thing: where
//! it is `Queue`, an edit of theirs is asked about instead of overridden. Every law holds
//! of such a field as it stands, but two, which hold with that question excepted: law 11
//! (it asks in one case more) and law 17 (an owner's cleared field clears its followers
//! once the proposals are answered). A rejected edit is overridden like any other,
//! because of law 1: systems that keep what was refused would never agree.

mod bases;

use std::sync::LazyLock;
use std::time::Duration;

use chrono::DateTime;
use integration_automation_patterns::sync::{
    Applied, Base, Content, FieldPlan, NonOwnerEdits, Question, Rule, Slot, Stamp,
    Verdict,
};

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

fn copied(content: Content<&u8>) -> Option<u8> {
    content.into_option().copied()
}

fn plan(rule: Rule, state: &State, base: &Base<u8>) -> Plan {
    let slots = state.iter().collect::<Vec<_>>();
    let plan = FieldPlan::new(rule, &slots, base);
    let written = |write: integration_automation_patterns::sync::Write<'_, u8>| Written {
        to: write.to(),
        value: write.value().copied(),
        expects: write.expects().copied(),
        lost: write.lost().map(copied),
    };
    Plan {
        verdict: plan.verdict(),
        outcome: plan.outcome().map(copied),
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

/// Whether a system says something new: on a first synchronisation, any value.
fn is_news(slot: &Slot<u8>, base: &Base<u8>) -> bool {
    match (slot, base) {
        (Slot::Unread | Slot::Unsupported, _) | (Slot::Empty, Base::Never) => false,
        (Slot::Value(_), Base::Never) => true,
        (Slot::Empty, Base::Known(agreed)) => agreed.is_some(),
        (Slot::Value(value), Base::Known(agreed)) => *agreed != Some(*value),
    }
}

/// Whether somebody changed the field: on a first synchronisation, nobody is known to
/// have changed anything (law 50).
fn is_edit(slot: &Slot<u8>, base: &Base<u8>) -> bool {
    *base != Base::Never && is_news(slot, base)
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

    /// Whether a system other than the owner has made an edit that the owner has not.
    fn proposes(&self, owner: usize) -> bool {
        self.base != Base::Never
            && self.news().any(|(place, _)| self.state[place] != self.state[owner])
    }

    fn applied(&self) -> State {
        apply(&self.plan, &self.state, |_| true)
    }

    /// What each system says that is new.
    fn news(&self) -> impl Iterator<Item = (usize, Option<u8>)> {
        let news =
            self.state.iter().enumerate().filter(|(_, slot)| is_news(slot, &self.base));
        news.map(|(place, slot)| (place, copied(slot.read().expect("news was read"))))
    }

    /// The same case with the systems in another order.
    fn permuted(&self, order: &[usize]) -> Self {
        let state = order.iter().map(|place| self.state[*place]).collect();
        let rule = match self.rule {
            Rule::Owner(owner, others) => Rule::Owner(
                order.iter().position(|place| *place == owner).expect("a permutation"),
                others,
            ),
            rule => rule,
        };
        Self::new(rule, state, self.base)
    }
}

/// Whether a shared field is asked about.
fn is_contested(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Ask(Question::Conflict | Question::FirstDiffers))
}

/// Every case for so many systems.
fn cases(systems: usize) -> impl Iterator<Item = Case> {
    let values = u8::try_from(systems).expect("few") + 1;
    let slots = || {
        [Slot::Unread, Slot::Empty]
            .into_iter()
            .chain((0..values).map(Slot::Value))
            .collect::<Vec<_>>()
    };
    let bases = [Base::Never, Base::Known(None)]
        .into_iter()
        .chain((0..values).map(|value| Base::Known(Some(value))));
    // To the kernel, `Reject` and `Overwrite` are one: see `others_is_one_of_three`.
    let owner = |place| {
        [
            Rule::Owner(place, NonOwnerEdits::Reject),
            Rule::Owner(place, NonOwnerEdits::Queue),
        ]
    };
    let rules = (0..systems)
        .flat_map(owner)
        .chain([Rule::Shared, Rule::Manual])
        .collect::<Vec<_>>();
    let mut states = vec![State::new()];
    for _ in 0..systems {
        let longer = |state: &State| {
            slots()
                .into_iter()
                .map(|slot| [state.as_slice(), &[slot]].concat())
                .collect::<Vec<_>>()
        };
        states = states.iter().flat_map(longer).collect();
    }
    let of_base = move |base: Base<u8>| {
        let rules = rules.clone();
        let of_state = move |state: State| {
            rules
                .clone()
                .into_iter()
                .map(move |rule| Case::new(rule, state.clone(), base))
        };
        states.clone().into_iter().flat_map(of_state)
    };
    bases.flat_map(of_base)
}

/// Every pattern of so many places that hold one of two marks, or one of values that are
/// named in the order in which they first come.
fn patterns(places: usize) -> Vec<Vec<Option<Option<u8>>>> {
    (0..places).fold(vec![vec![]], |shorter, _| {
        let longer = |pattern: &Vec<Option<Option<u8>>>| {
            let named = pattern.iter().flatten().flatten().max();
            let values = 0..=named.map_or(0, |highest| highest + 1);
            let marks = [None, Some(None)].into_iter();
            let all = marks.chain(values.map(|value| Some(Some(value))));
            all.map(|next| [pattern.as_slice(), &[next]].concat()).collect::<Vec<_>>()
        };
        shorter.iter().flat_map(longer).collect()
    })
}

/// Every case for so many systems, but for those that are others under other names of
/// the values: all that the kernel can tell apart.
fn distinct_cases(systems: usize) -> impl Iterator<Item = Case> {
    let owner = |place| {
        [NonOwnerEdits::Reject, NonOwnerEdits::Queue]
            .map(|others| Rule::Owner(place, others))
    };
    let rules = (0..systems).flat_map(owner).chain([Rule::Shared, Rule::Manual]);
    let rules = rules.collect::<Vec<_>>();
    patterns(systems + 1).into_iter().flat_map(move |pattern| {
        let base = pattern[0].map_or(Base::Never, Base::Known);
        let slot = |held: &Option<Option<u8>>| held.map_or(Slot::Unread, Slot::from);
        let state = pattern[1..].iter().map(slot).collect::<State>();
        rules.clone().into_iter().map(move |rule| Case::new(rule, state.clone(), base))
    })
}

/// Every case for 2, 3 and 4 systems.
static CASES: LazyLock<[Vec<Case>; 3]> = LazyLock::new(|| {
    [cases(2).collect(), cases(3).collect(), distinct_cases(4).collect()]
});

/// Whatever a system may come to hold: each value of a case, and one of none.
fn anything() -> impl Iterator<Item = Slot<u8>> {
    [Slot::Empty].into_iter().chain((0..6).map(Slot::Value))
}

/// A law, checked in every case; the number of cases it speaks of must not be none.
fn law(holds: impl Fn(&Case) -> Option<bool>) {
    for cases in CASES.iter() {
        let mut spoken = 0;
        for case in cases {
            if let Some(holds) = holds(case) {
                assert!(
                    holds,
                    "{:?} {:?} {:?} -> {:?}",
                    case.rule, case.state, case.base, case.plan
                );
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
        let same_question = !case.asks()
            || (again.verdict == case.plan.verdict && again.sides == case.plan.sides);
        Some(
            again.writes.is_empty()
                && same_question
                && (case.asks() || !matches!(again.verdict, Verdict::Ask(_))),
        )
    });
}

#[test]
fn law_3_crash_safety() {
    law(|case| {
        (!case.plan.writes.is_empty())
            .then(|| plan(case.rule, &case.applied(), &case.base).writes.is_empty())
    });
}

#[test]
fn law_4_resumability() {
    law(|case| {
        let subsets = 0..1_u32 << case.state.len();
        let resumed = |subset: u32| {
            let done = |place: usize| subset & (1 << place) != 0;
            let rest = plan(case.rule, &apply(&case.plan, &case.state, done), &case.base);
            let left = case
                .plan
                .writes
                .iter()
                .filter(|write| !done(write.to))
                .cloned()
                .collect::<Vec<_>>();
            rest.writes == left && rest.outcome == case.plan.outcome
        };
        (!case.plan.writes.is_empty()).then(|| subsets.into_iter().all(resumed))
    });
}

#[test]
fn law_5_authority() {
    law(|case| match case.rule {
        Rule::Owner(owner, _) if !case.plan.writes.is_empty() => {
            let of_the_owner = case.state[owner].read().map(copied);
            Some(
                case.plan
                    .writes
                    .iter()
                    .all(|write| write.to != owner && Some(write.value) == of_the_owner),
            )
        }
        _ => None,
    });
}

#[test]
fn law_6_manual() {
    law(|case| {
        let differ = case.plan.sides.windows(2).any(|pair| pair[0].1 != pair[1].1);
        let asked = case.plan.verdict == Verdict::Ask(Question::Manual);
        (case.rule == Rule::Manual)
            .then_some(case.plan.writes.is_empty() && asked == differ)
    });
}

#[test]
fn law_7_no_invention() {
    law(|case| {
        let read = |value| case.plan.sides.iter().any(|(_, said)| *said == value);
        (!case.plan.writes.is_empty())
            .then(|| case.plan.writes.iter().all(|write| read(write.value)))
    });
}

#[test]
fn law_8_minimality() {
    law(|case| {
        let one_each = case.plan.writes.windows(2).all(|pair| pair[0].to < pair[1].to);
        let needed = |write: &Written| {
            let said = case.state[write.to].read().map(copied);
            said.is_some() && said != Some(write.value)
        };
        (!case.plan.writes.is_empty())
            .then(|| one_each && case.plan.writes.iter().all(needed))
    });
}

#[test]
fn law_9_exact_loss() {
    law(|case| {
        let exact = |write: &Written| {
            let said = case.state[write.to].read().map(copied);
            let lost =
                is_edit(&case.state[write.to], &case.base).then_some(write.expects);
            Some(write.expects) == said && write.lost == lost
        };
        (!case.plan.writes.is_empty()).then(|| case.plan.writes.iter().all(exact))
    });
}

#[test]
fn law_10_conservation() {
    law(|case| {
        let after = case.applied();
        // What a first synchronisation replaces was nobody's edit, and is on record as
        // what its write expects.
        let kept = |(place, edit): (usize, Option<u8>)| {
            let lost = case.plan.writes.iter().any(|write| {
                write.to == place
                    && (write.lost == Some(edit)
                        || (case.base == Base::Never && write.expects == edit))
            });
            case.plan.outcome == Some(edit) || lost || after[place] == case.state[place]
        };
        let asked = |edit| !case.asks() || case.plan.sides.contains(&edit);
        case.news().next().map(|_| case.news().all(|edit| kept(edit) && asked(edit)))
    });
}

#[test]
fn law_11_maximality() {
    law(|case| {
        let first = case.news().next();
        let edits_differ =
            case.news().any(|(_, edit)| first.is_some_and(|(_, first)| first != edit));
        match case.rule {
            Rule::Shared => case.asks().then_some(edits_differ),
            Rule::Owner(owner, others) => case.asks().then(|| {
                let blank = case.base == Base::Never && case.state[owner] == Slot::Empty;
                blank || (others == NonOwnerEdits::Queue && case.proposes(owner))
            }),
            Rule::Manual => None,
        }
    });
}

#[test]
fn law_12_quiescence() {
    law(|case| {
        let unchanged = case.news().next().is_none() && case.base != Base::Never;
        let quiet =
            case.plan.writes.is_empty() && !case.asks() && case.plan.next == case.base;
        unchanged.then_some(quiet)
    });
}

#[test]
fn law_13_symmetry() {
    law(|case| {
        let systems = case.state.len();
        let mut orders = (1..systems)
            .map(|by| (0..systems).map(|place| (place + by) % systems).collect())
            .collect::<Vec<Vec<_>>>();
        orders.push([1, 0].into_iter().chain(2..systems).collect());
        let same = |order: &Vec<usize>| {
            let other = case.permuted(order).plan;
            let renamed = other
                .writes
                .iter()
                .map(|write| Written { to: order[write.to], ..write.clone() });
            let mut writes = renamed.collect::<Vec<_>>();
            writes.sort_by_key(|write| write.to);
            let kind = |verdict| match verdict {
                Verdict::Agreed(_) => Verdict::Agreed(0),
                Verdict::Write(_) => Verdict::Write(0),
                verdict => verdict,
            };
            let alike = kind(other.verdict) == kind(case.plan.verdict);
            alike
                && writes == case.plan.writes
                && other.outcome == case.plan.outcome
                && other.next == case.plan.next
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
            case.applied()
                .iter()
                .filter_map(Slot::read)
                .all(|said| Base::Known(copied(said)) == case.plan.next)
        })
    });
}

/// Law 15 over two rounds: what a system holds that was not read in the first is neither
/// taken for agreed nor, in the second, a reason to override an edit silently or to clear
/// a value that was never agreed on.
#[test]
fn law_15_what_was_not_read_is_not_agreed() {
    law(|case| {
        let unread = case.state.iter().position(|slot| *slot == Slot::Unread)?;
        let holds = |hidden: &Slot<u8>| {
            let mut state = case.applied();
            state[unread] = *hidden;
            let next = plan(case.rule, &state, &case.plan.next);
            let honest = |write: &Written| {
                write.lost.is_some() || !is_edit(&state[write.to], &case.base)
            };
            let clears = case.base == Base::Never
                && next.writes.iter().any(|write| write.value.is_none());
            next.writes.iter().all(honest) && !clears
        };
        Some(case.plan.next == case.base && anything().all(|hidden| holds(&hidden)))
    });
}

/// A write that was refused, because its target moved on, moves nothing: with the old
/// base, the next plan knows both edits for what they are.
#[test]
fn law_31_a_refused_write_is_planned_again() {
    law(|case| {
        let refused = case.plan.writes.first()?;
        let holds = |moved_on: Slot<u8>| {
            let mut state = apply(&case.plan, &case.state, |to| to != refused.to);
            state[refused.to] = moved_on;
            let again = plan(case.rule, &state, &case.base);
            again.writes.iter().all(|write| {
                write.lost.is_some() == is_edit(&state[write.to], &case.base)
            })
        };
        Some(anything().all(holds))
    });
}

#[test]
fn law_16_a_first_synchronisation_writes_no_blank_over_a_value() {
    law(|case| {
        let first = case.base == Base::Never && !case.plan.sides.is_empty();
        first.then(|| case.plan.writes.iter().all(|write| write.value.is_some()))
    });
    law(|case| match case.rule {
        Rule::Owner(owner, _)
            if case.base == Base::Never && case.state[owner] == Slot::Empty =>
        {
            let others = case.plan.sides.iter().any(|(_, said)| said.is_some());
            Some((case.plan.verdict == Verdict::Ask(Question::BlankOwner)) == others)
        }
        _ => None,
    });
}

#[test]
fn law_17_once_there_is_a_base_clearing_is_an_edit() {
    law(|case| match (case.rule, case.base) {
        (Rule::Owner(owner, others), Base::Known(Some(_)))
            if case.state[owner] == Slot::Empty =>
        {
            let proposed = others == NonOwnerEdits::Queue
                && case.plan.verdict == Verdict::Ask(Question::Proposal);
            Some(
                proposed
                    || case
                        .applied()
                        .iter()
                        .filter_map(Slot::read)
                        .all(|said| said == Content::Empty),
            )
        }
        _ => None,
    });
}

/// A declared preference settles true conflicts on shared fields and nothing else, and
/// what it overrides is on record.
#[test]
fn law_26_a_preference_settles_only_a_true_conflict_on_a_shared_field() {
    let at = |place: usize| {
        let seconds = i64::try_from(place).expect("few") * 100;
        Stamp::OfField(DateTime::from_timestamp(seconds, 0).expect("in 1970"))
    };
    let now = DateTime::from_timestamp(1_000, 0).expect("in 1970");
    // All stamps but one lie in the future then, and prove nothing.
    let before = DateTime::from_timestamp(0, 0).expect("in 1970");
    law(|case| {
        let slots = case.state.iter().collect::<Vec<_>>();
        let plan = FieldPlan::new(case.rule, &slots, &case.base);
        let conflict = is_contested(plan.verdict());
        let settled = |settled: FieldPlan<'_, u8>, place: usize, settles: bool| {
            let verdict =
                if conflict && settles { Verdict::Write(place) } else { plan.verdict() };
            let listed = |write: integration_automation_patterns::sync::Write<'_, u8>| {
                write.to() != place
                    && write.lost().is_some()
                        == is_edit(&case.state[write.to()], &case.base)
            };
            settled.verdict() == verdict
                && (!(conflict && settles) || settled.writes().all(listed))
        };
        let stamps = (0..slots.len()).map(at).collect::<Vec<_>>();
        let last = slots.iter().rposition(|slot| is_news(slot, &case.base));
        let places = (0..slots.len()).all(|place| {
            let (read, value) =
                (*slots[place] != Slot::Unread, matches!(slots[place], Slot::Value(_)));
            settled(plan.prefer(place), place, read)
                && settled(plan.prefer_unless_blank(place), place, value)
        });
        let recent = |tolerance, settles| {
            let plan =
                plan.prefer_last_writer(&stamps, Duration::from_secs(tolerance), now);
            last.is_none_or(|last| settled(plan, last, settles))
        };
        let too_few =
            plan.prefer_last_writer(&stamps[1..], Duration::ZERO, now).verdict()
                == plan.verdict();
        let future = plan.prefer_last_writer(&stamps, Duration::ZERO, before).verdict()
            == plan.verdict();
        Some(places && recent(99, true) && recent(10_000, false) && too_few && future)
    });
}

/// Law 50: on a first synchronisation nobody is known to have changed anything: no plan
/// speaks of an edit, a refusal, a proposal or a conflict.
#[test]
fn law_50_a_first_synchronisation_reports_no_edit() {
    law(|case| {
        let slots = case.state.iter().collect::<Vec<_>>();
        let plan = FieldPlan::new(case.rule, &slots, &case.base);
        let words = !matches!(
            plan.verdict(),
            Verdict::Ask(Question::Conflict | Question::Proposal)
        );
        let writes = plan
            .writes()
            .all(|write| write.lost().is_none() && write.refused().is_none());
        (case.base == Base::Never).then_some(words && writes)
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
    assert_eq!(
        (at_once.verdict, at_once.writes),
        (Verdict::Ask(Question::Conflict), vec![])
    );
}

#[test]
fn an_owner_that_is_no_party_decides_nothing() {
    let state = vec![Slot::Value(1), Slot::Value(2)];
    assert_eq!(
        plan(Rule::Owner(2, NonOwnerEdits::Reject), &state, &Base::Never).verdict,
        Verdict::Unread
    );
    assert_eq!(plan(Rule::Shared, &vec![], &Base::Never).verdict, Verdict::Unread);
}

/// What others may do with an owned field, in every case: `Reject` and `Overwrite` plan
/// the same, and only the first calls an edit that is overridden refused; `Queue` asks
/// where another system has an edit that the owner has not, and plans the same where none
/// has. So a queued field overrides no edit, and law 11 holds with this one question
/// more.
#[test]
fn others_is_one_of_three() {
    law(|case| {
        let Rule::Owner(owner, NonOwnerEdits::Reject) = case.rule else { return None };
        let slots = case.state.iter().collect::<Vec<_>>();
        let rejected = FieldPlan::new(case.rule, &slots, &case.base);
        let overwritten = FieldPlan::new(
            Rule::Owner(owner, NonOwnerEdits::Overwrite),
            &slots,
            &case.base,
        );
        let refusals = rejected.writes().all(|write| write.refused() == write.lost());
        let none = overwritten.writes().all(|write| write.refused().is_none());
        let same =
            plan(Rule::Owner(owner, NonOwnerEdits::Overwrite), &case.state, &case.base)
                == case.plan;
        let queued = Case::new(
            Rule::Owner(owner, NonOwnerEdits::Queue),
            case.state.clone(),
            case.base,
        );
        let waits = case.state[owner] != Slot::Unread
            && case.plan.verdict == Verdict::Write(owner)
            && case.proposes(owner);
        let asked = Verdict::Ask(Question::Proposal);
        let queues =
            if waits { queued.plan.verdict == asked } else { queued.plan == case.plan };
        Some(
            refusals
                && none
                && same
                && queues
                && queued.plan.writes.iter().all(|write| write.lost.is_none()),
        )
    });
}

/// A system that has no such field is left out: the plan is that of the others alone, and
/// the common state moves without it.
#[test]
fn a_system_that_does_not_keep_the_field_is_no_party() {
    law(|case| {
        let holds = |place: usize| {
            let mut state = case.state.clone();
            state.insert(place, Slot::Unsupported);
            let moved = |other: usize| other + usize::from(other >= place);
            let rule = match case.rule {
                Rule::Owner(owner, others) => Rule::Owner(moved(owner), others),
                rule => rule,
            };
            let with = plan(rule, &state, &case.base);
            let verdict = match case.plan.verdict {
                Verdict::Agreed(place) => Verdict::Agreed(moved(place)),
                Verdict::Write(place) => Verdict::Write(moved(place)),
                verdict => verdict,
            };
            let writes = case
                .plan
                .writes
                .iter()
                .map(|write| Written { to: moved(write.to), ..write.clone() });
            with.verdict == verdict
                && with.writes == writes.collect::<Vec<_>>()
                && with.next == case.plan.next
        };
        Some((0..=case.state.len()).all(holds))
    });
    let owner = vec![Slot::Unsupported, Slot::Value(1)];
    assert_eq!(
        plan(Rule::Owner(0, NonOwnerEdits::Reject), &owner, &Base::Never).verdict,
        Verdict::Unread
    );
}

/// Laws 1 to 4, 7 to 10 and 15, as far as they speak of a merged value: it is the one
/// that no system has said, every other law holds of it. The function is a maximum; one
/// that does not take over its own result cannot be resumed.
#[test]
fn law_7_a_declared_merge_is_the_one_exception() {
    let highest = |_: &Base<u8>, edits: &[Option<&u8>]| {
        Some(edits.iter().max()?.map(|highest| highest + 100).into())
    };
    let merged = |state: &State, base: &Base<u8>| {
        let slots = state.iter().collect::<Vec<_>>();
        let once = |_: &Base<u8>, edits: &[Option<&u8>]| {
            let done = edits.iter().flatten().find(|value| ***value >= 100);
            done.map_or_else(|| highest(base, edits), |done| Some(Content::Value(**done)))
        };
        let merged = FieldPlan::new(Rule::Shared, &slots, base).merge(once);
        let plan = merged.plan();
        let writes = plan.writes().map(|write| Written {
            to: write.to(),
            value: write.value().copied(),
            expects: write.expects().copied(),
            lost: write.lost().map(copied),
        });
        let (verdict, outcome) = (plan.verdict(), plan.outcome().map(copied));
        let sides = plan.sides().map(|(place, value)| (place, value.copied())).collect();
        Plan { verdict, outcome, writes: writes.collect(), sides, next: plan.next_base() }
    };
    law(|case| {
        let plan = merged(&case.state, &case.base);
        if !is_contested(case.plan.verdict) {
            return Some(case.rule != Rule::Shared || plan == case.plan);
        }
        let after = apply(&plan, &case.state, |_| true);
        let agree = after
            .iter()
            .filter_map(Slot::read)
            .all(|said| Some(copied(said)) == plan.outcome);
        let lost = plan.writes.iter().all(|write| {
            write.lost.is_some() == is_edit(&case.state[write.to], &case.base)
        });
        let again = merged(&after, &plan.next).writes.is_empty()
            && merged(&after, &case.base).writes.is_empty();
        let resumed = (0..1_u32 << case.state.len()).all(|subset| {
            let done = |place: usize| subset & (1 << place) != 0;
            let rest = merged(&apply(&plan, &case.state, done), &case.base);
            let left = plan
                .writes
                .iter()
                .filter(|write| !done(write.to))
                .cloned()
                .collect::<Vec<_>>();
            rest.writes == left
        });
        let base =
            plan.next == case.base || plan.outcome.map(Base::Known) == Some(plan.next);
        Some(plan.verdict == Verdict::Merge && agree && lost && again && resumed && base)
    });
    law(|case| {
        let slots = case.state.iter().collect::<Vec<_>>();
        let plan = FieldPlan::new(case.rule, &slots, &case.base);
        let declined = plan.merge(|_, _| None).plan().verdict() == case.plan.verdict;
        let cleared = plan.merge(|_, _| Some(Content::Empty)).plan().verdict();
        let settles = is_contested(case.plan.verdict) && case.base != Base::Never;
        Some(
            declined
                && cleared == if settles { Verdict::Merge } else { case.plan.verdict },
        )
    });
}

/// Laws 31 and 32 on a store: a plan applied twice is a plan applied once, and where a
/// target has moved on, it is left as it is, the common state has not moved, and the next
/// plan knows its edit.
#[test]
fn laws_31_and_32_a_store_is_written_once_and_never_unseen() {
    law(|case| {
        let slots = case.state.iter().collect::<Vec<_>>();
        let plan = FieldPlan::new(case.rule, &slots, &case.base);
        let apply = |store: &mut State| -> Applied<u8> {
            plan.apply(&mut store[..]).expect("a store in memory")
        };

        let mut store = case.state.clone();
        let once = apply(&mut store);
        let after = store.clone();
        let twice = apply(&mut store);
        let written = once.written == case.plan.writes.len()
            && once.moved_on.is_empty()
            && once.base == case.plan.next;
        let same = store == after
            && twice.written == 0
            && twice.base == once.base
            && after == case.applied();

        let holds = |write: &Written, moved_to: Slot<u8>| {
            let mut store = case.state.clone();
            store[write.to] = moved_to;
            let applied = apply(&mut store);
            let found = moved_to.read().map(copied);
            if found == Some(write.value) || found == Some(write.expects) {
                return applied.base == case.plan.next;
            }
            store[write.to] == moved_to
                && applied.moved_on == [write.to]
                && applied.base == case.base
        };
        let moves = || anything().chain([Slot::Unread]);
        let moved = case
            .plan
            .writes
            .iter()
            .all(|write| moves().all(|moved_to| holds(write, moved_to)));
        Some(written && same && moved)
    });
}
