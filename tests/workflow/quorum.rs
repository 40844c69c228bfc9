//! What people say of an approval, in any order and over any directory: who may, how many
//! are enough, and who is asked next.

use std::collections::BTreeMap;

use integration_automation_patterns::Decision;
use integration_automation_patterns::workflow::memory::Memory;
use integration_automation_patterns::workflow::{
    AnyRuling, By, Choice, Directory, Driven, InstanceId, InstanceRecord, Level,
    NotDecidedError, Person, Question, Role, Seen, Status, Verdict, Workflow,
};
use proptest::prelude::*;

use crate::matrix::every_kind::{self, Any, This, at};
use crate::orders::*;
use crate::walk::now;

/// What happens to the question.
#[derive(Debug, Clone)]
enum Event {
    Approve { who: String, as_head: bool, of_now: bool },
    Withdraw { who: String },
    Amend { total: u64, who: String, instead_of: Option<String> },
    Due,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => ("[a-e]", any::<bool>(), prop::bool::weighted(0.9)).prop_map(
            |(who, as_head, of_now)| Event::Approve { who, as_head, of_now }
        ),
        2 => "[a-e]".prop_map(|who| Event::Withdraw { who }),
        1 => (10_001..10_005_u64, "[a-f]", prop::option::of("[a-f]")).prop_map(
            |(total, who, instead_of)| Event::Amend { total, who, instead_of }
        ),
        1 => Just(Event::Due),
    ];
    prop::collection::vec(event, 0..12)
}

/// Who amends: a clerk by their name, or in the place of another.
fn amender(who: &str, instead_of: Option<&str>) -> By {
    let Some(away) = instead_of else {
        return Decision::new(who, "another sum").unwrap().into();
    };
    let seat = login::seat::<Sales>(who).unwrap();
    let seat = seat.instead_of(Person::new(away).unwrap());
    seat.decide("another sum").unwrap().into()
}

fn ruling(who: &str, as_head: bool) -> AnyRuling {
    if as_head {
        login::seat::<HeadOfFinance>(who).unwrap().decide("fine").unwrap().into()
    } else {
        login::seat::<Controller>(who).unwrap().decide("fine").unwrap().into()
    }
}

fn asked(people: &dyn Directory) -> (Memory, InstanceId<This>) {
    let asker = login::seat::<Sales>("a").unwrap();
    let (mut store, id) = (Memory::default(), InstanceId::of("order 4711").unwrap());
    let advance = every_kind::start(id.clone(), Order::of(10_001), &asker);
    store.begin(advance, now()).unwrap();
    for reply in ["crm.credit.reserved", "erp.stock.held"] {
        let row = store.record(id.as_event_id()).unwrap();
        let to = format!("every_kind/{id}/{}/do", row.step.as_deref().unwrap());
        let reply = integration_automation_patterns::RawEvent::new(reply, b"{}");
        let at = store.load(&id).unwrap().unwrap();
        let Ok(Verdict::Moved(advance)) = This::reply(at, &to.parse().unwrap(), &reply)
        else {
            panic!("it is awaited")
        };
        store.store(advance.put_to(people), now()).unwrap();
    }
    (store, id)
}

fn row<'s>(store: &'s Memory, id: &InstanceId<This>) -> &'s InstanceRecord {
    store.record(id.as_event_id()).unwrap()
}

fn question<'s>(store: &'s Memory, id: &InstanceId<This>) -> &'s Question {
    row(store, id).question.as_ref().unwrap()
}

fn chain() -> &'static [Level] {
    This::DEFINITION.step("over_limit").unwrap().asks
}

/// How many votes a level lacks.
fn missing(votes: &[(String, bool)], level: &Level) -> usize {
    let as_head = level.role == HeadOfFinance::NAME;
    let given = votes.iter().filter(|(_, head)| *head == as_head).count();
    (level.wanted as usize).saturating_sub(given)
}

/// Whether the level that is asked has people enough, and those passed have not.
fn is_put_well(
    row: &InstanceRecord,
    from: u32,
    votes: &[(String, bool)],
    people: &dyn Directory,
) -> bool {
    let question = row.question.as_ref().unwrap();
    let has_enough = |level: &Level| {
        let eligible = question.eligible(level, &row.authors(), people).len();
        eligible >= missing(votes, level)
    };
    let levels = (0..).zip(chain()).filter(|(at, _)| *at >= from);
    let first = levels.filter(|(_, level)| has_enough(level)).map(|(at, _)| at).next();
    match first {
        Some(level) => question.level == level && !question.for_nobody,
        None => question.for_nobody,
    }
}

proptest! {
    /// Protects the four eyes, whatever people say and in whatever order: the instance goes
    /// on where a level has the votes that it wants, each of a person who neither asks nor
    /// has amended it, about what is shown; and not before.
    #[test]
    fn an_approval_is_given_by_enough_people_who_may(
        events in events(),
        controllers in prop::collection::vec("[a-e]", 0..5),
        heads in prop::collection::vec("[a-e]", 0..3),
    ) {
        let listed = |names: &[String]| {
            names.iter().map(|name| Person::new(name).unwrap()).collect::<Vec<_>>()
        };
        let people = BTreeMap::from([
            (Controller::NAME.to_owned(), listed(&controllers)),
            (HeadOfFinance::NAME.to_owned(), listed(&heads)),
        ]);
        let (mut store, id) = asked(&people);
        let (mut votes, mut total) = (Vec::<(String, bool)>::new(), 10_001);
        let mut amended_by = Vec::<String>::new();
        prop_assert!(is_put_well(row(&store, &id), 0, &votes, &people));
        for event in events {
            let at = store.load(&id).unwrap().unwrap();
            let before = question(&store, &id).clone();
            match event {
                Event::Approve { who, as_head, of_now } => {
                    let seen = if of_now { before.seen() } else { Seen::of(b"1") };
                    let step = This::decide(at, Choice::Approve(seen), ruling(&who, as_head));
                    let has_voted = votes.iter().any(|(one, _)| *one == who);
                    let has_amended = amended_by.contains(&who);
                    match step {
                        Ok(step) => {
                            prop_assert!(who != "a" && !has_amended);
                            prop_assert!(!has_voted && of_now);
                            votes.push((who, as_head));
                            store.store(step, now()).unwrap();
                        }
                        Err(refused) => match refused.cause() {
                            NotDecidedError::OwnRequest { .. } => prop_assert_eq!(who, "a"),
                            NotDecidedError::OwnAmendment { .. } => {
                                prop_assert!(has_amended);
                            }
                            NotDecidedError::VotedAlready { .. } => prop_assert!(has_voted),
                            NotDecidedError::Changed { .. } => prop_assert!(!of_now),
                            other => prop_assert!(false, "{}", other),
                        },
                    }
                }
                Event::Withdraw { who } => {
                    let step = This::decide(at, Choice::Withdraw, ruling(&who, false));
                    let had_voted = votes.iter().any(|(one, _)| *one == who);
                    prop_assert_eq!(step.is_ok(), had_voted);
                    votes.retain(|(one, _)| *one != who);
                    if let Ok(step) = step {
                        store.store(step, now()).unwrap();
                    }
                }
                Event::Amend { total: amended, who, instead_of } => {
                    let Any::Awaiting(at::Awaiting::over_limit(at)) = at else { panic!() };
                    let by = amender(&who, instead_of.as_deref());
                    let step = at.amend(|order| order.total = amended, by);
                    store.store(step.put_to(&people), now()).unwrap();
                    votes.clear();
                    amended_by.extend([who].into_iter().chain(instead_of));
                    total = amended;
                    let row = row(&store, &id);
                    prop_assert!(is_put_well(row, before.level, &votes, &people));
                }
                Event::Due => {
                    let Verdict::Moved(step) = This::due(at) else { panic!() };
                    let step = step.put_to(&people);
                    let is_over = step.status() != Status::Awaiting;
                    store.store(step, now()).unwrap();
                    if is_over {
                        prop_assert_eq!(before.level, 1, "silence is a refusal in the end");
                        return Ok(());
                    }
                    let next = row(&store, &id);
                    prop_assert!(is_put_well(next, before.level + 1, &votes, &people));
                }
            }
            let is_granted = chain().iter().any(|level| missing(&votes, level) == 0);
            let row = store.record(id.as_event_id()).unwrap();
            let goes_on = row.step.as_deref() == Some("create_order");
            prop_assert_eq!(goes_on, is_granted);
            if goes_on {
                let cleared = &row.cleared[0];
                prop_assert_eq!(&cleared.shown, &total.to_string().into_bytes());
                let names = cleared.votes.iter().map(|vote| vote.actor.person.name());
                prop_assert!(names.eq(votes.iter().map(|(who, _)| who.as_str())));
                return Ok(());
            }
            let names = row.question.iter().flat_map(|question| &question.votes);
            let names = names.map(|vote| vote.actor.person.name().to_owned());
            prop_assert!(names.eq(votes.iter().map(|(who, _)| who.clone())));
        }
    }
}
