//! Instances of version 1 go on under version 3, by way of version 2, and people know of
//! every question that is open and of every one that is closed.

use chrono::TimeDelta;
use integration_automation_patterns::workflow::memory::Memory;
use integration_automation_patterns::workflow::{
    AnyRuling, Choice, Driven, InstanceId, InstanceRecord, RecordError, Seen, Status,
    Verdict,
};
use integration_automation_patterns::{Envelope, RawEvent};

use crate::orders::{Controller, login};
use crate::version_three::order_to_cash::{Any, This as Three, at};
use crate::walk::{every_stage, id, now};

fn new_id() -> InstanceId<Three> {
    InstanceId::of("order 4711").unwrap()
}

fn row(store: &Memory) -> &InstanceRecord {
    store.record(id().as_event_id()).unwrap()
}

fn reached(total: u64, status: Status, step: &str) -> Memory {
    let mut store = every_stage(total).remove(&(status, Some(step.to_owned()))).unwrap();
    store.take_commands();
    store
}

/// What leaves to people, as `type step`.
fn to_people(store: &mut Memory) -> Vec<String> {
    let sent = store.take_commands();
    let questions = sent.iter().filter(|one| one.event_type().starts_with("workflow."));
    let step = |payload: &RawEvent| {
        let text = std::str::from_utf8(payload.bytes()).unwrap().to_owned();
        text.split("\"step\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    let named = questions.map(|one| {
        let word = one.event_type().rsplit('.').next().unwrap();
        format!("{word} {}", step(one.payload()))
    });
    named.collect()
}

/// Protects the orders that are under way when two versions come at once.
#[test]
fn an_instance_goes_on_two_versions_later() {
    for ((status, step), mut store) in every_stage(20_000) {
        let before = row(&store).clone();
        let (at, standing) = Three::standing(store.load(&new_id()).unwrap().unwrap());
        let goes_on = match (status, step.as_deref()) {
            (Status::Forestalling, _) => Status::Parked,
            (Status::Parked, Some("notify_billing")) => Status::Awaiting,
            _ => status,
        };
        assert_eq!((standing.status, standing.step), (goes_on, step.as_deref()));
        drop(at);
        if status.is_end() {
            continue;
        }
        assert!(store.run_due(&new_id(), before.due_at.unwrap()).unwrap());
        assert_eq!((row(&store).version, row(&store).revision), (3, before.revision + 1));
        store.load(&new_id()).unwrap().unwrap();
    }
}

/// Protects people from voting on what they were never asked: the first vote that is
/// stored tells the others what is shown now.
#[test]
fn a_question_that_has_changed_is_asked_with_the_next_step_that_is_stored() {
    let mut store = reached(20_000, Status::Awaiting, "over_limit");
    let due_at = row(&store).due_at;
    let decide = |store: &mut Memory, name: &str| {
        let seat = login::seat::<Controller>(name).unwrap();
        let ruling = AnyRuling::from(seat.decide("fine").unwrap());
        let at = store.load(&new_id()).unwrap().unwrap();
        let step = Three::decide(at, Choice::Approve(Seen::of(b"20050")), ruling);
        store.store(step.unwrap(), now()).unwrap();
    };
    decide(&mut store, "carl");
    assert_eq!(to_people(&mut store), ["asked over_limit"]);
    assert_eq!(row(&store).due_at, due_at, "a vote moves no deadline");
    assert_eq!(row(&store).question.as_ref().unwrap().votes.len(), 1);

    store.run_due(&new_id(), due_at.unwrap()).unwrap();
    assert_eq!(row(&store).question.as_ref().unwrap().level, 1, "it was asked by then");
    decide(&mut store, "cora");
    assert_eq!(row(&store).step.as_deref(), Some("create_order"));
    assert_eq!(to_people(&mut store), ["asked over_limit", "closed over_limit"]);
}

/// Protects people from a question that stays open in their inbox, and needs no answer.
#[test]
fn a_question_that_nobody_needs_to_answer_any_more_is_closed() {
    let mut store = reached(900, Status::Parked, "notify_billing");
    let to = format!("order_to_cash/{}/notify_billing/do", row(&store).id);
    let reply =
        Envelope::builder("billing", RawEvent::new("billing.invoice.issued", b"{}"));
    let reply = reply.correlation_id(to).build().unwrap();
    store.receive::<Three>(&reply, now()).unwrap();
    assert_eq!(row(&store).status, Status::Completed);
    assert_eq!(to_people(&mut store), ["closed notify_billing"]);
}

/// Protects from an order that goes past an approval which the new version asks for.
#[test]
fn an_approval_that_does_not_stand_is_asked_before_the_one_behind_it() {
    let mut store = reached(90_000, Status::Awaiting, "over_limit");
    let Verdict::Moved(step) = Three::due(store.load(&new_id()).unwrap().unwrap()) else {
        panic!("it waits")
    };
    store.store(step, now() + TimeDelta::days(2)).unwrap();
    assert_eq!(row(&store).step.as_deref(), Some("in_budget"));
    assert_eq!(to_people(&mut store), ["closed over_limit", "asked in_budget"]);

    let store = reached(20_000, Status::Awaiting, "over_limit");
    let Some(Any::Awaiting(at::Awaiting::over_limit(at))) =
        store.load(&new_id()).unwrap()
    else {
        panic!("its condition does not hold")
    };
    assert_eq!(at.cleared()[0].approval, "in_budget");
    assert!(at.cleared()[0].votes.is_empty());

    let sent = reached(90_000, Status::Awaiting, "create_order");
    let refused = sent.load(&new_id()).unwrap_err();
    assert!(
        matches!(refused.cause(), RecordError::ClearanceMissing { approval, .. } if approval == "in_budget"),
        "{refused}"
    );
    let over = every_stage(90_000).remove(&(Status::Completed, None)).unwrap();
    assert!(over.load(&new_id()).is_ok(), "what is over is not asked again");
}
