//! Every invariant of a stored record: the record that breaks it is refused with its own
//! error and given back; the record beside it, one field away, is accepted.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use integration_automation_patterns::DeliveryStatus::{
    Acknowledged, Dispatched, Failed, Pending, Processed, Retrying, Skipped,
};
use integration_automation_patterns::event::{BuildError, WrongEventError};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::{
    Decision, DeliveryStatus, Envelope, Event, Failure, FailureClass, RawEvent, Record,
    RehydrateError,
};
use support::{Deed, perform};

mod support;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_600_000, 0).expect("a moment in 2026")
}

/// A record in some state, with three attempts allowed and a failure where the state
/// needs one.
fn record(status: DeliveryStatus, attempts: u32) -> Record {
    let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
        .id("evt-001".parse().expect("not empty"));
    let event = event.build_at(start()).expect("well formed");
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
    Some(Decision::new_at("on-call", "a reason", start()).expect("not blank"))
}

fn refused(record: Record) -> RehydrateError {
    let (released, cause) = record.clone().rehydrate().expect_err("refused").into_parts();
    assert_eq!(released, record, "the record comes back as it was");
    cause
}

fn accepted(record: Record) {
    let any = record.clone().rehydrate();
    assert_eq!(any.map(Record::from).map_err(|refused| refused.to_string()), Ok(record));
}

/// Where an event can be, as far as the invariants look.
type Place = (DeliveryStatus, u32, Option<(bool, i64)>, Option<i64>, Option<i64>);

fn place(record: &Record) -> Place {
    let seconds = |at: DateTime<Utc>| (at - start()).num_seconds();
    (
        record.status,
        record.attempts,
        record.failure.as_ref().map(|failure| {
            (failure.class == FailureClass::Permanent, seconds(failure.at))
        }),
        record.redriven.as_ref().map(|decision| seconds(decision.at())),
        record.discarded.as_ref().map(|decision| seconds(decision.at())),
    )
}

fn record_at(
    (status, attempts, failed, redriven, discarded): Place,
    retry_policy: RetryPolicy,
) -> Record {
    let at = |seconds| start() + TimeDelta::seconds(seconds);
    let class = |permanent| {
        if permanent { FailureClass::Permanent } else { FailureClass::Transient }
    };
    let decision = |seconds| {
        Decision::new_at("on-call", "a reason", at(seconds)).expect("not blank")
    };
    Record {
        status,
        attempts,
        retry_policy,
        failure: failed.map(|(permanent, seconds)| Failure {
            at: at(seconds),
            ..failure(class(permanent))
        }),
        redriven: redriven.map(decision),
        discarded: discarded.map(decision),
        ..record(Pending, 0)
    }
}

/// The seconds after creation at which something may be decided, one of them before it:
/// clocks do go back.
const DECISIONS: [i64; 3] = [-500, 10, 500];
/// The same for failures, with one so early that any limit of time allows a retry.
const FAILURES: [i64; 4] = [-5000, -500, 10, 500];
const MOST_ATTEMPTS: u32 = 3;

/// Every place that some walk leads to.
fn reachable(policy: RetryPolicy) -> BTreeSet<Place> {
    let mut found = BTreeSet::from([place(&record(Pending, 0))]);
    let mut left = found.clone();
    while let Some(here) = left.pop_first() {
        let text = || "a reason".to_owned();
        let mut deeds =
            vec![Deed::Dispatch, Deed::Acknowledge, Deed::Process, Deed::Skip(text())];
        deeds.extend([
            Deed::Fail(text()),
            Deed::Reject(text()),
            Deed::Redrive(text()),
            Deed::Discard(text()),
        ]);
        for (deed, seconds) in
            deeds.iter().flat_map(|deed| FAILURES.map(|seconds| (deed, seconds)))
        {
            if matches!(deed, Deed::Redrive(_) | Deed::Discard(_))
                && !DECISIONS.contains(&seconds)
            {
                continue;
            }
            let event = record_at(here, policy)
                .rehydrate()
                .expect("what a walk leads to is accepted");
            let there = place(&Record::from(perform(
                event,
                deed,
                start() + TimeDelta::seconds(seconds),
            )));
            if there.1 <= MOST_ATTEMPTS && found.insert(there) {
                left.insert(there);
            }
        }
    }
    found
}

/// Both directions at once, over a small space without gaps: what can be reached is
/// accepted (asserted on the way), and what is accepted can be reached. A budget that was
/// lowered since is the one exception: what no further attempt depends on may have been
/// reached under a larger one.
#[test]
fn what_is_accepted_is_what_can_be_reached() {
    let every_30_seconds = |attempts| {
        RetryPolicy::new(attempts, Backoff::Fixed(Duration::from_secs(30))).expect("some")
    };
    let under_any_budget = reachable(every_30_seconds(u32::MAX));
    for policy in [
        every_30_seconds(1),
        every_30_seconds(2),
        every_30_seconds(3),
        every_30_seconds(3).give_up_after(Duration::from_secs(45)),
        every_30_seconds(3).give_up_after(Duration::ZERO),
        every_30_seconds(3).with_full_jitter().give_up_after(Duration::from_secs(20)),
    ] {
        let reachable = reachable(policy);
        let moments = || [None].into_iter().chain(DECISIONS.map(Some));
        let failures = || {
            [None].into_iter().chain(
                [false, true]
                    .into_iter()
                    .flat_map(|class| FAILURES.map(|at| Some((class, at)))),
            )
        };
        let mut accepted = 0;
        for status in DeliveryStatus::ALL.iter().copied() {
            for attempts in 0..=MOST_ATTEMPTS {
                for failed in failures() {
                    for (redriven, discarded) in
                        moments().flat_map(|one| moments().map(move |other| (one, other)))
                    {
                        let place = (status, attempts, failed, redriven, discarded);
                        if record_at(place, policy).rehydrate().is_err() {
                            continue;
                        }
                        accepted += 1;
                        let no_attempt_follows = status != Retrying;
                        let lowered = no_attempt_follows
                            && attempts > 0
                            && under_any_budget.contains(&place);
                        let spent = matches!(status, Failed) || discarded.is_some();
                        let past = spent && attempts > policy.max_attempts();
                        assert!(
                            reachable.contains(&place) || lowered || past,
                            "{place:?} under {policy:?}"
                        );
                    }
                }
            }
        }
        assert!(accepted >= reachable.len());
    }
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
    assert_eq!(
        refused(record(Pending, 1)),
        RehydrateError::AttemptsWhilePending { attempts: 1 }
    );
    accepted(record(Pending, 0));
}

#[test]
fn a_state_after_an_attempt_has_one() {
    for status in [Dispatched, Acknowledged, Processed, Retrying, Failed] {
        assert_eq!(refused(record(status, 0)), RehydrateError::NeverAttempted { status });
        accepted(record(status, 1));
    }
}

#[test]
fn a_failure_that_must_have_been_is_on_record() {
    for (status, attempts) in
        [(Retrying, 1), (Failed, 3), (Dispatched, 2), (Processed, 2), (Skipped, 2)]
    {
        let known = record(status, attempts);
        assert_eq!(
            refused(Record { failure: None, ..known.clone() }),
            RehydrateError::FailureMissing { status, attempts }
        );
        accepted(known);
    }
}

#[test]
fn a_failure_before_the_first_attempt_is_that_of_a_redriven_event() {
    for (status, attempts) in
        [(Pending, 0), (Dispatched, 1), (Acknowledged, 1), (Processed, 1), (Skipped, 0)]
    {
        let failed = Record {
            failure: Some(failure(FailureClass::Permanent)),
            ..record(status, attempts)
        };
        assert_eq!(
            refused(failed.clone()),
            RehydrateError::FailureTooEarly { status, attempts }
        );
        accepted(Record { redriven: decision(), ..failed });
    }
}

#[test]
fn a_permanent_failure_allows_no_further_attempt() {
    let permanent = Some(failure(FailureClass::Permanent));
    assert_eq!(
        refused(Record { failure: permanent.clone(), ..record(Retrying, 1) }),
        RehydrateError::RetryingForGood
    );
    accepted(record(Retrying, 1));
    for status in [Dispatched, Acknowledged, Processed] {
        let again = Record { failure: permanent.clone(), ..record(status, 2) };
        assert_eq!(refused(again), RehydrateError::SentAgainForGood { status });
        accepted(record(status, 2));
    }
}

#[test]
fn a_retrying_event_has_budget_left() {
    assert_eq!(
        refused(record(Retrying, 3)),
        RehydrateError::NoBudgetLeft { attempts: 3 }
    );
    accepted(record(Retrying, 2));

    let minute =
        RetryPolicy::new(9, Backoff::Fixed(Duration::from_secs(60))).expect("a budget");
    let within = |limit| Record {
        retry_policy: minute.give_up_after(Duration::from_secs(limit)),
        ..record(Retrying, 1)
    };
    assert_eq!(refused(within(59)), RehydrateError::NoBudgetLeft { attempts: 1 });
    accepted(within(60));
}

#[test]
fn a_redriven_event_has_a_new_budget_of_time() {
    let minute =
        RetryPolicy::new(9, Backoff::Fixed(Duration::from_secs(60))).expect("a budget");
    let late = start() + TimeDelta::days(1);
    let failed = Record {
        retry_policy: minute.give_up_after(Duration::from_secs(60)),
        failure: Some(Failure { at: late, ..failure(FailureClass::Transient) }),
        ..record(Retrying, 1)
    };
    assert_eq!(refused(failed.clone()), RehydrateError::NoBudgetLeft { attempts: 1 });
    accepted(Record {
        redriven: Some(Decision::new_at("on-call", "a reason", late).expect("not blank")),
        ..failed
    });
}

#[test]
fn an_event_that_failed_by_a_transient_failure_has_no_budget_left() {
    let early =
        Record { failure: Some(failure(FailureClass::Transient)), ..record(Failed, 2) };
    assert_eq!(refused(early), RehydrateError::BudgetLeft { attempts: 2 });
    accepted(record(Failed, 3));
    accepted(record(Failed, 2));
    accepted(Record { attempts: 99, ..record(Failed, 3) });
}

#[test]
fn only_what_failed_is_decided_on() {
    assert_eq!(
        refused(Record { redriven: decision(), ..record(Pending, 0) }),
        RehydrateError::DecisionWithoutFailure
    );
    assert_eq!(
        refused(Record { discarded: decision(), ..record(Skipped, 1) }),
        RehydrateError::DecisionWithoutFailure
    );
    let failed = Some(failure(FailureClass::Permanent));
    accepted(Record {
        redriven: decision(),
        failure: failed.clone(),
        ..record(Pending, 0)
    });
    accepted(Record { discarded: decision(), failure: failed, ..record(Skipped, 1) });
}

#[test]
fn what_is_discarded_is_skipped() {
    let discarded = |status| Record { discarded: decision(), ..record(status, 3) };
    assert_eq!(
        refused(discarded(Failed)),
        RehydrateError::DiscardedInVain { status: Failed, attempts: 3 }
    );
    accepted(discarded(Skipped));
    let never_sent = Record { redriven: decision(), attempts: 0, ..discarded(Skipped) };
    assert_eq!(
        refused(never_sent),
        RehydrateError::DiscardedInVain { status: Skipped, attempts: 0 }
    );
    let early = Record { attempts: 2, ..discarded(Skipped) };
    assert_eq!(refused(early), RehydrateError::BudgetLeft { attempts: 2 });
}

#[test]
fn only_a_person_skips_what_failed_for_good() {
    let skipped = |attempts| Record {
        failure: Some(failure(FailureClass::Permanent)),
        ..record(Skipped, attempts)
    };
    assert_eq!(refused(skipped(1)), RehydrateError::SkippedWithoutDecision);
    accepted(Record { discarded: decision(), ..skipped(1) });
    accepted(Record { redriven: decision(), ..skipped(1) });
    assert_eq!(
        refused(Record { redriven: decision(), ..skipped(2) }),
        RehydrateError::SkippedWithoutDecision
    );
}

#[test]
fn what_makes_no_sense_in_any_state_is_refused() {
    let pending = record(Pending, 0);
    let malformed = |record| match refused(record) {
        RehydrateError::Build(malformed) => malformed,
        other => panic!("{other}"),
    };
    assert_eq!(
        malformed(Record { event_type: "".into(), ..pending.clone() }),
        BuildError::EmptyEventType
    );
    assert_eq!(
        malformed(Record { source_system: "".into(), ..pending.clone() }),
        BuildError::EmptySourceSystem
    );
    let year = |text: &str| Record {
        created_at: text.parse().expect("a time"),
        ..pending.clone()
    };
    assert_eq!(
        malformed(year("+10000-01-01T00:00:00Z")),
        BuildError::YearOutOfRange { found: 10_000 }
    );
    accepted(year("9999-12-31T23:59:59.999999Z"));
    assert_eq!(
        malformed(year("-0001-12-31T00:00:00Z")),
        BuildError::YearOutOfRange { found: -1 }
    );
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
    let event =
        Envelope::builder("crm", LeadCreated(7)).build_at(start()).expect("well formed");
    let good = Record::from(event);
    let wrong = |record: Record<LeadCreated>| match record
        .rehydrate()
        .expect_err("refused")
        .into_parts()
    {
        (record, RehydrateError::WrongEvent(wrong)) => (record.payload, wrong),
        (_, other) => panic!("{other}"),
    };
    let other_type = Record { event_type: "crm.lead.deleted".into(), ..good.clone() };
    let found = "crm.lead.deleted".into();
    assert_eq!(
        wrong(other_type),
        (
            LeadCreated(7),
            WrongEventError::EventType { wanted: "crm.lead.created", found }
        )
    );
    let other_version = Record { schema_version: "1.0".into(), ..good.clone() };
    let found = "1.0".into();
    assert_eq!(
        wrong(other_version),
        (LeadCreated(7), WrongEventError::SchemaVersion { wanted: "2.0", found })
    );
    let back =
        good.clone().rehydrate().map(Record::from).map_err(|refused| refused.to_string());
    assert_eq!(back, Ok(good));
}

#[derive(Debug)]
struct Unconventional;

impl Event for Unconventional {
    const TYPE: &'static str = "LeadCreated";
}

#[test]
fn a_typed_event_that_breaks_the_convention_is_refused_at_every_door() {
    let expected = BuildError::UnconventionalEventType { found: "LeadCreated" };
    let refused = Envelope::builder("crm", Unconventional).build().expect_err("refused");
    assert_eq!(*refused.cause(), expected);

    let untyped = Envelope::builder("crm", RawEvent::new("LeadCreated", b""))
        .build()
        .expect("a foreign type");
    let refused = untyped
        .decode(|_| Ok::<_, std::fmt::Error>(Unconventional))
        .expect_err("refused");
    assert_eq!(refused.to_string(), expected.to_string());
    assert_eq!(refused.into_value().skip("no such type").status(), Skipped);
}
