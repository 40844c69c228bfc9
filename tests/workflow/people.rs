//! Who may decide: the role's own type, and people who are there.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use integration_automation_patterns::workflow::memory::Memory;
use integration_automation_patterns::workflow::{
    AnyAdvance, AnyRuling, Asked, By, Calendar, Choice, Driven, InstanceId, Intervention,
    NotDecidedError, Person, QuestionAsked, Role, Seat, Seen, Status,
};
use integration_automation_patterns::{Decision, Event};

use crate::orders::order_to_cash::{self, Any, This, at};
use crate::orders::*;
use crate::walk::{every_stage, id};

fn now() -> DateTime<Utc> {
    "2026-01-05T08:00:00Z".parse().unwrap()
}

/// The step that asks for the approval of a large order of Anna's.
fn asks(store: &mut Memory) -> AnyAdvance<This> {
    let anna = login::seat::<Sales>("anna").unwrap();
    let id = InstanceId::of("order 4711").unwrap();
    store
        .begin(order_to_cash::start(id.clone(), Order::of(90_000), &anna), now())
        .unwrap();
    let Some(Any::Awaiting(at::Awaiting::reserve_credit(at))) = store.load(&id).unwrap()
    else {
        panic!()
    };
    store.store(at.done(CreditReserved), now()).unwrap();
    let Some(Any::Awaiting(at::Awaiting::hold_stock(at))) = store.load(&id).unwrap()
    else {
        panic!()
    };
    let Asked::Needed(advance) = at.done(StockHeld) else { panic!() };
    advance.into()
}

/// A role of a program's own, under the name of one that is asked.
struct Impostor;

impl Role for Impostor {
    const NAME: &'static str = Controller::NAME;
    type Key = ();
}

#[test]
fn a_role_of_the_same_name_is_another_role() {
    let mut store = Memory::default();
    let advance = asks(&mut store);
    let id = advance.id();
    store.store(advance, now()).unwrap();
    let seen = store.record(id.as_event_id()).unwrap().question.as_ref().unwrap().seen();
    let seat = Seat::<Impostor>::mint(&(), "eve").unwrap();
    let ruling = AnyRuling::from(seat.decide("trust me").unwrap());
    let at = store.load(&id).unwrap().unwrap();
    let refused = This::decide(at, Choice::Approve(seen), ruling).unwrap_err();
    assert!(matches!(refused.cause(), NotDecidedError::WrongRole { .. }));

    let carl = login::seat::<Controller>("carl").unwrap();
    let ruling = AnyRuling::from(carl.decide("a good customer").unwrap());
    assert!(This::decide(refused.into_value(), Choice::Approve(seen), ruling).is_ok());
}

/// A question is never left with a level at which nobody may answer.
#[test]
fn a_level_without_people_is_passed_at_once_and_a_question_for_nobody_says_so() {
    let people = |roles: &[(&str, &str)]| {
        let mut people = BTreeMap::<String, Vec<Person>>::new();
        for (role, name) in roles {
            let role = people.entry((*role).to_owned()).or_default();
            role.push(Person::new(name).unwrap());
        }
        people
    };
    for (roles, level, for_nobody) in [
        (&[("controller", "carl")][..], 0, false),
        (&[("controller", "Anna"), ("head of finance", "hedy")][..], 1, false),
        (&[("controller", "anna")][..], 1, true),
        (&[][..], 1, true),
    ] {
        let advance = asks(&mut Memory::default()).put_to(&people(roles));
        let question = advance.question().unwrap();
        assert_eq!(
            (question.level, question.for_nobody),
            (level, for_nobody),
            "{roles:?}"
        );
    }
}

/// A trip that two controllers approve, or the head of finance.
mod trip {
    use integration_automation_patterns::workflow;
    use integration_automation_patterns::workflow::{Wire, WireError};

    use crate::orders::{Controller, HeadOfFinance, Sales};

    #[derive(Debug, Clone, Copy)]
    pub(super) struct Trip;

    impl Wire for Trip {
        fn write(&self) -> Result<Vec<u8>, WireError> {
            Ok(Vec::new())
        }

        fn read(_: &[u8]) -> Result<Self, WireError> {
            Ok(Self)
        }
    }

    workflow! {
        pub(super) mod table of Trip requested by Sales, version 1 {
            approval costs of Trip:
                asks 2 of Controller within 24 h then HeadOfFinance within 24 h else refuse;
        }
    }

    impl table::Undo for Trip {}

    impl table::Learn for Trip {}

    impl table::Ask for Trip {
        fn costs(&self) -> Self {
            Self
        }
    }
}

/// Protects from a level at which a vote leaves too few who may still vote: the first
/// votes for two.
#[test]
fn a_vote_that_leaves_too_few_has_the_next_level_asked_at_once() {
    let person = |name: &str| Person::new(name).unwrap();
    let people = BTreeMap::from([
        ("controller".to_owned(), vec![person("carl"), person("bert")]),
        ("head of finance".to_owned(), vec![person("fay")]),
    ]);
    for (instead_of, level) in [(None, 0), (Some("bert"), 1)] {
        let mut store = Memory::default();
        let id = InstanceId::of("trip 7").unwrap();
        let anna = login::seat::<Sales>("anna").unwrap();
        let first = trip::table::start(id.clone(), trip::Trip, &anna).put_to(&people);
        store.begin(first, now()).unwrap();
        let asked = store.take_commands().len();
        assert_eq!(asked, 1);

        let mut carl = login::seat::<Controller>("carl").unwrap();
        if let Some(away) = instead_of {
            carl = carl.instead_of(person(away));
        }
        let vote = AnyRuling::from(carl.decide("a good customer").unwrap());
        let at = store.load(&id).unwrap().unwrap();
        let seen = store.record(id.as_event_id()).unwrap().question.clone().unwrap();
        let voted = trip::table::This::decide(at, Choice::Approve(seen.seen()), vote);
        let due_at = store.record(id.as_event_id()).unwrap().due_at.unwrap();
        store.store(voted.unwrap().put_to(&people), now() + TimeDelta::hours(3)).unwrap();
        let row = store.record(id.as_event_id()).unwrap();
        let question = row.question.as_ref().unwrap();
        assert_eq!((question.level, question.votes.len()), (level, 1), "{instead_of:?}");
        let asked = store.commands().len();
        assert_eq!(asked, usize::from(level == 1), "a vote alone asks nobody");
        let moved = row.due_at.unwrap() - due_at;
        assert_eq!(
            moved,
            TimeDelta::hours(i64::from(level) * 3),
            "nor moves the deadline"
        );
    }
}

/// Protects the four eyes from one who writes what they approve themselves, at this
/// approval or at a later one, by another hand or after another amendment.
#[test]
fn who_has_amended_decides_on_no_approval_behind_it() {
    use crate::shapes::aap::trip::{Any, This, at, start};

    let (mut store, id) = (Memory::default(), InstanceId::<This>::of("trip 7").unwrap());
    let anna = login::seat::<Sales>("anna").unwrap();
    store.begin(start(id.clone(), crate::shapes::Trip, &anna), now()).unwrap();
    let sits = |name: &str| login::seat::<Controller>(name).unwrap();
    let amend = |store: &mut Memory, by: By| {
        let Any::Awaiting(at::Awaiting::a(at)) = store.load(&id).unwrap().unwrap() else {
            panic!("the first approval is awaited")
        };
        store.store(at.amend(|_| (), by), now()).unwrap();
    };
    let person = |name| Person::new(name).unwrap();
    let by_hand_of_carl = sits("carl").instead_of(person("dora"));
    amend(&mut store, by_hand_of_carl.decide("cheaper").unwrap().into());
    amend(&mut store, Decision::new("eve", "a typing error").unwrap().into());
    let decide = |store: &mut Memory, seat: &Seat<Controller>, choice| {
        let (ruling, at) = (seat.decide("fine").unwrap(), store.load(&id).unwrap());
        let step = This::decide(at.unwrap(), choice, ruling.into());
        let step: AnyAdvance<This> = step.map_err(|refused| refused.into_cause())?;
        store.store(step, now()).unwrap();
        Ok::<_, NotDecidedError>(())
    };
    let seen = Choice::Approve(Seen::of(b""));
    for _ in ["a", "b"] {
        let for_carl = sits("cora").instead_of(person("Carl"));
        for seat in [sits("carl"), sits("dora"), sits("eve"), for_carl] {
            for choice in [seen.clone(), Choice::Refuse] {
                let own = decide(&mut store, &seat, choice).unwrap_err();
                assert!(matches!(own, NotDecidedError::OwnAmendment { .. }), "{own}");
            }
        }
        decide(&mut store, &sits("cora"), seen.clone()).unwrap();
    }
    let row = store.record(id.as_event_id()).unwrap();
    assert_eq!(row.step.as_deref(), Some("c"));
    assert_eq!(row.cleared.iter().map(|one| one.amended).collect::<Vec<_>>(), [2, 2]);
}

/// Protects a question from waiting for the one who has amended it, and for nobody else.
#[test]
fn an_amendment_by_the_last_who_may_decide_has_the_next_level_asked_at_once() {
    let person = |name: &str| Person::new(name).unwrap();
    for (heads, level, for_nobody) in [(&["hedy"][..], 1, false), (&[], 1, true)] {
        let people = BTreeMap::from([
            ("controller".to_owned(), vec![person("carl")]),
            ("head of finance".to_owned(), heads.iter().map(|one| person(one)).collect()),
        ]);
        let mut store = Memory::default();
        let advance = asks(&mut store).put_to(&people);
        let id = advance.id();
        assert_eq!(advance.question().unwrap().level, 0);
        store.store(advance, now()).unwrap();
        let Some(Any::Awaiting(at::Awaiting::over_limit(at))) = store.load(&id).unwrap()
        else {
            panic!("the approval is awaited")
        };
        let carl = Decision::new("carl", "a discount").unwrap();
        let step = at.amend(|order| order.total = 80_000, carl).put_to(&people);
        store.store(step, now()).unwrap();
        let question = store.record(id.as_event_id()).unwrap().question.clone().unwrap();
        assert_eq!((question.level, question.for_nobody), (level, for_nobody));
    }
}

/// Protects who cancels too late from looking for the role that may: there is none.
#[test]
fn what_cannot_be_cancelled_says_so_whatever_the_role() {
    let stage = (Status::Parked, Some("create_order".to_owned()));
    let store = &every_stage(900)[&stage];
    let at = store.load(&id()).unwrap().unwrap();
    let carl = login::seat::<Controller>("carl").unwrap().decide("too dear").unwrap();
    let refused = This::decide(at, Choice::Cancel, carl.into()).unwrap_err();
    assert!(
        matches!(refused.cause(), NotDecidedError::Closed { choice: "cancel", .. }),
        "{}",
        refused.cause()
    );
}

/// A company that works at night alone: a span takes twice as long.
struct Nights;

impl Calendar for Nights {
    fn due(&self, from: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
        from + span * 2
    }
}

/// The moments that the last question has announced: the end of its level, and the reminder.
fn announced(store: &mut Memory) -> (DateTime<Utc>, Option<DateTime<Utc>>) {
    let sent = store.take_commands();
    let mut questions =
        sent.iter().filter(|event| event.event_type() == QuestionAsked::TYPE);
    let question = questions.next_back().expect("a question has left");
    let json: serde_json::Value =
        serde_json::from_slice(question.payload().bytes()).unwrap();
    let moment = |name: &str| json[name].as_str().map(|text| text.parse().unwrap());
    (moment("due_at").unwrap(), moment("remind_at"))
}

/// Protects those who are asked from a date on which nothing ends: what a question
/// announces is when the clock moves on, by the company's own hours.
#[test]
fn a_question_says_when_its_level_ends_and_when_it_is_reminded() {
    let hours = |hours| now() + TimeDelta::hours(hours);
    for (mut store, pace) in
        [(Memory::default(), 1), (Memory::default().with_calendar(Nights), 2)]
    {
        let step = asks(&mut store);
        let id = step.id();
        store.store(step, now()).unwrap();
        let level = |store: &Memory| {
            store.record(id.as_event_id()).unwrap().question.as_ref().unwrap().level
        };
        let (reminder, end) = (hours(8 * pace), hours(24 * pace));
        assert_eq!(announced(&mut store), (end, Some(reminder)));
        let almost = |moment| moment - TimeDelta::microseconds(1);
        assert!(!store.run_due(&id, almost(reminder)).unwrap());
        assert!(store.run_due(&id, reminder).unwrap());
        assert_eq!(announced(&mut store), (end, None), "it was reminded");
        assert!(!store.run_due(&id, almost(end)).unwrap());
        assert!(store.run_due(&id, end).unwrap());
        assert_eq!(level(&store), 1);
        assert_eq!(announced(&mut store), (end + TimeDelta::hours(24 * pace), None));
    }
}

/// Protects a level whose end a person has set from an end behind that, and from a
/// reminder that is taken for it.
#[test]
fn the_end_that_a_person_sets_is_the_end_of_the_level() {
    let mut store = Memory::default();
    let step = asks(&mut store);
    let id = step.id();
    store.store(step, now()).unwrap();
    let (until, ute) = (now() + TimeDelta::hours(2), Decision::new("ute", "urgent"));
    let at = store.load(&id).unwrap().unwrap();
    let postponed = This::intervene(at, Intervention::Postpone(until), ute.unwrap());
    store.store(postponed.unwrap(), now()).unwrap();
    assert!(store.run_due(&id, until).unwrap());
    let row = store.record(id.as_event_id()).unwrap();
    assert_eq!(row.question.as_ref().unwrap().level, 1, "the next level is asked");
}

/// Protects a decision from a database that refuses its text, and a terminal from one that
/// it obeys: whoever gives the name is told at once.
#[test]
fn a_name_has_no_control_characters_and_a_reason_only_those_that_break_lines() {
    for found in (0..=0x9f_u8).map(char::from).filter(|c| c.is_control()) {
        let name = format!("an{found}na");
        assert!(Person::new(&name).is_err(), "{found:?}");
        assert!(login::seat::<Sales>(&name).is_err(), "{found:?}");
        assert!(Decision::new(&*name, "urgent").is_err(), "{found:?}");
        let reason = format!("urgent{found} and dear");
        let is_kept = Decision::new("anna", &*reason).is_ok();
        let seat = login::seat::<Controller>("carl").unwrap();
        assert_eq!(seat.decide(&*reason).is_ok(), is_kept);
        assert_eq!(is_kept, matches!(found, '\n' | '\r' | '\t'), "{found:?}");
    }
    assert!(Person::new("\u{1f9d1} J\u{fc}rgen O'Neill").is_ok());
}
