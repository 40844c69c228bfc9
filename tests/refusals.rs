//! A system may refuse one field, in words: the rest is written, and the field becomes a
//! question that is not tried again until something changes.

use std::collections::BTreeMap;
use std::convert::Infallible;

use integration_automation_patterns::Decision;
use integration_automation_patterns::sync::{
    Answer, Applied, Authority, Base, Choice, Content, Contract, FailedWrites, FieldPlan,
    NonOwnerEdits, Past, Question, Refusal, Refusals, Reply, Rule, Slot, Store, Verdict,
    Write,
};

use proptest::prelude::*;

/// Systems that refuse some values, each in the same words.
struct Strict {
    systems: Vec<Slot<u8>>,
    forbidden: Vec<(usize, Option<u8>)>,
    tried: usize,
}

impl Store<u8> for Strict {
    type Error = Infallible;

    fn replace(&mut self, write: &Write<'_, u8>) -> Result<Reply<u8>, Self::Error> {
        self.tried += usize::from(!write.is_check());
        if self.forbidden.contains(&(write.to(), write.value().copied())) {
            return Ok(Reply::Refused("not allowed here".to_owned()));
        }
        self.systems.replace(write)
    }
}

/// One run: plans what the systems show, given what was refused before, and carries it
/// out; gives what came of it, and what was asked.
fn run(
    rule: Rule,
    store: &mut Strict,
    base: &Base<u8>,
    refusals: &[Refusal<u8>],
) -> (Applied<u8>, Verdict) {
    let seen = store.systems.clone();
    let slots = seen.iter().collect::<Vec<_>>();
    let plan = FieldPlan::new(rule, &slots, base).after_refusals(refusals);
    (plan.apply(store).expect("in memory"), plan.verdict())
}

/// Law 49: a field that its system refuses stops no other field of the record.
#[test]
fn law_49_a_refused_field_stops_no_other() {
    let contract = Contract::builder("contact")
        .system("crm")
        .system("erp")
        .field("email", Authority::system("crm"))
        .field("district", Authority::system("crm"))
        .field("note", Authority::Shared)
        .build()
        .expect("sound");
    let fields = ["email", "district", "note"];
    let mut systems = fields.map(|field| {
        let forbidden = if field == "email" { vec![] } else { vec![(1, Some(9))] };
        Strict { systems: vec![Slot::Value(9), Slot::Value(1)], forbidden, tried: 0 }
    });
    let mut bases = [Base::Known(Some(1)); 3];
    let mut refused = BTreeMap::<&str, Vec<Refusal<u8>>>::new();
    for _ in 0..5 {
        for (place, field) in fields.into_iter().enumerate() {
            let store = &mut systems[place];
            let seen = store.systems.clone();
            let slots = seen.iter().collect::<Vec<_>>();
            let stored = refused.entry(field).or_default();
            let plan = contract.plan(field, &slots, &bases[place]).expect("exchanged");
            let plan = plan.after_refusals(stored);
            let lost = plan.writes().filter(|write| write.lost().is_some()).count();
            assert_eq!(lost, 0, "the ERP is not said to have edited anything");
            let applied = plan.apply(store).expect("in memory");
            bases[place] = applied.base;
            stored.extend(applied.refused);
        }
    }
    let [email, district, note] = systems;
    assert_eq!(email.systems, [Slot::Value(9); 2], "the good field arrives");
    for (name, field) in [("district", district), ("note", note)] {
        assert_eq!(field.systems, [Slot::Value(9), Slot::Value(1)], "nothing is undone");
        assert_eq!(field.tried, 1, "and it is not tried again");
        let slots = field.systems.iter().collect::<Vec<_>>();
        let base = Base::Known(Some(1));
        let plan = contract.plan(name, &slots, &base).expect("exchanged");
        let row = plan
            .after_refusals(&refused[name])
            .review("C-1", name, contract.systems())
            .expect("it is a question");
        assert_eq!(row.question, Question::Refused);
        let words = row.sides.iter().map(|side| side.refused.as_deref());
        assert_eq!(words.collect::<Vec<_>>(), [None, Some("not allowed here")]);
    }
}

const OWNER: Rule = Rule::Owner(0, NonOwnerEdits::Overwrite);

#[test]
fn it_is_tried_again_once_something_changes() {
    let base = Base::Known(Some(1));
    let refused = Refusal {
        place: 1,
        value: Some(9),
        shown: Some(1),
        why: "not allowed here".to_owned(),
    };
    let refusals = [refused];
    let verdict = |crm, erp| {
        let slots = [&Slot::Value(crm), &Slot::Value(erp)];
        FieldPlan::new(OWNER, &slots, &base).after_refusals(&refusals).verdict()
    };
    assert_eq!(verdict(9, 1), Verdict::Ask(Question::Refused));
    assert_eq!(verdict(8, 1), Verdict::Write(0), "another value");
    assert_eq!(verdict(9, 2), Verdict::Write(0), "the system shows another one");
    assert_eq!(verdict(1, 1), Verdict::Agreed(0), "the edit was taken back");
}

#[test]
fn the_systems_that_take_it_have_it() {
    let mut store = Strict {
        systems: vec![Slot::Value(9), Slot::Value(1), Slot::Value(1)],
        forbidden: vec![(1, Some(9))],
        tried: 0,
    };
    let base = Base::Known(Some(1));
    let (applied, verdict) = run(OWNER, &mut store, &base, &[]);
    assert_eq!((verdict, applied.written), (Verdict::Write(0), 1));
    assert_eq!(store.systems, [9, 1, 9].map(Slot::Value));
    assert_eq!(applied.base, base, "not all agree");
    let (again, verdict) = run(OWNER, &mut store, &base, &applied.refused);
    assert_eq!((verdict, again.written), (Verdict::Ask(Question::Refused), 0));
}

/// A person may give in to the system, choose a third value, or have it tried once more.
#[test]
fn a_person_settles_what_a_system_refuses() {
    let base = Base::Known(Some(1));
    let seen = [Slot::Value(9), Slot::Value(1)];
    let slots = seen.each_ref();
    let first = FieldPlan::new(OWNER, &slots, &base);
    let refusals = first
        .writes()
        .map(|write| Refusal::of(&write, "not allowed here"))
        .collect::<Vec<_>>();
    let plan = first.after_refusals(&refusals);
    let row = plan.review("C-1", "district", ["crm", "erp"]).expect("it is asked");
    let settle = |choice, forbidden: &[(usize, Option<u8>)]| {
        let decision = Decision::new("ada", "the district was split").expect("not blank");
        let settled = plan
            .settle("C-1", "district", Answer::to(&row, choice, decision))
            .expect("its own question");
        let (systems, forbidden) = (seen.to_vec(), forbidden.to_vec());
        let mut store = Strict { systems, forbidden, tried: 0 };
        let applied = settled.apply(&mut store).expect("in memory");
        (store.systems, applied)
    };
    let (systems, _) = settle(Choice::Side(1), &[]);
    assert_eq!(systems, [Slot::Value(1); 2], "as the ERP says");
    let (systems, applied) = settle(Choice::Other(Some(7)), &[(1, Some(9))]);
    assert_eq!(
        (systems, applied.base),
        ([Slot::Value(7); 2].to_vec(), Base::Known(Some(7)))
    );
    let (systems, applied) = settle(Choice::Side(0), &[]);
    assert_eq!(systems, [Slot::Value(9); 2], "the rule was lifted");
    assert!(applied.refused.is_empty());
    let (systems, applied) = settle(Choice::Side(0), &[(1, Some(9))]);
    assert_eq!((systems, &applied.refused), (seen.to_vec(), &refusals), "once more");
    assert_eq!(applied.base, base);
}

fn slot() -> impl Strategy<Value = Slot<u8>> {
    prop_oneof![Just(Slot::Unread), Just(Slot::Empty), (0_u8..4).prop_map(Slot::Value),]
}

proptest! {
    /// Whatever systems refuse, the runs come to rest: each write is tried once, and what
    /// is left is asked, with the words of whoever refuses.
    #[test]
    fn refusals_come_to_rest(
        systems in prop::collection::vec(slot(), 3),
        forbidden in prop::collection::vec((0_usize..3, prop::option::of(0_u8..4)), 0..6),
        base in prop_oneof![
            Just(Base::Never),
            prop::option::of(0_u8..4).prop_map(Base::Known),
        ],
        rule in prop_oneof![Just(OWNER), Just(Rule::Shared), Just(Rule::Manual)],
    ) {
        let mut store = Strict { systems, forbidden, tried: 0 };
        let (mut base, mut refusals) = (base, Vec::new());
        for _ in 0..3 {
            let (applied, _) = run(rule, &mut store, &base, &refusals);
            base = applied.base;
            refusals.extend(applied.refused);
        }
        let tried = store.tried;
        let before = store.systems.clone();
        let (applied, verdict) = run(rule, &mut store, &base, &refusals);
        prop_assert_eq!((applied.written, store.tried), (0, tried));
        prop_assert_eq!(&store.systems, &before);
        let slots = before.iter().collect::<Vec<_>>();
        let plan = FieldPlan::new(rule, &slots, &base).after_refusals(&refusals);
        if verdict == Verdict::Ask(Question::Refused) {
            let row = plan.review("C-1", "district", ["a", "b", "c"]).expect("asked");
            prop_assert!(row.sides.iter().any(|side| side.refused.is_some()));
        }
    }
}

/// A person's answer is refused as a rule's write is: the question comes again with the
/// system's words.
#[test]
fn a_question_whose_answer_was_refused_has_the_words() {
    let (slots, base) = ([Slot::Value(1), Slot::Value(2)], Base::Known(Some(1)));
    let sides = slots.each_ref();
    let plan = FieldPlan::new(Rule::Manual, &sides, &base);
    let row = plan.review("C-1", "status", ["crm", "erp"]).expect("it is asked");
    let decision = Decision::new("on-call", "asked the customer").expect("not blank");
    let settled = plan
        .settle("C-1", "status", Answer::to(&row, Choice::Side(0), decision))
        .expect("it fits");
    let (systems, forbidden) = (slots.to_vec(), vec![(1, Some(1))]);
    let mut store = Strict { systems, forbidden, tried: 0 };
    let applied = settled.apply(&mut store).expect("in memory");
    assert_eq!((applied.written, applied.base), (0, base));

    let again = plan.after_refusals(&applied.refused);
    assert_eq!(again.verdict(), Verdict::Ask(Question::Manual));
    let row = again.review("C-1", "status", ["crm", "erp"]).expect("it is asked");
    assert_eq!(row.sides[0].refused, None);
    assert_eq!(row.sides[1].refused.as_deref(), Some("not allowed here"));
}

/// So is a value that a function has made, which no system says.
#[test]
fn a_question_about_a_merged_value_that_was_refused_has_the_words() {
    let (slots, base) = ([Slot::Value(2), Slot::Value(3)], Base::Known(Some(1)));
    let sides = slots.each_ref();
    let merged = FieldPlan::new(Rule::Shared, &sides, &base)
        .merge(|_, edits| Some(Content::Value(edits.iter().copied().flatten().sum())));
    let plan = merged.plan();
    let (systems, forbidden) = (slots.to_vec(), vec![(0, Some(5)), (1, Some(5))]);
    let mut store = Strict { systems, forbidden, tried: 0 };
    let applied = plan.apply(&mut store).expect("in memory");

    let asked = plan.after_refusals(&applied.refused);
    assert_eq!(asked.verdict(), Verdict::Ask(Question::Refused));
    let row = asked.review("C-1", "status", ["crm", "erp"]).expect("it is asked");
    for side in row.sides {
        assert_eq!(side.refused.as_deref(), Some("not allowed here"), "{}", side.system);
    }
}

/// A system that refuses, one that keeps a form of its own, and others that write what
/// they are given, until one of them cannot be reached.
struct Unreachable {
    systems: [Slot<u8>; 5],
    after: usize,
}

impl Store<u8> for Unreachable {
    type Error = &'static str;

    fn replace(&mut self, write: &Write<'_, u8>) -> Result<Reply<u8>, Self::Error> {
        self.after = self.after.checked_sub(1).ok_or("no connection")?;
        match write.to() {
            1 => Ok(Reply::Refused("not allowed here".to_owned())),
            2 => Ok(Reply::Kept(Some(8))),
            _ => self.systems.replace(write).map_err(|never| match never {}),
        }
    }
}

/// What systems said before a store failed is given back with the failure: without it, a
/// refused write would be made again, and an own form would be taken for an edit.
#[test]
fn what_came_of_a_plan_is_given_back_when_a_store_fails() {
    let one = Base::Known(Some(1));
    let seen = [9, 1, 1, 1, 1].map(Slot::Value);
    let slots = seen.each_ref();
    let plan = FieldPlan::new(OWNER, &slots, &one);
    for after in 0..4 {
        let mut store = Unreachable { systems: seen, after };
        let failed = plan.apply(&mut store).expect_err("it cannot be reached");
        assert_eq!(failed.cause(), &"no connection");
        let applied = failed.into_value();
        let refused = applied.refused.iter().map(|refusal| refusal.place);
        assert_eq!(refused.collect::<Vec<_>>(), [1][..usize::from(after > 0)]);
        let kept = applied.kept.iter().map(|kept| (kept.place, kept.held));
        assert_eq!(kept.collect::<Vec<_>>(), [(2, Some(8))][..usize::from(after > 1)]);
        assert_eq!((applied.written, applied.base), (after.saturating_sub(1), one));
        let given = |place: usize| Base::Known(Some(if place <= after { 9 } else { 1 }));
        let confirmed = [Base::Known(Some(9)), one, given(2), given(3), one];
        assert_eq!(applied.bases.confirmed, confirmed, "as far as it went");
        assert_eq!(applied.bases.agreed, Base::Known(Some(9)));
    }
    assert!(plan.apply(&mut Unreachable { systems: seen, after: 4 }).is_ok());
}

/// What nobody says any more is not what a person is asked about.
#[test]
fn the_words_about_another_value_are_not_shown() {
    let (slots, base) = ([Slot::Value(1), Slot::Value(2)], Base::Known(Some(1)));
    let sides = slots.each_ref();
    let refused = |value| Refusal {
        place: 1,
        value: Some(value),
        shown: Some(2),
        why: "not allowed here".to_owned(),
    };
    for (value, shown) in [(1, Some("not allowed here")), (9, None)] {
        let refusals = [refused(value)];
        let plan = FieldPlan::new(Rule::Manual, &sides, &base).after_refusals(&refusals);
        let row = plan.review("C-1", "status", ["crm", "erp"]).expect("it is asked");
        assert_eq!(row.sides[1].refused.as_deref(), shown);
    }
}

/// The latest words about each write are kept, and no others.
#[test]
fn a_refusal_takes_the_place_of_an_earlier_one_of_the_same_write() {
    let refusal = |place, value, why: &str| Refusal {
        place,
        value: Some(value),
        shown: Some(2),
        why: why.to_owned(),
    };
    let mut refused = Refusals::default();
    for (place, value, why) in [(0, 1, "a"), (1, 1, "b"), (0, 3, "c"), (0, 1, "d")] {
        refused.add(refusal(place, value, why));
    }
    assert_eq!(
        refused.as_slice(),
        [refusal(1, 1, "b"), refusal(0, 3, "c"), refusal(0, 1, "d")]
    );
}

/// Whether refusals are given before the rules or after them makes no difference, for any
/// pattern of two systems: above all, nothing is neither written nor asked.
#[test]
fn refusals_and_rules_come_in_any_order() {
    let slots = [Slot::Unread, Slot::Empty, Slot::Value(1), Slot::Value(2)];
    let bases =
        [Base::Never, Base::Known(None), Base::Known(Some(1)), Base::Known(Some(3))];
    let rules = [Rule::Shared, Rule::Manual, Rule::Owner(0, NonOwnerEdits::Reject)];
    let values = [None, Some(1), Some(2), Some(3)];
    let mut past = Past::new(1);
    past.replaced(&Base::Known(Some(2)), &Base::Known(Some(1)));
    let mut failed = FailedWrites::default();
    (0..2).for_each(|_| failed.failed(1, Some(&1)));
    let says = |plan: FieldPlan<'_, u8>| {
        let writes = plan.writes().map(|write| (write.to(), write.value().copied()));
        (plan.verdict(), writes.collect::<Vec<_>>())
    };
    let mut asked = 0;
    for (a, b) in slots.iter().flat_map(|a| slots.iter().map(move |b| (a, b))) {
        for (base, rule) in bases.iter().flat_map(|base| rules.map(|rule| (base, rule))) {
            let sides = [a, b];
            let plan = FieldPlan::new(rule, &sides, base);
            for (place, value) in
                [0, 1].into_iter().flat_map(|at| values.map(|v| (at, v)))
            {
                let shown = sides[place].value().copied();
                let refusals = [Refusal { place, value, shown, why: "no".to_owned() }];
                let check = |one: FieldPlan<'_, u8>, other: FieldPlan<'_, u8>| {
                    assert_eq!(says(one), says(other), "{rule:?} {sides:?} {base:?}");
                };
                macro_rules! in_any_order {
                    ($($rule:ident($($given:expr),*);)*) => {
                        $(check(
                            plan.$rule($($given),*).after_refusals(&refusals),
                            plan.after_refusals(&refusals).$rule($($given),*),
                        );)*
                    };
                }
                in_any_order! {
                    prefer(0);
                    prefer(1);
                    prefer_unless_blank(1);
                    unless_blank();
                    ask_before_going_back(&past);
                    ask_if_stuck(&failed);
                    unless_poorer([true, false]);
                }
                let most = |_: &Base<u8>, edits: &[Option<&u8>]| {
                    edits.iter().max().map(|edit| edit.copied().into())
                };
                check(
                    plan.merge(most).plan().after_refusals(&refusals),
                    plan.after_refusals(&refusals).merge(most).plan(),
                );
                let last = plan.after_refusals(&refusals).prefer(0);
                asked += usize::from(last.verdict() == Verdict::Ask(Question::Refused));
            }
        }
    }
    assert!(asked > 0, "no refusal left nothing to write");
}
