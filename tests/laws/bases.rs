//! The laws once each system has a base of its own: what was agreed, what each system was
//! last known to have of that, and what it shows.
//!
//! The kernel only compares, so what it does follows from which of these values are
//! equal. The cases run through every such pattern for 2 and 3 systems: a proof, not a
//! sample. Of those for 4 systems, some are drawn.

use std::sync::LazyLock;

use integration_automation_patterns::sync::{
    Base, Bases, FailedWrites, FieldPlan, NonOwnerEdits, Past, Question, Rule, Slot,
    Verdict, Write,
};

use crate::{Written, copied, is_contested, patterns};

/// What is known of one field, and the plan for it.
#[derive(Debug, Clone)]
struct Case {
    rule: Rule,
    slots: Vec<Slot<u8>>,
    known: Bases<u8>,
    plan: Plan,
}

/// A plan with nothing borrowed.
#[derive(Debug, Clone, PartialEq)]
struct Plan {
    verdict: Verdict,
    outcome: Option<Option<u8>>,
    writes: Vec<Written>,
    next: Bases<u8>,
}

fn planned<R>(
    rule: Rule,
    slots: &[Slot<u8>],
    known: &Bases<u8>,
    look: impl FnOnce(FieldPlan<'_, u8>) -> R,
) -> R {
    let slots = slots.iter().collect::<Vec<_>>();
    look(FieldPlan::with_bases(rule, &slots, known))
}

fn written(write: Write<'_, u8>) -> Written {
    Written {
        to: write.to(),
        value: write.value().copied(),
        expects: write.expects().copied(),
        lost: write.lost().map(copied),
    }
}

impl Case {
    fn new(rule: Rule, slots: Vec<Slot<u8>>, known: Bases<u8>) -> Self {
        let plan = planned(rule, &slots, &known, |plan| Plan {
            verdict: plan.verdict(),
            outcome: plan.outcome().map(copied),
            writes: plan.writes().map(written).collect(),
            next: plan.next(),
        });
        Self { rule, slots, known, plan }
    }

    fn asks(&self) -> bool {
        matches!(self.plan.verdict, Verdict::Ask(_))
    }

    fn shown(&self, place: usize) -> Option<Option<u8>> {
        self.slots[place].read().map(copied)
    }

    fn places(&self) -> std::ops::Range<usize> {
        0..self.slots.len()
    }

    /// Whether a system shows what it was not known to have, and nobody agreed on.
    fn is_news(&self, place: usize) -> bool {
        let Some(shown) = self.shown(place) else { return false };
        let since = match self.known.confirmed[place] {
            Base::Never => shown.is_some(),
            Base::Known(had) => shown != had,
        };
        since && self.known.agreed != Base::Known(shown)
    }

    /// News of a system that was synchronised before.
    fn is_edit(&self, place: usize) -> bool {
        self.is_news(place) && self.known.confirmed[place] != Base::Never
    }

    fn is_stale(&self, place: usize) -> bool {
        self.is_news(place) && self.known.confirmed[place] != self.known.agreed
    }

    /// What the systems show after some of the writes.
    fn after(&self, made: impl Fn(usize) -> bool) -> Vec<Slot<u8>> {
        let mut slots = self.slots.clone();
        for write in self.plan.writes.iter().filter(|write| made(write.to)) {
            assert_eq!(slots[write.to], Slot::from(write.expects));
            slots[write.to] = Slot::from(write.value);
        }
        slots
    }

    fn applied(&self) -> Vec<Slot<u8>> {
        self.after(|_| true)
    }
}

fn rules(systems: usize) -> impl Iterator<Item = Rule> {
    let owner = |place| {
        [NonOwnerEdits::Reject, NonOwnerEdits::Queue, NonOwnerEdits::Overwrite]
            .map(|others| Rule::Owner(place, others))
    };
    (0..systems).flat_map(owner).chain([Rule::Shared, Rule::Manual])
}

/// The cases of a pattern: what was agreed, then the bases, then what is shown. Nobody
/// has a base before something was agreed.
fn cases_of(
    systems: usize,
    pattern: &[Option<Option<u8>>],
) -> impl Iterator<Item = Case> {
    let known = |held: &Option<Option<u8>>| held.map_or(Base::Never, Base::Known);
    let shown = |held: &Option<Option<u8>>| held.map_or(Slot::Unread, Slot::from);
    let bases = Bases {
        agreed: known(&pattern[0]),
        confirmed: pattern[1..=systems].iter().map(known).collect(),
    };
    let slots = pattern[systems + 1..].iter().map(shown).collect::<Vec<_>>();
    let possible = bases.agreed != Base::Never
        || bases.confirmed.iter().all(|base| *base == Base::Never);
    let case = move |rule| Case::new(rule, slots.clone(), bases.clone());
    rules(systems).filter(move |_| possible).map(case)
}

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let all = |systems: usize| {
        patterns(2 * systems + 1)
            .into_iter()
            .flat_map(move |pattern| cases_of(systems, &pattern).collect::<Vec<_>>())
    };
    [2, 3].into_iter().flat_map(all).chain(drawn()).collect()
});

/// Some cases of 4 systems, the same in every run.
fn drawn() -> impl Iterator<Item = Case> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut held = move || match next(6) {
        0 => None,
        1 => Some(None),
        value => Some(u8::try_from(value).ok()),
    };
    let pattern = move |_| (0..9).map(|_| held()).collect::<Vec<_>>();
    (0..2_000).map(pattern).flat_map(|pattern| cases_of(4, &pattern).collect::<Vec<_>>())
}

/// A law, checked in every case; the number of cases it speaks of must not be none.
fn law(holds: impl Fn(&Case) -> Option<bool>) {
    let spoken = CASES.iter().filter(|case| {
        let holds = holds(case);
        assert_ne!(holds, Some(false), "{case:?}");
        holds.is_some()
    });
    assert!(spoken.count() > 0, "the law speaks of no case");
}

#[test]
fn law_1_convergence() {
    law(|case| {
        let decided = !case.asks() && case.plan.verdict != Verdict::Unread;
        let applied = case.applied();
        let said = applied.iter().filter_map(|slot| slot.read().map(copied));
        let said = said.collect::<Vec<_>>();
        decided.then(|| said.windows(2).all(|pair| pair[0] == pair[1]))
    });
}

#[test]
fn law_2_idempotence() {
    law(|case| {
        let again = Case::new(case.rule, case.applied(), case.plan.next.clone());
        let quiet = again.plan.writes.is_empty() && again.plan.next == case.plan.next;
        Some(quiet && (again.plan.verdict == case.plan.verdict || !again.asks()))
    });
    law(|case| {
        let again = Case::new(case.rule, case.applied(), case.plan.next.clone());
        case.asks().then_some(again.plan.verdict == case.plan.verdict)
    });
}

#[test]
fn law_3_crash_safety() {
    law(|case| {
        let again = Case::new(case.rule, case.applied(), case.known.clone());
        (!case.plan.writes.is_empty())
            .then_some(again.plan.writes.is_empty() && !again.asks())
    });
}

/// What was written stays written, whether the progress was stored or not; and the next
/// plan does the rest.
#[test]
fn law_4_resumability() {
    law(|case| {
        let resumed = |subset: u32| {
            let made = |place: usize| subset & (1 << place) != 0;
            let left = case.plan.writes.iter().filter(|write| !made(write.to)).cloned();
            let left = left.collect::<Vec<_>>();
            let not_made = left.iter().map(|write| write.to).collect::<Vec<_>>();
            let progress = planned(case.rule, &case.slots, &case.known, |plan| {
                plan.next_without(&not_made)
            });
            [case.known.clone(), progress].into_iter().all(|known| {
                Case::new(case.rule, case.after(made), known).plan.writes == left
            })
        };
        let subsets = 0..1_u32 << case.slots.len();
        (!case.plan.writes.is_empty()).then(|| subsets.into_iter().all(resumed))
    });
}

#[test]
fn law_5_authority() {
    law(|case| match case.rule {
        Rule::Owner(owner, _) => Some(
            case.plan
                .writes
                .iter()
                .all(|write| write.to != owner && Some(write.value) == case.shown(owner)),
        ),
        _ => None,
    });
}

#[test]
fn law_6_manual() {
    law(|case| (case.rule == Rule::Manual).then_some(case.plan.writes.is_empty()));
}

#[test]
fn law_7_a_written_value_was_read_now_or_when_it_was_agreed() {
    law(|case| {
        let known = |value| {
            case.places().any(|place| case.shown(place) == Some(value))
                || case.known.agreed == Base::Known(value)
        };
        (!case.plan.writes.is_empty())
            .then(|| case.plan.writes.iter().all(|write| known(write.value)))
    });
}

#[test]
fn law_8_minimality() {
    law(|case| {
        let needed = |write: &Written| {
            case.shown(write.to).is_some_and(|shown| shown != write.value)
        };
        let one_each = case.plan.writes.windows(2).all(|pair| pair[0].to < pair[1].to);
        Some(one_each && case.plan.writes.iter().all(needed))
    });
}

/// Lost is what was changed since the system's own base.
#[test]
fn law_9_exact_loss() {
    law(|case| {
        let exact = |write: &Written| {
            let lost = case.is_edit(write.to).then_some(write.expects);
            case.shown(write.to) == Some(write.expects) && write.lost == lost
        };
        Some(case.plan.writes.iter().all(exact))
    });
}

#[test]
fn law_10_conservation() {
    law(|case| {
        let after = case.applied();
        let kept = |place: &usize| {
            let on_record = case.plan.writes.iter().any(|write| {
                write.to == *place && Some(write.expects) == case.shown(*place)
            });
            on_record || after[*place] == case.slots[*place]
        };
        Some(case.places().filter(|place| case.is_news(*place)).all(|place| kept(&place)))
    });
}

/// A shared field asks only where two values stand against each other. What the others
/// agreed on stands against an edit that was made without knowledge of it.
#[test]
fn law_11_maximality() {
    law(|case| {
        let news = case.places().filter(|place| case.is_news(*place));
        let mut values = news.filter_map(|place| case.shown(place)).collect::<Vec<_>>();
        if let (true, Base::Known(agreed)) =
            (case.places().any(|place| case.is_stale(place)), case.known.agreed)
        {
            values.push(agreed);
        }
        values.sort_unstable();
        values.dedup();
        (case.rule == Rule::Shared && case.asks()).then_some(values.len() > 1)
    });
}

#[test]
fn law_12_quiescence() {
    law(|case| {
        let unchanged = case.places().all(|place| !case.is_news(place));
        let nobody_behind =
            case.known.in_common().is_some_and(|common| *common != Base::Never);
        let quiet =
            case.plan.writes.is_empty() && !case.asks() && case.plan.next == case.known;
        (unchanged && nobody_behind).then_some(quiet)
    });
}

#[test]
fn law_13_symmetry() {
    law(|case| {
        let systems = case.slots.len();
        let turned = |place: usize| (place + 1) % systems;
        let rule = match case.rule {
            Rule::Owner(owner, others) => Rule::Owner(turned(owner), others),
            rule => rule,
        };
        let (mut slots, mut known) = (case.slots.clone(), case.known.clone());
        slots.rotate_right(1);
        known.confirmed.rotate_right(1);
        let other = Case::new(rule, slots, known).plan;
        let moved = case.plan.writes.iter();
        let mut writes = moved
            .map(|write| Written { to: turned(write.to), ..write.clone() })
            .collect::<Vec<_>>();
        writes.sort_by_key(|write| write.to);
        let mut confirmed = case.plan.next.confirmed.clone();
        confirmed.rotate_right(1);
        let question = |verdict: Verdict| match verdict {
            Verdict::Ask(question) => Some(question),
            _ => None,
        };
        Some(
            other.writes == writes
                && other.outcome == case.plan.outcome
                && other.next.agreed == case.plan.next.agreed
                && other.next.confirmed == confirmed
                && question(other.verdict) == question(case.plan.verdict),
        )
    });
}

#[test]
fn law_14_parametricity() {
    let renamed = |value: Option<u8>| value.map(|value| 200 - value);
    let base = |base: &Base<u8>| match base {
        Base::Never => Base::Never,
        Base::Known(value) => Base::Known(renamed(*value)),
    };
    law(|case| {
        let slots = case.slots.iter().map(|slot| slot.map(|value| 200 - value));
        let known = Bases {
            agreed: base(&case.known.agreed),
            confirmed: case.known.confirmed.iter().map(base).collect(),
        };
        let other = Case::new(case.rule, slots.collect(), known).plan;
        let writes = case.plan.writes.iter().map(|write| Written {
            to: write.to,
            value: renamed(write.value),
            expects: renamed(write.expects),
            lost: write.lost.map(renamed),
        });
        Some(
            other.verdict == case.plan.verdict
                && other.writes == writes.collect::<Vec<_>>(),
        )
    });
}

/// What is agreed moves only to what every reporting system holds after the plan, and a
/// base only to what its own system holds.
#[test]
fn law_15_a_base_moves_only_to_what_is_held() {
    law(|case| {
        let after = case.applied();
        let held = |base: &Base<u8>, slot: &Slot<u8>| {
            slot.read().is_some_and(|shown| *base == Base::Known(copied(shown)))
        };
        let next = &case.plan.next;
        let agreed = next.agreed == case.known.agreed
            || after.iter().all(|slot| slot.read().is_none() || held(&next.agreed, slot));
        let own = case.places().all(|place| {
            next.confirmed[place] == case.known.confirmed[place]
                || held(&next.confirmed[place], &after[place])
        });
        Some(agreed && own)
    });
}

#[test]
fn law_16_a_first_synchronisation_writes_no_blank_over_a_value() {
    law(|case| {
        let first = case.known.agreed == Base::Never;
        first.then(|| case.plan.writes.iter().all(|write| write.value.is_some()))
    });
    law(|case| match case.rule {
        Rule::Owner(owner, _)
            if case.slots[owner] == Slot::Empty
                && case.known.confirmed[owner] == Base::Never =>
        {
            Some(case.plan.writes.is_empty())
        }
        _ => None,
    });
}

#[test]
fn law_17_once_there_is_a_base_clearing_is_an_edit() {
    law(|case| match case.rule {
        Rule::Owner(owner, NonOwnerEdits::Reject | NonOwnerEdits::Overwrite)
            if case.slots[owner] == Slot::Empty
                && case.known.confirmed[owner] != Base::Never =>
        {
            let blank = |slot: &Slot<u8>| slot.value().is_none();
            Some(case.applied().iter().all(blank))
        }
        _ => None,
    });
}

/// Where nobody says anything new, it is "behind" exactly where a system that was read has
/// not got what was agreed; unless all were read and have one value, which is agreed then.
#[test]
fn law_12_behind_is_who_has_not_got_what_was_agreed() {
    law(|case| {
        let Base::Known(agreed) = case.known.agreed else { return None };
        let quiet = case.places().all(|place| !case.is_news(place));
        let shown = case.places().filter_map(|place| case.shown(place));
        let shown = shown.collect::<Vec<_>>();
        let all_agree = shown.len() == case.slots.len()
            && shown.windows(2).all(|pair| pair[0] == pair[1]);
        let said = case.rule == Rule::Shared && quiet && !shown.is_empty();
        let behind = case.plan.verdict == Verdict::Behind;
        let differs = !all_agree && shown.iter().any(|shown| *shown != agreed);
        said.then_some(behind == differs)
    });
}

/// Where all bases are what was agreed, the plan is that of one base for all.
#[test]
fn law_36_reduction() {
    law(|case| {
        let common = case.known.in_common()?;
        let slots = case.slots.iter().collect::<Vec<_>>();
        let one = FieldPlan::new(case.rule, &slots, common);
        Some(
            one.verdict() == case.plan.verdict
                && one.writes().map(written).eq(case.plan.writes.iter().cloned())
                && one.next() == case.plan.next,
        )
    });
}

/// Edits that all know what was agreed, and agree with each other, are never asked
/// about: whoever was not read or is behind.
#[test]
fn law_37_absence_asks_nothing() {
    law(|case| {
        let news = || case.places().filter(|place| case.is_news(*place));
        let one = news().next()?;
        let agree = news()
            .all(|place| !case.is_stale(place) && case.slots[place] == case.slots[one]);
        (case.rule == Rule::Shared && agree).then_some(!case.asks())
    });
}

#[test]
fn law_38_no_shared_edit_is_overwritten_without_an_answer_or_a_rule() {
    law(|case| {
        (case.rule == Rule::Shared)
            .then(|| case.plan.writes.iter().all(|write| !case.is_news(write.to)))
    });
}

/// A declared rule settles what is asked about a shared field and nothing else; and what
/// was edited is lost on record.
#[test]
fn law_26_a_rule_settles_only_what_is_asked_about_a_shared_field() {
    law(|case| {
        let settles = |place: usize| {
            planned(case.rule, &case.slots, &case.known, |plan| {
                let settled = plan.prefer(place);
                let read = case.shown(place).is_some();
                let expected = if is_contested(case.plan.verdict) && read {
                    Verdict::Write(place)
                } else {
                    case.plan.verdict
                };
                settled.verdict() == expected
                    && settled
                        .writes()
                        .all(|write| write.lost().is_some() == case.is_edit(write.to()))
            })
        };
        Some(case.places().all(settles))
    });
}

/// A merge function gets the state from which the edits came, and what was agreed since
/// as one of the edits; once it is applied, nothing is left to do.
#[test]
fn a_merge_of_an_edit_that_missed_something_gets_what_it_missed() {
    law(|case| {
        let stale = case.places().find(|place| case.is_stale(*place));
        let place = stale.filter(|_| is_contested(case.plan.verdict))?;
        let shown = case.slots.iter().any(|slot| {
            slot.read()
                .is_some_and(|shown| case.known.agreed == Base::Known(copied(shown)))
        });
        planned(case.rule, &case.slots, &case.known, |plan| {
            let mut right = false;
            let merged = plan.merge(|ancestor, edits| {
                let Base::Known(agreed) = case.known.agreed else { return None };
                right = *ancestor == case.known.confirmed[place]
                    && edits.contains(&agreed.as_ref()) == shown;
                Some(edits.iter().max()?.copied().into())
            });
            let (plan, mut after) = (merged.plan(), case.slots.clone());
            for write in plan.writes() {
                after[write.to()] = Slot::from(write.value().copied());
            }
            let again = Case::new(case.rule, after, plan.next());
            Some(right && again.plan.writes.is_empty() && !again.asks())
        })
    });
}

/// Law 50 for one system that comes in late: it has edited nothing.
#[test]
fn law_50_a_system_without_a_base_has_edited_nothing() {
    law(|case| {
        let new = |place: usize| case.known.confirmed[place] == Base::Never;
        let lost = case.plan.writes.iter().filter(|write| new(write.to));
        let only = case.places().filter(|place| case.is_news(*place)).all(new);
        let said = !matches!(
            case.plan.verdict,
            Verdict::Ask(Question::Conflict | Question::Proposal)
        );
        Some(lost.into_iter().all(|write| write.lost.is_none()) && (!only || said))
    });
}

/// Where a blank decides nothing, nothing is ever cleared; and nothing else changes.
#[test]
fn a_blank_that_decides_nothing_clears_nothing() {
    law(|case| {
        let rule = case.rule != Rule::Manual;
        let blank =
            case.slots.contains(&Slot::Empty) || case.known.agreed == Base::Known(None);
        planned(case.rule, &case.slots, &case.known, |plan| {
            let plan = plan.unless_blank();
            let mut after = case.slots.clone();
            for write in plan.writes() {
                after[write.to()] = Slot::from(write.value().copied());
            }
            let cleared = plan.writes().any(|write| write.value().is_none());
            let owner = match case.rule {
                Rule::Owner(owner, _) => plan.writes().all(|write| write.to() != owner),
                _ => true,
            };
            let lost = plan
                .writes()
                .all(|write| write.lost().is_some() == case.is_edit(write.to()));
            let said = after.iter().filter_map(|slot| slot.read().map(copied));
            let said = said.collect::<Vec<_>>();
            let agree = plan.writes().next().is_none()
                || said.windows(2).all(|pair| pair[0] == pair[1]);
            let same = blank || plan.verdict() == case.plan.verdict;
            rule.then_some(!cleared && owner && lost && agree && same)
        })
    });
}

/// A value that goes back to an older common one is on record as going back, asked about
/// where that is declared, and settled by no rule. Nothing else is.
#[test]
fn law_52_what_goes_back_is_on_record() {
    let mut past = Past::new(2);
    for (before, now) in [(7, 1), (1, 2), (2, 9)] {
        past.replaced(&Base::Known(Some(before)), &Base::Known(Some(now)));
    }
    assert_eq!(past.values().collect::<Vec<_>>(), [Some(&1), Some(&2)], "7 is too old");
    law(|case| {
        planned(case.rule, &case.slots, &case.known, |plan| {
            let old = match plan.verdict() {
                Verdict::Write(place) if case.is_news(place) => {
                    [Some(Some(1)), Some(Some(2))]
                        .contains(&case.plan.outcome)
                        .then_some(place)
                }
                _ => None,
            };
            let asked = plan.ask_before_going_back(&past);
            let expected = match old {
                Some(_) => Verdict::Ask(Question::GoesBack),
                None => plan.verdict(),
            };
            let settled = old.is_none() || asked.prefer(0).verdict() == expected;
            Some(plan.goes_back(&past) == old && asked.verdict() == expected && settled)
        })
    });
}

/// What has failed twice in a row is asked about until something changes: once for each
/// system and value.
#[test]
fn a_write_that_fails_twice_is_asked_about_until_something_changes() {
    law(|case| {
        planned(case.rule, &case.slots, &case.known, |plan| {
            let write = plan.writes().next()?;
            let mut failed = FailedWrites::default();
            let mut asked = Vec::new();
            for _ in 0..3 {
                failed.failed(write.to(), write.value());
                let stored = failed.iter();
                let stored = stored
                    .map(|(to, value, times)| (to, value.copied(), times))
                    .collect();
                asked.push(plan.ask_if_stuck(&stored).verdict());
            }
            let stuck = Verdict::Ask(Question::Stuck);
            let twice = asked == [plan.verdict(), stuck, stuck];

            let mut elsewhere = case.slots.clone();
            let changed = write.value().map_or(100, |value| value + 100);
            for slot in &mut elsewhere {
                if slot.read().map(copied) == Some(write.value().copied()) {
                    *slot = Slot::Value(changed);
                }
            }
            let other = planned(case.rule, &elsewhere, &case.known, |plan| {
                plan.ask_if_stuck(&failed).verdict() != stuck
                    || plan.writes().any(|other| other.value() == write.value())
            });
            failed.made(write.to());
            let over = plan.ask_if_stuck(&failed).verdict() == plan.verdict();
            Some(twice && other && over)
        })
    });
}
