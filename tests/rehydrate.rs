//! Every invariant of a stored record: the record that breaks it is refused with its own error and given back; the
//! record beside it, one field away, is accepted.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use integration_automation_patterns::DeliveryStatus::{
    Acknowledged, Dispatched, Failed, Pending, Processed, Retrying, Skipped,
};
use integration_automation_patterns::event::{Malformed, WrongEvent};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::{
    AnyEnvelope, Decision, DeliveryStatus, Envelope, Event, Failure, FailureClass, Invalid, Record, Untyped,
};

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_600_000, 0).expect("a moment in 2026")
}

/// A record in some state, with three attempts allowed and a failure where the state needs one.
fn record(status: DeliveryStatus, attempts: u32) -> Record {
    let event =
        Envelope::builder("crm", Untyped::new("crm.lead.created", b"{}")).build_at(start()).expect("well formed");
    let failure = match (status, attempts) {
        (Failed, 1 | 2) => Some(failure(FailureClass::Permanent)),
        (Retrying | Failed, _) | (_, 2..) => Some(failure(FailureClass::Transient)),
        _ => None,
    };
    Record { status, attempts, failure, ..Record::from(event) }
}

fn failure(class: FailureClass) -> Failure {
    Failure { class, reason: "timeout".into(), at: start() }
}

fn decision() -> Option<Decision> {
    Some(Decision::new_at("dana", "a reason", start()).expect("not blank"))
}

fn refused(record: Record) -> Invalid {
    let (given_back, cause) = AnyEnvelope::<Untyped>::rehydrate(record.clone()).expect_err("refused").into_parts();
    assert_eq!(given_back, record, "the record comes back as it was");
    cause
}

fn accepted(record: Record) {
    let any = AnyEnvelope::<Untyped>::rehydrate(record.clone());
    assert_eq!(any.map(Record::from).map_err(|refused| refused.to_string()), Ok(record));
}

#[test]
fn every_state_that_can_be_reached_is_accepted() {
    for status in DeliveryStatus::ALL {
        accepted(record(*status, u32::from(*status != Pending)));
    }
    accepted(record(Skipped, 0));
    accepted(record(Failed, 3));
    accepted(record(Dispatched, 3));
}

#[test]
fn a_pending_event_has_no_attempts() {
    assert_eq!(refused(record(Pending, 1)), Invalid::AttemptsWhilePending { attempts: 1 });
    accepted(record(Pending, 0));
}

#[test]
fn a_state_after_an_attempt_has_one() {
    for status in [Dispatched, Acknowledged, Processed, Retrying, Failed] {
        assert_eq!(refused(record(status, 0)), Invalid::NeverAttempted { status });
        accepted(record(status, 1));
    }
}

#[test]
fn a_failure_that_must_have_been_is_on_record() {
    for (status, attempts) in [(Retrying, 1), (Failed, 3), (Dispatched, 2), (Processed, 2), (Skipped, 2)] {
        let known = record(status, attempts);
        assert_eq!(refused(Record { failure: None, ..known.clone() }), Invalid::FailureMissing { status, attempts });
        accepted(known);
    }
}

#[test]
fn a_failure_before_the_first_attempt_is_that_of_a_redriven_event() {
    for (status, attempts) in [(Pending, 0), (Dispatched, 1), (Acknowledged, 1), (Processed, 1), (Skipped, 0)] {
        let failed = Record { failure: Some(failure(FailureClass::Permanent)), ..record(status, attempts) };
        assert_eq!(refused(failed.clone()), Invalid::FailureTooEarly { status, attempts });
        accepted(Record { redriven: decision(), ..failed });
    }
}

#[test]
fn a_permanent_failure_allows_no_further_attempt() {
    let permanent = Some(failure(FailureClass::Permanent));
    assert_eq!(refused(Record { failure: permanent.clone(), ..record(Retrying, 1) }), Invalid::RetryingForGood);
    accepted(record(Retrying, 1));
    for status in [Dispatched, Acknowledged, Processed] {
        let again = Record { failure: permanent.clone(), ..record(status, 2) };
        assert_eq!(refused(again), Invalid::SentAgainForGood { status });
        accepted(record(status, 2));
    }
}

#[test]
fn a_retrying_event_has_budget_left() {
    assert_eq!(refused(record(Retrying, 3)), Invalid::NoBudgetLeft { attempts: 3 });
    accepted(record(Retrying, 2));

    let minute = RetryPolicy::new(9, Backoff::Fixed(Duration::from_secs(60))).expect("a budget");
    let within =
        |limit| Record { retry_policy: minute.give_up_after(Duration::from_secs(limit)), ..record(Retrying, 1) };
    assert_eq!(refused(within(59)), Invalid::NoBudgetLeft { attempts: 1 });
    accepted(within(60));
}

#[test]
fn a_redriven_event_has_a_new_budget_of_time() {
    let minute = RetryPolicy::new(9, Backoff::Fixed(Duration::from_secs(60))).expect("a budget");
    let late = start() + TimeDelta::days(1);
    let failed = Record {
        retry_policy: minute.give_up_after(Duration::from_secs(60)),
        failure: Some(Failure { at: late, ..failure(FailureClass::Transient) }),
        ..record(Retrying, 1)
    };
    assert_eq!(refused(failed.clone()), Invalid::NoBudgetLeft { attempts: 1 });
    accepted(Record { redriven: Some(Decision::new_at("dana", "a reason", late).expect("not blank")), ..failed });
}

#[test]
fn an_event_that_failed_by_a_transient_failure_has_no_budget_left() {
    let early = Record { failure: Some(failure(FailureClass::Transient)), ..record(Failed, 2) };
    assert_eq!(refused(early), Invalid::BudgetLeft { attempts: 2 });
    accepted(record(Failed, 3));
    accepted(record(Failed, 2));
    accepted(Record { attempts: 99, ..record(Failed, 3) });
}

#[test]
fn only_what_failed_is_decided_on() {
    assert_eq!(refused(Record { redriven: decision(), ..record(Pending, 0) }), Invalid::DecisionWithoutFailure);
    assert_eq!(refused(Record { discarded: decision(), ..record(Skipped, 1) }), Invalid::DecisionWithoutFailure);
    let failed = Some(failure(FailureClass::Permanent));
    accepted(Record { redriven: decision(), failure: failed.clone(), ..record(Pending, 0) });
    accepted(Record { discarded: decision(), failure: failed, ..record(Skipped, 1) });
}

#[test]
fn what_is_discarded_is_skipped() {
    let discarded = |status| Record { discarded: decision(), ..record(status, 3) };
    assert_eq!(refused(discarded(Failed)), Invalid::DiscardedInVain { status: Failed });
    accepted(discarded(Skipped));
}

#[test]
fn what_makes_no_sense_in_any_state_is_refused() {
    let pending = record(Pending, 0);
    let malformed = |record| match refused(record) {
        Invalid::Malformed(malformed) => malformed,
        other => panic!("{other}"),
    };
    assert_eq!(malformed(Record { event_type: "".into(), ..pending.clone() }), Malformed::EmptyEventType);
    assert_eq!(malformed(Record { source_system: "".into(), ..pending.clone() }), Malformed::EmptySourceSystem);
    let year = |text: &str| Record { created_at: text.parse().expect("a time"), ..pending.clone() };
    assert_eq!(malformed(year("+10000-01-01T00:00:00Z")), Malformed::YearOutOfRange { found: 10_000 });
    accepted(year("9999-12-31T23:59:59.999999Z"));
    assert_eq!(malformed(year("-0001-12-31T00:00:00Z")), Malformed::YearOutOfRange { found: -1 });
    accepted(year("0000-01-01T00:00:00Z"));
}

#[derive(Debug, Clone, PartialEq)]
struct LeadCreated(u8);

impl Event for LeadCreated {
    const TYPE: &'static str = "crm.lead.created";
    const SCHEMA_VERSION: &'static str = "2.0";
}

#[test]
fn a_typed_record_is_of_its_type_and_schema_version() {
    let event = Envelope::builder("crm", LeadCreated(7)).build_at(start()).expect("well formed");
    let good = Record::from(event);
    let wrong = |record| match AnyEnvelope::<LeadCreated>::rehydrate(record).expect_err("refused").into_parts() {
        (record, Invalid::WrongEvent(wrong)) => (record.payload, wrong),
        (_, other) => panic!("{other}"),
    };
    let other_type = Record { event_type: "crm.lead.deleted".into(), ..good.clone() };
    let found = "crm.lead.deleted".into();
    assert_eq!(wrong(other_type), (LeadCreated(7), WrongEvent::EventType { wanted: "crm.lead.created", found }));
    let other_version = Record { schema_version: "1.0".into(), ..good.clone() };
    let found = "1.0".into();
    assert_eq!(wrong(other_version), (LeadCreated(7), WrongEvent::SchemaVersion { wanted: "2.0", found }));
    let back =
        AnyEnvelope::<LeadCreated>::rehydrate(good.clone()).map(Record::from).map_err(|refused| refused.to_string());
    assert_eq!(back, Ok(good));
}

#[derive(Debug)]
struct Unconventional;

impl Event for Unconventional {
    const TYPE: &'static str = "LeadCreated";
}

#[test]
fn a_typed_event_that_breaks_the_convention_is_refused_at_every_door() {
    let expected = Malformed::UnconventionalEventType { found: "LeadCreated" };
    let refused = Envelope::builder("crm", Unconventional).build().expect_err("refused");
    assert_eq!(*refused.cause(), expected);

    let untyped = Envelope::builder("crm", Untyped::new("LeadCreated", b"")).build().expect("a foreign type");
    let refused = untyped.decode(|_| Ok::<_, std::fmt::Error>(Unconventional)).expect_err("refused");
    assert_eq!(refused.to_string(), expected.to_string());
    assert_eq!(refused.into_value().skip("no such type").status(), Skipped);
}
