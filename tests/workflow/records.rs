//! A stored instance comes back as it was, and a row that no walk can have led to is
//! refused with the reason.

use chrono::{DateTime, Utc};
use integration_automation_patterns::workflow::memory::Memory;
use integration_automation_patterns::workflow::{
    Actor, Asked, Clearance, Driven, InstanceId, InstanceRecord, Person, RecordError,
    Seen, Status, Vote, Workflow,
};

use crate::orders::order_to_cash::{self, Any, This, at};
use crate::orders::*;

fn now() -> DateTime<Utc> {
    "2026-01-05T08:00:00Z".parse().unwrap()
}

/// The row of an instance whose approval is asked for, which has the most to say.
fn asked() -> InstanceRecord {
    let anna = login::seat::<Sales>("anna").unwrap();
    let (mut store, id) = (Memory::default(), InstanceId::of("order 4711").unwrap());
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
    store.store(advance, now()).unwrap();
    store.record(id.as_event_id()).unwrap().clone()
}

fn vote(name: &str, seen: Seen) -> Vote {
    Vote {
        actor: Actor { person: Person::new(name).unwrap(), instead_of: None },
        role: "controller".to_owned(),
        reason: "fine".to_owned(),
        at: now(),
        seen,
    }
}

fn cause(row: InstanceRecord) -> Option<RecordError> {
    This::rehydrate(row).err().map(|refused| refused.into_cause())
}

#[test]
fn a_row_comes_back_at_its_stage() {
    let row = asked();
    let at = This::rehydrate(row.clone()).unwrap();
    let (at, standing) = This::standing(at);
    assert_eq!((standing.status, standing.step), (Status::Awaiting, Some("over_limit")));
    assert_eq!(standing.revision, row.revision);
    assert!(matches!(at, Any::Awaiting(at::Awaiting::over_limit(_))));
}

/// Each change of one column is refused, with the column's own reason.
#[test]
fn a_row_that_no_walk_leads_to_is_refused() {
    let row = asked();
    macro_rules! refused {
        ($($reason:pat => $change:expr;)+) => { $({
            let mut changed = row.clone();
            let change: fn(&mut InstanceRecord) = $change;
            change(&mut changed);
            let cause = cause(changed);
            assert!(matches!(cause, Some($reason)), "{} gave {cause:?}", stringify!($reason));
        })+ };
    }
    refused! {
        RecordError::OtherWorkflow { .. } => |row| row.workflow = "returns".into();
        RecordError::UnknownVersion { wanted: 1, found: 2 } => |row| row.version = 2;
        RecordError::TableChanged { .. } => |row| row.fingerprint ^= 1;
        RecordError::NeverStored => |row| row.revision = 0;
        RecordError::NoRound => |row| row.round = 0;
        RecordError::NoSuchStage { .. } => |row| row.step = Some("charge_card".into());
        RecordError::NoSuchStage { .. } => |row| row.step = None;
        RecordError::NoSuchStage { .. } => |row| row.status = Status::Parked;
        RecordError::NoSuchStage { .. } => |row| row.status = Status::Completed;
        RecordError::NoDeadline { .. } => |row| row.due_at = None;
        RecordError::Question { .. } => |row| row.question = None;
        RecordError::Question { .. } => |row| row.question.as_mut().unwrap().shown = None;
        RecordError::Requester { .. } => |row| row.requested_by = None;
        RecordError::Data(_) => |row| row.data = b"a lot".to_vec();
        RecordError::SeenOther { .. } => |row| {
            row.question.as_mut().unwrap().votes.push(vote("carl", Seen::of(b"1")));
        };
        RecordError::ClearedByAsker { .. } => |row| {
            let question = row.question.as_mut().unwrap();
            question.votes.push(vote("Anna", question.seen()));
        };
        RecordError::VotedTwice { .. } => |row| {
            let question = row.question.as_mut().unwrap();
            question.votes = vec![vote("carl", question.seen()), vote("Carl", question.seen())];
        };
        RecordError::ClearanceMissing { .. } => |row| {
            (row.step, row.question) = (Some("create_order".into()), None);
        };
        RecordError::NoSuchApproval { .. } => |row| row.cleared.push(Clearance {
            approval: "hold_stock".into(),
            votes: Vec::new(),
            shown: Vec::new(),
        });
        RecordError::Shown { .. } => |row| row.cleared.push(Clearance {
            approval: "over_limit".into(),
            votes: Vec::new(),
            shown: b"a lot".to_vec(),
        });
    }
    let refused = This::rehydrate(InstanceRecord { version: 2, ..row.clone() });
    assert_eq!(refused.unwrap_err().into_value().data, row.data, "it is given back");
}

#[test]
fn the_fingerprint_is_the_tables_own() {
    assert_eq!(asked().fingerprint, This::DEFINITION.fingerprint());
}
