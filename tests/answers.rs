//! A person's answer is to one question: to the record, the field, the common state and
//! the values that the person saw, and to nothing else.

use chrono::DateTime;
use integration_automation_patterns::Decision;
use integration_automation_patterns::sync::{
    Answer, AnswerError, Applied, Base, Bases, Choice, Content, FieldPlan, Found,
    NonOwnerEdits, Question, Reply, Review, Rule, Settled, Slot, Store, Verdict, Write,
};

const NAMES: [&str; 2] = ["crm", "erp"];

fn decision(by: &str) -> Decision {
    Decision::new_at(by, "asked the customer", DateTime::UNIX_EPOCH).expect("not blank")
}

/// What the two systems say, and what they last agreed on.
#[derive(Debug, Clone, Copy, PartialEq)]
struct State {
    slots: [Slot<u8>; 2],
    base: Base<u8>,
}

/// All states of two systems with two values.
fn states() -> impl Iterator<Item = State> {
    const SLOTS: [Slot<u8>; 5] =
        [Slot::Unread, Slot::Unsupported, Slot::Empty, Slot::Value(1), Slot::Value(2)];
    const BASES: [Base<u8>; 3] = [Base::Never, Base::Known(None), Base::Known(Some(1))];
    SLOTS.into_iter().flat_map(|crm| {
        SLOTS.into_iter().flat_map(move |erp| {
            BASES.into_iter().map(move |base| State { slots: [crm, erp], base })
        })
    })
}

const RULES: [Rule; 4] = [
    Rule::Manual,
    Rule::Shared,
    Rule::Owner(0, NonOwnerEdits::Queue),
    Rule::Owner(1, NonOwnerEdits::Reject),
];

/// Plans a state, and has the plan looked at.
fn plan<R>(rule: Rule, state: &State, look: impl FnOnce(FieldPlan<'_, u8>) -> R) -> R {
    look(FieldPlan::new(rule, &state.slots.each_ref(), &state.base))
}

fn row(rule: Rule, state: &State) -> Option<Review<u8>> {
    plan(rule, state, |plan| plan.review("C-1", "status", NAMES))
}

/// Law 48, over every pair of states: an answer settles exactly the question that it was
/// given to, and is given back by every other one.
#[test]
fn law_48_an_answer_settles_its_own_question_and_no_other() {
    let (mut settled, mut refused) = (0, 0);
    for (rule, asked) in
        RULES.into_iter().flat_map(|rule| states().map(move |s| (rule, s)))
    {
        let Some(seen) = row(rule, &asked) else { continue };
        let answer = Answer::to(&seen, Choice::Other(Some(9)), decision("ada"));
        for (later_rule, later) in
            RULES.into_iter().flat_map(|rule| states().map(move |state| (rule, state)))
        {
            let fits = plan(later_rule, &later, |plan| {
                match plan.settle("C-1", "status", answer.clone()) {
                    Ok(_) => true,
                    Err(refused) => {
                        assert_eq!(refused.into_value(), answer, "given back");
                        false
                    }
                }
            });
            assert_eq!(fits, row(later_rule, &later).as_ref() == Some(&seen));
            (settled, refused) = (settled + u32::from(fits), refused + u32::from(!fits));
        }
        for (record, field) in [("C-2", "status"), ("C-1", "segment")] {
            plan(rule, &asked, |plan| {
                plan.settle(record, field, answer.clone()).expect_err("it is not theirs");
            });
        }
    }
    assert!(settled >= 30 && refused > 5_000, "{settled} {refused}");
}

#[test]
fn an_answer_that_does_not_fit_says_why() {
    let asked =
        State { slots: [Slot::Value(1), Slot::Value(2)], base: Base::Known(Some(1)) };
    let seen = row(Rule::Manual, &asked).expect("it is asked");
    let cause = |record: &str, field: &str, rule, state: &State, choice| {
        let answer = Answer::to(&seen, choice, decision("ada"));
        plan(rule, state, |plan| match plan.settle(record, field, answer) {
            Ok(_) => unreachable!("it does not fit"),
            Err(refused) => refused.into_cause(),
        })
    };
    let here = |rule, state: &State| cause("C-1", "status", rule, state, Choice::Side(1));
    let (record, field) = ("C-1".to_owned(), "status".to_owned());
    assert_eq!(
        cause("C-2", "status", Rule::Manual, &asked, Choice::Side(1)),
        AnswerError::OtherRecord { wanted: "C-2".to_owned(), found: record }
    );
    assert_eq!(
        cause("C-1", "segment", Rule::Manual, &asked, Choice::Side(1)),
        AnswerError::OtherField { wanted: "segment".to_owned(), found: Some(field) }
    );
    let edited = State { slots: [Slot::Value(1), Slot::Value(3)], ..asked };
    assert_eq!(here(Rule::Manual, &edited), AnswerError::MovedOn);
    let agreed = State { slots: [Slot::Value(2); 2], ..asked };
    assert_eq!(here(Rule::Manual, &agreed), AnswerError::NothingAsked);
    let rebased = State { base: Base::Known(Some(3)), ..asked };
    assert_eq!(here(Rule::Manual, &rebased), AnswerError::OtherBase);
    assert_eq!(
        here(Rule::Owner(0, NonOwnerEdits::Queue), &asked),
        AnswerError::OtherQuestion {
            wanted: Question::Proposal,
            found: Question::Manual
        }
    );
    assert_eq!(
        cause("C-1", "status", Rule::Manual, &asked, Choice::Side(2)),
        AnswerError::SaysNothing { place: 2 }
    );
}

/// A store that lets somebody else in before one of its writes.
struct Crossing<'s, F> {
    systems: &'s mut [Slot<u8>],
    left: usize,
    meanwhile: Option<F>,
}

impl<F: FnOnce(&mut [Slot<u8>])> Store<u8> for Crossing<'_, F> {
    type Error = std::convert::Infallible;

    fn replace(&mut self, write: &Write<'_, u8>) -> Result<Reply<u8>, Self::Error> {
        if self.left == 0
            && let Some(meanwhile) = self.meanwhile.take()
        {
            meanwhile(self.systems);
        }
        self.left = self.left.saturating_sub(1);
        self.systems.replace(write)
    }
}

fn with_both<R>(
    state: &State,
    choices: [Choice<u8>; 2],
    look: impl FnOnce([Settled<'_, u8>; 2]) -> R,
) -> R {
    let seen = row(Rule::Manual, state).expect("it is asked");
    plan(Rule::Manual, state, |plan| {
        let [one, other] =
            [("ada", choices[0]), ("bob", choices[1])].map(|(by, choice)| {
                plan.settle("C-1", "status", Answer::to(&seen, choice, decision(by)))
                    .expect("it fits")
            });
        look([one, other])
    })
}

/// Two people answer the same question at once, and each has planned before the other has
/// written. Whenever one comes in between, whole, both systems end with one value, and
/// whoever did not get through learns it.
#[test]
fn two_answers_given_crosswise_do_not_swap_the_values() {
    let state =
        State { slots: [Slot::Value(1), Slot::Value(2)], base: Base::Known(Some(1)) };
    let choices = [Choice::Side(0), Choice::Side(1), Choice::Other(Some(3))];
    let pairs = choices.into_iter().flat_map(|one| choices.map(|other| [one, other]));
    for (pair, before) in pairs.flat_map(|pair| (0..5).map(move |step| (pair, step))) {
        with_both(&state, pair, |[ada, bob]| {
            let mut systems = state.slots;
            let mut bobs = None;
            let mut store = Crossing {
                systems: &mut systems,
                left: before,
                meanwhile: Some(|systems: &mut [Slot<u8>]| {
                    bobs = bob.apply(systems).ok()
                }),
            };
            let adas = ada.apply(&mut store).expect("in memory");
            let bobs = match bobs {
                Some(applied) => applied,
                None => bob.apply(&mut systems[..]).expect("in memory"),
            };
            assert_eq!(systems[0], systems[1], "{pair:?} before step {before}");
            let got_through =
                |applied: &Applied<u8>, settled: &Settled<'_, u8>| -> bool {
                    let is_there = settled.outcome() == systems[0].read()
                        && applied.base == settled.next_base();
                    assert_eq!(applied.moved_on.is_empty(), is_there, "{applied:?}");
                    is_there
                };
            assert!(got_through(&adas, &ada) | got_through(&bobs, &bob));
        });
    }
}

/// Where the value that was chosen is no longer there, nothing is written elsewhere.
#[test]
fn the_chosen_side_is_checked_and_what_was_written_is_taken_back() {
    let slots = [Slot::Value(1), Slot::Value(2), Slot::Value(1)];
    let base = Base::Known(Some(1));
    let sides = slots.each_ref();
    let plan = FieldPlan::new(Rule::Manual, &sides, &base);
    let row = plan.review("C-1", "status", ["crm", "erp", "hr"]).expect("it is asked");
    let answer = Answer::to(&row, Choice::Side(1), decision("ada"));
    let settled = plan.settle("C-1", "status", answer).expect("it fits");
    for before in 0..4 {
        let mut systems = slots;
        let mut store = Crossing {
            systems: &mut systems,
            left: before,
            meanwhile: Some(|systems: &mut [Slot<u8>]| systems[1] = Slot::Value(7)),
        };
        let applied = settled.apply(&mut store).expect("in memory");
        assert_eq!((applied.written, applied.moved_on), (0, vec![1]));
        assert_eq!(applied.base, base, "the question is asked again");
        assert_eq!(applied.bases, Bases::common(base, 3));
        assert_eq!(systems, [Slot::Value(1), Slot::Value(7), Slot::Value(1)]);
    }
}

/// A store that notes to which system each write goes.
struct Noting<'s> {
    systems: &'s mut [Slot<u8>],
    to: Vec<usize>,
}

impl Store<u8> for Noting<'_> {
    type Error = std::convert::Infallible;

    fn replace(&mut self, write: &Write<'_, u8>) -> Result<Reply<u8>, Self::Error> {
        self.to.push(write.to());
        self.systems.replace(write)
    }
}

/// A system that was only checked gets nothing back.
#[test]
fn only_what_was_written_is_taken_back() {
    let seen = [1, 2, 3].map(Slot::Value);
    let (sides, base) = (seen.each_ref(), Base::Known(Some(1)));
    let plan = FieldPlan::new(Rule::Manual, &sides, &base);
    let row = plan.review("C-1", "status", ["crm", "erp", "hr"]).expect("it is asked");
    let answer = Answer::to(&row, Choice::Side(0), decision("ada"));
    let settled = plan.settle("C-1", "status", answer).expect("it fits");
    let mut systems = [1, 2, 7].map(Slot::Value);
    let mut store = Noting { systems: &mut systems, to: Vec::new() };
    let applied = settled.apply(&mut store).expect("in memory");
    assert_eq!(applied.moved_on, [2]);
    assert_eq!(store.to, [0, 1, 2, 1], "checked, written, found changed, taken back");
}

/// A store that takes so many writes, and then cannot be reached.
struct Failing<'s> {
    systems: &'s mut [Slot<u8>],
    after: usize,
}

impl Store<u8> for Failing<'_> {
    type Error = &'static str;

    fn replace(&mut self, write: &Write<'_, u8>) -> Result<Reply<u8>, Self::Error> {
        self.after = self.after.checked_sub(1).ok_or("no connection")?;
        self.systems.replace(write).map_err(|never| match never {})
    }
}

/// An answer of which nothing was written can be given again; and one that was written
/// everywhere, but not checked afterwards, is left for the next plan to see.
#[test]
fn an_answer_moves_what_is_known_only_where_it_is_half_written() {
    let slots = [Slot::Value(1), Slot::Value(2), Slot::Value(1)];
    let (sides, base) = (slots.each_ref(), Base::Known(Some(1)));
    let plan = FieldPlan::new(Rule::Manual, &sides, &base);
    let row = plan.review("C-1", "status", ["crm", "erp", "hr"]).expect("it is asked");
    let answer = Answer::to(&row, Choice::Side(1), decision("ada"));
    let settled = plan.settle("C-1", "status", answer).expect("it fits");
    // It checks one system, writes the two others, and checks the first one again.
    let unmoved = Bases::common(base, 3);
    for (after, half_written) in [(0, false), (1, false), (2, true), (3, false)] {
        let mut systems = slots;
        let mut store = Failing { systems: &mut systems, after };
        let failed = settled.apply(&mut store).expect_err("it cannot be reached");
        let bases = failed.into_value().bases;
        assert_eq!(bases != unmoved, half_written, "after {after}: {bases:?}");
    }
}

/// An owner that was not given what a person chose still shows what it is to give up: its
/// next plan must not write that to the others.
#[test]
fn an_owner_that_did_not_take_an_answer_moves_nothing() {
    let state =
        State { slots: [Slot::Value(1), Slot::Value(2)], base: Base::Known(Some(1)) };
    let rule = Rule::Owner(0, NonOwnerEdits::Queue);
    let row = row(rule, &state).expect("it is asked");
    let next = |side, not_made: &[usize]| {
        plan(rule, &state, |plan| {
            let answer = Answer::to(&row, Choice::Side(side), decision("ada"));
            let settled = plan.settle("C-1", "status", answer).expect("it fits");
            settled.next_without(not_made)
        })
    };
    assert_eq!(next(1, &[0]), Bases::common(state.base, 2));
    assert_eq!(next(1, &[]), Bases::common(Base::Known(Some(2)), 2));
    let (agreed, shown) = (Base::Known(Some(1)), Base::Known(Some(2)));
    let kept = Bases { agreed, confirmed: vec![agreed, shown] };
    assert_eq!(
        next(0, &[0, 1]),
        kept,
        "its own value was chosen: there is nothing to give up"
    );
}

/// What a store replies in place of a system's own reply to a write of one value.
struct Odd<'s> {
    systems: &'s mut [Slot<u8>],
    odd: fn(&Write<'_, u8>) -> Option<Reply<u8>>,
}

impl Store<u8> for Odd<'_> {
    type Error = std::convert::Infallible;

    fn replace(&mut self, write: &Write<'_, u8>) -> Result<Reply<u8>, Self::Error> {
        match (self.odd)(write) {
            Some(Reply::Kept(held)) => {
                self.systems[write.to()] = Slot::from(held);
                Ok(Reply::Kept(held))
            }
            Some(reply) => Ok(reply),
            None => self.systems.replace(write),
        }
    }
}

/// Carries out "all are to hold 3" in systems that show this, where the person saw 1, 2
/// and 4.
fn all_hold_three(
    mut systems: [Slot<u8>; 3],
    odd: fn(&Write<'_, u8>) -> Option<Reply<u8>>,
) -> (Applied<u8>, [Slot<u8>; 3]) {
    let (seen, base) = ([1, 2, 4].map(Slot::Value), Base::Known(Some(1)));
    let sides = seen.each_ref();
    let plan = FieldPlan::new(Rule::Manual, &sides, &base);
    let row = plan.review("C-1", "status", ["crm", "erp", "hr"]).expect("it is asked");
    let answer = Answer::to(&row, Choice::Other(Some(3)), decision("bob"));
    let settled = plan.settle("C-1", "status", answer).expect("it fits");
    let applied = settled.apply(&mut Odd { systems: &mut systems, odd });
    (applied.expect("in memory"), systems)
}

/// Ada has answered the same before, and her answer was carried out whole; the last
/// system was edited since. What Bob did not write is not his to take back.
#[test]
fn what_somebody_else_has_written_is_not_taken_back() {
    let (applied, systems) = all_hold_three([3, 3, 7].map(Slot::Value), |_| None);
    assert_eq!((applied.written, applied.moved_on), (0, vec![2]));
    assert_eq!(systems, [3, 3, 7].map(Slot::Value));
}

/// A system that keeps a form of its own (9 for 3) gets its old value back all the same.
#[test]
fn what_a_system_kept_in_its_own_form_is_taken_back() {
    let (applied, systems) = all_hold_three([1, 2, 7].map(Slot::Value), |write| {
        (write.value() == Some(&3) && write.to() == 0).then_some(Reply::Kept(Some(9)))
    });
    assert_eq!((applied.written, applied.moved_on, applied.kept), (0, vec![2], vec![]));
    assert_eq!(systems, [1, 2, 7].map(Slot::Value));
}

/// A system that will not give its old value back holds what was written, and says why.
#[test]
fn what_a_system_refuses_to_take_back_counts_as_written() {
    let (applied, systems) = all_hold_three([1, 2, 7].map(Slot::Value), |write| {
        let is_back = write.value() == Some(&1);
        is_back.then(|| Reply::Refused("closed for good".to_owned()))
    });
    assert_eq!((applied.written, applied.moved_on), (1, vec![2]));
    assert_eq!(applied.refused[0].why, "closed for good");
    let (base, confirmed) = (Base::Known(Some(1)), vec![Base::Known(Some(1)); 3]);
    assert_eq!(applied.bases, Bases { agreed: base, confirmed }, "nothing was agreed");
    assert_eq!(systems, [3, 2, 7].map(Slot::Value));
}

/// A store that cannot be reached after so many writes and checks.
struct Unreachable<'s> {
    systems: &'s mut [Slot<u8>],
    after: usize,
}

impl Store<u8> for Unreachable<'_> {
    type Error = &'static str;

    fn replace(&mut self, write: &Write<'_, u8>) -> Result<Reply<u8>, Self::Error> {
        self.after = self.after.checked_sub(1).ok_or("no connection")?;
        self.systems.replace(write).map_err(|never| match never {})
    }
}

/// Wherever a store fails, the decision is carried out in the end, and what came of it so
/// far is given back: either it stands, or nothing is agreed and it can be given again.
#[test]
fn a_decision_outlives_a_store_that_fails_at_any_step() {
    let (seen, base) = ([1, 2, 1].map(Slot::Value), Base::Known(Some(0)));
    for (choice, steps) in [(Choice::Side(1), 4), (Choice::Other(Some(3)), 3)] {
        for after in 0..steps {
            let (sides, mut systems) = (seen.each_ref(), seen);
            let plan = FieldPlan::new(Rule::Shared, &sides, &base);
            let row = plan.review("C-1", "status", ["crm", "erp", "hr"]);
            let answer = Answer::to(&row.expect("asked"), choice, decision("ada"));
            let settled = plan.settle("C-1", "status", answer.clone()).expect("it fits");
            let mut store = Unreachable { systems: &mut systems, after };
            let failed = settled.apply(&mut store).expect_err("it cannot be reached");
            assert_eq!(failed.cause(), &"no connection");
            let applied = failed.into_value();
            assert_eq!(applied.base, base, "a common base waits");

            // The next run knows what was given back, and has the answer at hand.
            let now = systems;
            let sides = now.each_ref();
            let plan = FieldPlan::with_bases(Rule::Shared, &sides, &applied.bases);
            let made = now.iter().zip(seen).filter(|(now, before)| **now != *before);
            assert_eq!(applied.written, made.count());
            if let Verdict::Ask(_) = plan.verdict() {
                assert_eq!((applied.written, applied.bases.agreed), (0, base));
                let again = plan.settle("C-1", "status", answer).expect("it fits");
                assert!(again.apply(&mut systems[..]).is_ok());
            } else {
                assert!(plan.apply(&mut systems[..]).is_ok());
            }
            let outcome = if steps == 4 { 2 } else { 3 };
            assert_eq!(systems, [Slot::Value(outcome); 3], "{choice:?} {after}");
        }
    }
}

/// The last system was edited since, and a store fails while what was written is taken
/// back: what stays is on record.
#[test]
fn what_could_not_be_taken_back_is_given_back() {
    let (seen, base) = ([1, 2, 4].map(Slot::Value), Base::Known(Some(1)));
    let sides = seen.each_ref();
    let plan = FieldPlan::new(Rule::Manual, &sides, &base);
    let row = plan.review("C-1", "status", ["crm", "erp", "hr"]).expect("it is asked");
    let answer = Answer::to(&row, Choice::Other(Some(3)), decision("bob"));
    let settled = plan.settle("C-1", "status", answer).expect("it fits");
    for (after, left) in [(3, [3, 3, 7]), (4, [3, 2, 7])] {
        let mut systems = [1, 2, 7].map(Slot::Value);
        let mut store = Unreachable { systems: &mut systems, after };
        let failed = settled.apply(&mut store).expect_err("it cannot be reached");
        let applied = failed.into_value();
        assert_eq!((applied.written, applied.moved_on), (5 - after, vec![2]));
        assert_eq!(systems, left.map(Slot::Value));
        assert_eq!(applied.bases, Bases::common(base, 3), "nothing was agreed");
    }
}

/// A value that stays different on purpose is not asked about again until a side changes.
#[test]
fn to_leave_them_different_is_an_answer_that_lasts_until_a_side_changes() {
    let state =
        State { slots: [Slot::Value(1), Slot::Value(2)], base: Base::Known(Some(1)) };
    let seen = row(Rule::Manual, &state).expect("it is asked");
    let left = Answer::to(&seen, Choice::Leave, decision("ada"));
    let mut stored = Some(left);
    for _ in 0..3 {
        let mut systems = state.slots;
        plan(Rule::Manual, &state, |plan| {
            let answer = stored.take().expect("kept from run to run");
            let settled = plan.settle("C-1", "status", answer).expect("nothing changed");
            assert_eq!((settled.outcome(), settled.writes().count()), (None, 0));
            let applied = settled.apply(&mut systems[..]).expect("in memory");
            assert_eq!((applied.written, applied.base), (0, state.base));
            stored = Some(settled.answer().clone());
        });
        assert_eq!(systems, state.slots);
    }
    let changed = State { slots: [Slot::Value(1), Slot::Value(3)], ..state };
    plan(Rule::Manual, &changed, |plan| {
        assert_eq!(plan.verdict(), Verdict::Ask(Question::Manual));
        let answer = stored.take().expect("kept");
        let refused = plan.settle("C-1", "status", answer).expect_err("a side changed");
        assert_eq!(*refused.cause(), AnswerError::MovedOn);
    });
}

/// One decision answers many equal questions, and each answer stands or falls by itself.
#[test]
fn one_decision_answers_many_questions_and_each_is_checked_by_itself() {
    let state = |erp| State {
        slots: [Slot::Value(1), Slot::Value(erp)],
        base: Base::Known(Some(1)),
    };
    let mut records = [("C-1", state(2)), ("C-2", state(2)), ("C-3", state(4))];
    let rows = records.map(|(record, state)| {
        plan(Rule::Manual, &state, |plan| plan.review(record, "status", NAMES))
            .expect("it is asked")
    });
    let alike = rows.iter().filter(|row| row.is_like(&rows[0])).collect::<Vec<_>>();
    assert_eq!(alike.len(), 2, "C-3 asks about another value");
    let answers =
        Answer::to_each(alike, &Choice::Side(1), &decision("ada")).collect::<Vec<_>>();

    records[1].1 = state(5); // meanwhile
    let came_of = answers.into_iter().map(|answer| {
        let (record, state) = records
            .iter()
            .find(|(record, _)| *record == answer.seen().record_id)
            .expect("it was asked about");
        let mut systems = state.slots;
        let fits = plan(Rule::Manual, state, |plan| {
            let settled = plan.settle(record, "status", answer).ok();
            settled.map(|settled| settled.apply(&mut systems[..]).expect("in memory"))
        });
        (fits.is_some(), systems[0])
    });
    assert_eq!(
        came_of.collect::<Vec<_>>(),
        [(true, Slot::Value(2)), (false, Slot::Value(1))]
    );
}

/// A queue keeps all fields in one form, and the answer comes back in the field's own.
#[test]
fn an_answer_goes_through_a_queue_of_another_form() {
    let state =
        State { slots: [Slot::Value(1), Slot::Value(2)], base: Base::Known(Some(1)) };
    let in_queue = row(Rule::Manual, &state).expect("it is asked").map(u8::to_string);
    let choice = Choice::Other(Some("7".to_owned()));
    let answer = Answer::to(&in_queue, choice, decision("ada"));
    let back = answer.try_map(|text| text.parse::<u8>()).expect("numbers");
    plan(Rule::Manual, &state, |plan| {
        let settled = plan.settle("C-1", "status", back).expect("its own question");
        assert_eq!(settled.outcome(), Some(Content::Value(&7)));
    });
    let seven = Choice::Other(Some("seven".to_owned()));
    let broken = Answer::to(&in_queue, seven, decision("ada"));
    assert!(broken.try_map(|text| text.parse::<u8>()).is_err());
}

#[test]
fn a_check_is_told_from_a_write() {
    let state =
        State { slots: [Slot::Value(1), Slot::Value(2)], base: Base::Known(Some(1)) };
    with_both(&state, [Choice::Side(0), Choice::Other(Some(3))], |[ada, bob]| {
        let check = ada.checks().next().expect("the chosen side");
        assert_eq!((check.to(), check.value(), check.expects()), (0, Some(&1), Some(&1)));
        assert_eq!((check.is_check(), check.lost()), (true, None));
        assert_eq!(check.found(Some(&1)), Found::AsExpected);
        assert_eq!(ada.writes().map(|write| write.to()).collect::<Vec<_>>(), [1]);
        assert_eq!((bob.checks().count(), bob.writes().count()), (0, 2));
    });
}
