//! Faults that users of other systems have reported, each as a case without a database: it
//! names its source, and says what the users of this crate are protected from.

use std::collections::BTreeMap;

use integration_automation_patterns::workflow::memory::Memory;
use integration_automation_patterns::workflow::{
    AnyAdvance, AnyRuling, Choice, Cleared, Driven, InstanceId, NotDecidedError, Person,
    Seen, Status, Workflow,
};
use integration_automation_patterns::{Decision, workflow};

use crate::orders::*;
use crate::version_two::order_to_cash::This as Two;
use crate::walk::{every_stage, id, now};

workflow! {
    /// A purchase that two controllers approve.
    pub(crate) mod purchase of Order requested by Sales, version 1 {
        approval sum of Quote: asks 2 of Controller within 24 h else refuse;
        pivot create_order needs sum: CreateOrder => OrderCreated | OrderRefused,
            within 1 h else asks ErpDesk within 4 h;
    }
}

use self::purchase::{Any, This, at};

impl purchase::Ask for Order {
    fn sum(&self) -> Quote {
        Quote { total: self.total }
    }

    fn create_order(&self, cleared: &Cleared<purchase::step::sum>) -> CreateOrder {
        CreateOrder { total: cleared.shown().total }
    }
}

impl purchase::Undo for Order {}

impl purchase::Learn for Order {
    fn create_order(&mut self, _: OrderCreated) {}
}

fn controller(person: &str) -> AnyRuling {
    let seat = login::seat::<Controller>(person).unwrap();
    seat.decide("a good customer").unwrap().into()
}

/// isms #197: the content was rewritten after its approval, and stayed approved. Protects
/// who has approved one sum from having approved another.
#[test]
fn what_is_amended_after_a_vote_has_no_votes() {
    let (mut store, id) = (Memory::default(), InstanceId::<This>::of("1").unwrap());
    let anna = login::seat::<Sales>("anna").unwrap();
    store.begin(purchase::start(id.clone(), Order::of(900), &anna), now()).unwrap();
    let approve = |store: &mut Memory, person: &str, sum: &str| {
        let (at, seen) = (store.load(&id).unwrap().unwrap(), Seen::of(sum.as_bytes()));
        let step = This::decide(at, Choice::Approve(seen), controller(person));
        let step: AnyAdvance<This> = step.map_err(|refused| refused.into_cause())?;
        store.store(step, now()).unwrap();
        Ok::<_, NotDecidedError>(())
    };
    let votes = |store: &Memory| {
        let question = store.record(id.as_event_id()).unwrap().question.clone();
        question.map_or(0, |question| question.votes.len())
    };
    approve(&mut store, "carl", "900").unwrap();
    assert_eq!(votes(&store), 1);
    let Any::Awaiting(at::Awaiting::sum(at)) = store.load(&id).unwrap().unwrap() else {
        panic!("one vote is not enough")
    };
    let more = Decision::new("anna", "they want more").unwrap();
    store.store(at.amend(|order| order.total = 9_000, more), now()).unwrap();
    assert_eq!(votes(&store), 0);
    let old = approve(&mut store, "cora", "900").unwrap_err();
    assert!(matches!(old, NotDecidedError::Changed { .. }), "{old}");
    for person in ["cora", "carl"] {
        approve(&mut store, person, "9000").unwrap();
    }
    let create = store.take_commands().pop().unwrap();
    assert_eq!(create.payload().bytes(), b"9000");
}

/// OpenMetadata #14337: who asked was in the team that was asked, and approved. Protects
/// the four eyes from a directory that lists the asker.
#[test]
fn the_asker_is_not_eligible_in_the_role_that_is_asked() {
    let store = asked();
    let record = store.record(id().as_event_id()).unwrap();
    let members = ["Anna", "carl"].map(|name| Person::new(name).unwrap());
    let people = BTreeMap::from([("controller".to_owned(), members.to_vec())]);
    let step = order_to_cash::This::DEFINITION.step("over_limit").unwrap();
    let level = step.asks.first().unwrap();
    let question = record.question.as_ref().unwrap();
    let eligible = question.eligible(level, &record.authors(), &people);
    assert_eq!(eligible, [Person::new("carl").unwrap()]);
}

/// An order of 90,000 whose approval is asked for, under version 1.
fn asked() -> Memory {
    let stage = (Status::Awaiting, Some("over_limit".to_owned()));
    every_stage(90_000).remove(&stage).unwrap()
}

/// druks PR #632: every run that was parked at an approval was stranded by an edit of the
/// source. Protects people's questions from a deployment.
#[test]
fn an_approval_that_is_open_is_given_under_the_next_version() {
    let mut store = asked();
    store.take_commands();
    let id = InstanceId::<Two>::of("order 4711").unwrap();
    let at = store.load(&id).unwrap().unwrap();
    let seen = Choice::Approve(Seen::of(b"90000"));
    let step = Two::decide(at, seen, controller("carl")).unwrap();
    store.store(step, now()).unwrap();
    let row = store.record(id.as_event_id()).unwrap();
    assert_eq!((row.version, row.step.as_deref()), (2, Some("create_order")));
    let create = store.take_commands().pop().unwrap();
    assert_eq!(create.payload().bytes(), b"90000");
}
