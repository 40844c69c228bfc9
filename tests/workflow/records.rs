//! A stored instance comes back as it was, and a row that no walk can have led to is
//! refused with the reason.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use integration_automation_patterns::Decision;
use integration_automation_patterns::workflow::memory::Memory;
use integration_automation_patterns::workflow::{
    Actor, AdvanceError, Asked, Choice, Clearance, Correlation, Driven, InstanceId,
    InstanceRecord, Person, RecordError, Seen, Status, Vote, Workflow,
};

use crate::orders::order_to_cash::{self, Any, This, at};
use crate::orders::*;
use crate::walk;

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

fn actor(name: &str, instead_of: Option<&str>) -> Actor {
    let person = |name| Person::new(name).unwrap();
    Actor { person: person(name), instead_of: instead_of.map(person) }
}

fn vote(name: &str, seen: Seen) -> Vote {
    Vote {
        actor: actor(name, None),
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
        RecordError::Round { most: 1_000, found: 0 } => |row| row.round = 0;
        RecordError::Round { found: 1_001, .. } => |row| row.round = 1_001;
        RecordError::AwaitsOther { .. } => |row| row.awaits = Some(row.id.clone());
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
        RecordError::ClearedByAmender { .. } => |row| {
            let question = row.question.as_mut().unwrap();
            question.votes.push(vote("bert", question.seen()));
            row.amended_by = vec![actor("carl", Some("Bert"))];
        };
        RecordError::AmendersMissing { wanted: 1, found: 0 } => |row| row.round = 2;
        RecordError::VotedTwice { .. } => |row| {
            let question = row.question.as_mut().unwrap();
            question.votes = vec![vote("carl", question.seen()), vote("Carl", question.seen())];
        };
        RecordError::ClearanceMissing { .. } => |row| {
            (row.step, row.question) = (Some("create_order".into()), None);
        };
        RecordError::ClearedAhead { .. } => |row| row.cleared.push(Clearance {
            approval: "over_limit".into(),
            votes: Vec::new(),
            shown: b"90000".to_vec(),
            amended: 0,
        });
        RecordError::NoSuchApproval { .. } => |row| row.cleared.push(Clearance {
            approval: "hold_stock".into(),
            votes: Vec::new(),
            shown: Vec::new(),
            amended: 0,
        });
        RecordError::Shown { .. } => |row| {
            row.question.as_mut().unwrap().shown = Some(b"a lot".to_vec());
        };
    }
    let refused = This::rehydrate(InstanceRecord { version: 2, ..row.clone() });
    assert_eq!(refused.unwrap_err().into_value().data, row.data, "it is given back");
}

/// What tells legal records apart: the stage, and what belongs to it.
type Shape = ((Status, Option<String>, bool), Option<(bool, bool)>, Vec<(String, bool)>);

fn shape(row: &InstanceRecord) -> Shape {
    let question = row.question.as_ref();
    let cleared = row.cleared.iter();
    (
        (row.status, row.step.clone(), row.due_at.is_some()),
        question.map(|question| (question.shown.is_some(), question.votes.is_empty())),
        cleared.map(|one| (one.approval.clone(), one.votes.is_empty())).collect(),
    )
}

/// A record of each shape that a walk leads to.
fn every_shape() -> BTreeMap<Shape, InstanceRecord> {
    let give_up = |store: &Memory| {
        let at = store.load(&walk::id()).unwrap().unwrap();
        let word = |at, ruling| This::decide(at, Choice::GiveUp, ruling);
        let erp = login::seat::<ErpDesk>("dora").unwrap().decide("lost").unwrap();
        let credit = login::seat::<CreditDesk>("dora").unwrap().decide("lost").unwrap();
        let step =
            word(at, erp.into()).or_else(|at| word(at.into_value(), credit.into()));
        let mut store = store.clone();
        step.is_ok_and(|step| store.store(step, now()).is_ok()).then_some(store)
    };
    let mut left = Vec::new();
    for total in [900, 90_000] {
        left.extend(walk::every_stage(total).into_values());
    }
    let mut shapes = BTreeMap::new();
    while let Some(store) = left.pop() {
        let row = store.record(walk::id().as_event_id()).unwrap();
        if shapes.insert(shape(row), row.clone()).is_none() {
            left.extend(walk::next(&store));
            left.extend(give_up(&store));
        }
    }
    shapes
}

/// Protects from a row whose columns do not belong together: with one column of another
/// row, or a wrong one, it is refused or is a row that a walk leads to as well.
#[test]
fn a_row_with_one_column_of_another_is_refused_or_legal() {
    let shapes = every_shape();
    assert!(shapes.len() > 20, "{} shapes", shapes.len());
    let mut odd = shapes.values().next().unwrap().clone();
    odd.step = Some("charge_card".to_owned());
    odd.awaits = Some(odd.id.clone());
    odd.round = 2;
    let granted = Clearance {
        approval: "over_limit".to_owned(),
        votes: vec![vote("carl", Seen::of(b"90000"))],
        shown: b"90000".to_vec(),
        amended: 0,
    };
    odd.amended_by = vec![actor("carl", None)];
    odd.cleared = vec![granted.clone(), granted];
    let donors = shapes.values().chain([&odd]).collect::<Vec<_>>();
    let columns: [fn(&mut InstanceRecord, &InstanceRecord); 8] = [
        |row, other| row.status = other.status,
        |row, other| row.step.clone_from(&other.step),
        |row, other| row.awaits.clone_from(&other.awaits),
        |row, other| row.due_at = other.due_at,
        |row, other| row.round = other.round,
        |row, other| row.question.clone_from(&other.question),
        |row, other| row.cleared.clone_from(&other.cleared),
        |row, other| row.amended_by.clone_from(&other.amended_by),
    ];
    let (mut refused, mut legal) = (0, 0);
    for (row, other) in
        shapes.values().flat_map(|row| donors.iter().map(move |o| (row, *o)))
    {
        for change in columns {
            let mut changed = row.clone();
            change(&mut changed, other);
            if cause(changed.clone()).is_some() {
                refused += 1;
                continue;
            }
            legal += 1;
            assert!(shapes.contains_key(&shape(&changed)), "{changed:?} of {row:?}");
            assert_eq!(changed.awaits, row.awaits, "{changed:?} of {row:?}");
        }
    }
    assert!(refused > 1_000 && legal > 1_000, "{refused} refused, {legal} legal");
}

/// Protects from an approval that is used although fewer people gave it than the table
/// wants, or people in another role.
#[test]
fn a_clearance_that_is_not_used_yet_has_the_votes_of_its_chain() {
    let (caq, asked) = crate::shapes::cleared_and_not_used();
    let refused = |change: fn(&mut Vec<Vote>)| {
        let mut row = asked.clone();
        change(&mut row.cleared[0].votes);
        caq(row)
    };
    assert!(refused(|_| {}).is_none());
    let short: [fn(&mut Vec<Vote>); 2] =
        [|votes| votes.clear(), |votes| votes[0].role = "sales".to_owned()];
    for change in short {
        assert!(matches!(refused(change), Some(RecordError::TooFewVotes { .. })));
    }
}

/// Protects the four eyes on an approval that is given from those who amended it before,
/// and its votes from those who have amended the instance since.
#[test]
fn who_had_amended_it_has_not_cleared_it() {
    let (caq, mut row) = crate::shapes::cleared_and_not_used();
    let voter = row.cleared[0].votes[0].actor.clone();
    row.cleared[0].amended = 1;
    let missing = caq(row.clone());
    let wanted = RecordError::AmendersMissing { wanted: 1, found: 0 };
    assert_eq!(missing.map(|cause| cause.to_string()), Some(wanted.to_string()));
    row.amended_by = vec![actor("eve", None), voter];
    assert!(caq(row.clone()).is_none(), "they have amended it since");
    row.cleared[0].amended = 2;
    assert!(matches!(caq(row), Some(RecordError::ClearedByAmender { .. })));
}

/// Protects participants from a command whose reply could not be read, and the row from a
/// round that it could not be loaded with.
#[test]
fn what_was_amended_as_often_as_can_be_is_not_amended_again() {
    let row = asked();
    let mut store = walk::every_stage(90_000)
        .remove(&(Status::Awaiting, Some("over_limit".to_owned())))
        .unwrap();
    for total in 1..=Correlation::MOST_ROUNDS {
        let Some(Any::Awaiting(at::Awaiting::over_limit(at))) =
            store.load(&walk::id()).unwrap()
        else {
            panic!()
        };
        let decision = Decision::new("anna", "another sum").unwrap();
        let step = at.amend(|order| order.total = u64::from(total), decision);
        let stored = store.store(step, now());
        if total < Correlation::MOST_ROUNDS {
            stored.unwrap();
            continue;
        }
        let cause = stored.unwrap_err().into_cause();
        let last = AdvanceError::NoRoundLeft { step: "over_limit" }.to_string();
        assert_eq!(cause.to_string(), last);
    }
    assert_eq!(store.record(&row.id).unwrap().round, Correlation::MOST_ROUNDS);
}

#[test]
fn the_fingerprint_is_the_tables_own() {
    assert_eq!(asked().fingerprint, This::DEFINITION.fingerprint());
}
