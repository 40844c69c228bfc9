//! Instances of version 1 go on under version 2, from every stage, or are refused with the
//! reason.

use chrono::TimeDelta;
use integration_automation_patterns::workflow::memory::Memory;
use integration_automation_patterns::workflow::{
    Actor, AnyRuling, Choice, Driven, InstanceId, InstanceRecord, NotDecidedError,
    Person, RecordError, Status, Vote,
};

use crate::moved;
use crate::orders::order_to_cash::This as One;
use crate::orders::{Controller, login};
use crate::version_two::order_to_cash::{Any, This as Two, at};
use crate::walk::{every_stage, id, now};

fn new_id() -> InstanceId<Two> {
    InstanceId::of("order 4711").unwrap()
}

fn row(store: &Memory) -> InstanceRecord {
    store.record(id().as_event_id()).unwrap().clone()
}

fn asked(total: u64) -> Memory {
    let stage = (Status::Awaiting, Some("over_limit".to_owned()));
    every_stage(total).remove(&stage).unwrap()
}

/// Protects the orders that are under way on the day of a new version.
#[test]
fn an_instance_goes_on_from_every_stage() {
    let reached = every_stage(90_000);
    assert_eq!(reached.len(), 15, "{:?}", reached.keys());
    for ((status, step), mut store) in reached {
        let before = row(&store);
        let (at, standing) = Two::standing(store.load(&new_id()).unwrap().unwrap());
        let goes_on =
            if status == Status::Forestalling { Status::Parked } else { status };
        assert_eq!((standing.status, standing.step), (goes_on, step.as_deref()));
        assert_eq!(standing.revision, before.revision);
        assert_eq!(row(&store), before, "a look changes nothing");
        drop(at);
        if status.is_end() {
            continue;
        }
        assert!(store.run_due(&new_id(), before.due_at.unwrap()).unwrap());
        let after = row(&store);
        assert_eq!((after.version, after.revision), (2, before.revision + 1));
        assert!(after.data.starts_with(b"shipped "));
        assert!(store.load(&new_id()).is_ok(), "{status} of {step:?}");
        let refused = store.load(&id()).unwrap_err();
        let newer = RecordError::UnknownVersion { wanted: 1, found: 2 }.to_string();
        assert_eq!(refused.cause().to_string(), newer, "the old program leaves it alone");
    }
}

/// Protects the four eyes: who has approved one sum has not approved another.
#[test]
fn a_vote_stands_where_the_new_version_shows_the_same_and_is_void_otherwise() {
    for (total, shown, votes) in [(90_000, "90000", 1), (20_000, "20050", 0)] {
        let mut record = row(&asked(total));
        let question = record.question.as_mut().unwrap();
        question.votes.push(Vote {
            actor: Actor { person: Person::new("carl").unwrap(), instead_of: None },
            role: "controller".to_owned(),
            reason: "fine".to_owned(),
            at: now(),
            seen: question.seen(),
        });
        let any = Two::rehydrate(record).unwrap();
        let Any::Awaiting(at::Awaiting::over_limit(at)) = any else { panic!() };
        let question = at.question().unwrap();
        assert_eq!(question.shown.as_deref(), Some(shown.as_bytes()));
        assert_eq!(question.votes.len(), votes);
    }
}

/// Protects people from a question that has changed without their being asked again.
#[test]
fn a_question_that_has_changed_is_asked_again_before_the_next_level() {
    let mut store = asked(20_000);
    store.take_commands();
    let seen = row(&store).question.unwrap().seen();
    let carl = login::seat::<Controller>("carl").unwrap();
    let ruling = AnyRuling::from(carl.decide("fine").unwrap());
    let at = store.load(&new_id()).unwrap().unwrap();
    let refused = Two::decide(at, Choice::Approve(seen), ruling).unwrap_err();
    assert!(matches!(refused.cause(), NotDecidedError::Changed { .. }));

    store.run_due(&new_id(), now() + TimeDelta::days(30)).unwrap();
    let question = row(&store).question.unwrap();
    assert_eq!((question.level, question.reminded), (0, false));
    let asked = store.take_commands().pop().unwrap();
    assert_eq!(asked.event_type(), "workflow.question.asked");
    let payload = String::from_utf8(asked.payload().bytes().to_vec()).unwrap();
    assert!(payload.contains("20050"), "{payload}");
}

/// Protects what was promised under the old version from a new one that forgets it.
#[test]
fn a_stage_that_breaks_a_law_is_refused_and_the_row_stays() {
    let at = |total, step: &str| {
        let stage = (Status::Awaiting, Some(step.to_owned()));
        row(&every_stage(total)[&stage])
    };
    let cause = |record: InstanceRecord| {
        let refused = moved::order_to_cash::This::rehydrate(record.clone()).unwrap_err();
        assert_eq!(refused.value(), &record);
        refused.into_cause()
    };
    let astray = cause(at(90_000, "reserve_credit"));
    assert!(matches!(astray, RecordError::LedAstray { .. }), "{astray}");
    let forgotten = cause(at(90_000, "hold_stock"));
    assert!(
        matches!(forgotten, RecordError::UndoForgotten { step: "reserve_credit" }),
        "{forgotten}"
    );
    let refused = cause(at(90_000, "create_order"));
    assert_eq!(
        refused.to_string(),
        "this table does not follow version 1 here: the ERP has moved"
    );
    let newer = InstanceRecord { version: 3, ..at(900, "hold_stock") };
    assert!(matches!(cause(newer), RecordError::UnknownVersion { wanted: 2, found: 3 }));
    let changed = InstanceRecord { fingerprint: 1, ..at(900, "hold_stock") };
    assert!(matches!(cause(changed), RecordError::TableChanged { version: 1, .. }));
    let _: fn(InstanceRecord) -> _ = One::rehydrate;
}
