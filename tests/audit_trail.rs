//! The audit trail: one record for each step, which reads back, replays, and is never in
//! the way of delivery.

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use integration_automation_patterns::audit::{Action, AuditRecord, AuditTrail, Lines};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{
    AnyEnvelope, AuditLine, Decision, DeliveryStatus, Envelope, FailureClass, RawEvent,
};
use proptest::prelude::*;
use support::{Deed, perform};

mod support;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_600_000, 123_456_000).expect("a moment in 2026")
}

fn event(source: &str) -> Envelope<Pending> {
    let payload = RawEvent::new("crm.lead.created", br#"{"secret":"s3cr3t"}"#);
    let builder = Envelope::builder(source.to_owned(), payload)
        .id("evt-001".parse().expect("not empty"));
    builder.tag("token", "s3cr3t").build_at(start()).expect("well formed")
}

/// An observer that keeps what it is told.
fn kept() -> (Arc<Mutex<Vec<AuditRecord>>>, AuditTrail) {
    let records = Arc::new(Mutex::new(Vec::new()));
    let taken = records.clone();
    let observer = move |record: &AuditRecord| {
        taken.lock().map_err(|error| error.to_string())?.push(record.clone());
        Ok(())
    };
    (records, AuditTrail::new("relay-1", Arc::new(observer)))
}

fn deed() -> impl Strategy<Value = Deed> {
    let text = || "(?s)[ -~]{0,8}|.{0,4}";
    prop_oneof![
        4 => Just(Deed::Dispatch),
        2 => Just(Deed::Acknowledge),
        1 => Just(Deed::Process),
        4 => text().prop_map(Deed::Fail),
        1 => text().prop_map(Deed::Reject),
        1 => text().prop_map(Deed::Skip),
        3 => "[a-z\"= \n]{0,4}x".prop_map(Deed::Redrive),
        1 => "[a-z]{1,12}".prop_map(Deed::Discard),
    ]
}

/// The action that a deed is recorded as.
fn action(deed: &Deed) -> Action {
    match deed {
        Deed::Dispatch => Action::Dispatch,
        Deed::Acknowledge => Action::Acknowledge,
        Deed::Process => Action::Process,
        Deed::Fail(_) => Action::Fail,
        Deed::Reject(_) => Action::Reject,
        Deed::Skip(_) => Action::Skip,
        Deed::Redrive(_) => Action::Redrive,
        Deed::Discard(_) => Action::Discard,
    }
}

/// The event once more, from nothing but the record of its creation and those of each
/// step.
fn replayed(trail: &[AuditRecord]) -> AnyEnvelope {
    let deed = |record: &AuditRecord| {
        let reason = || {
            record
                .failure
                .as_ref()
                .map_or(String::new(), |failure| failure.reason.clone())
        };
        let decided = || {
            record
                .decision
                .as_ref()
                .map_or(String::new(), |decision| decision.reason().to_owned())
        };
        match record.action {
            Action::Dispatch => Deed::Dispatch,
            Action::Acknowledge => Deed::Acknowledge,
            Action::Process => Deed::Process,
            Action::Fail => Deed::Fail(reason()),
            Action::Reject => Deed::Reject(reason()),
            Action::Skip => Deed::Skip(String::new()),
            Action::Redrive => Deed::Redrive(decided()),
            Action::Discard => Deed::Discard(decided()),
            other => panic!("no verb is called {other}"),
        }
    };
    let source = trail.first().map_or("crm", |record| &record.source_system);
    trail.iter().fold(event(source).into(), |event, record| {
        perform(event, &deed(record), record.at)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Protects whoever must answer for an event: no step without a record, no record
    /// without a step, and enough in them to come to the same end.
    #[test]
    fn every_step_yields_one_record_and_the_trail_replays_to_the_final_status(
        source in "(?s)[a-z]{1,4}|.{1,4}",
        deeds in prop::collection::vec((deed(), 0_i64..100), 0..24),
    ) {
        let (records, trail) = kept();
        let mut live = AnyEnvelope::from(event(&source));
        let mut now = start();
        let mut steps = Vec::new();
        for (deed, seconds) in &deeds {
            now += TimeDelta::seconds(*seconds);
            let before = live.status();
            live = trail.step_at(live, |event| perform(event, deed, now), now);
            if live.status() != before {
                steps.push((action(deed), live.status(), live.attempts(), now));
            }
        }
        let records = records.lock().expect("nobody panicked").clone();
        let told = records.iter().map(|record| (record.action, record.status, record.attempts, record.at));
        prop_assert_eq!(told.collect::<Vec<_>>(), steps);
        let again = replayed(&records);
        prop_assert_eq!((again.status(), again.attempts()), (live.status(), live.attempts()));
        prop_assert_eq!((again.failure(), again.redriven()), (live.failure(), live.redriven()));
        for record in records {
            let line = record.to_string();
            prop_assert_eq!(line.lines().count(), 1);
            prop_assert!(!line.contains("s3cr3t"), "neither payload nor tags: {}", line);
            prop_assert!(line.starts_with(&record.line().to_string()));
            prop_assert_eq!(AuditRecord::parse(&line), Ok(record));
        }
    }

    /// Protects the parser from whatever stands in a log: near a good line, every cut and
    /// every change of a character.
    #[test]
    fn a_damaged_line_is_refused_or_reads_as_it_stands(at in any::<prop::sample::Index>(), c in any::<char>()) {
        let line = failed().to_string();
        let (place, old) = line.char_indices().nth(at.index(line.chars().count())).expect("not empty");
        let cut = AuditRecord::parse(&line[..place]);
        prop_assert!(cut.is_err());
        let changed = format!("{}{c}{}", &line[..place], &line[place + old.len_utf8()..]);
        if let Ok(parsed) = AuditRecord::parse(&changed) {
            prop_assert_eq!(parsed.to_string(), changed);
        }
    }
}

fn failed() -> AuditRecord {
    let dead = event("crm").dispatch().reject_at("unknown \"schema\" 9", start());
    let decision =
        Decision::new_at("on-call", "a test record", start()).expect("not blank");
    let mut record =
        AuditRecord::of("relay-1", Action::Reject, &dead, dead.status(), start());
    record.decision = Some(decision);
    record
}

#[test]
fn a_line_is_these_bytes() {
    assert_eq!(
        failed().to_string(),
        "[INTEGRATION_EVENT] event_id=evt-001 type=crm.lead.created source=crm status=failed attempts=1 \
         correlation=none schema=1.0 created=2026-01-05T08:00:00.123456+00:00 action=reject system=relay-1 \
         failure=permanent failure_reason=\"unknown \\\"schema\\\" 9\" failed_at=2026-01-05T08:00:00.123456+00:00 \
         decided_by=on-call decision_reason=\"a test record\" decided_at=2026-01-05T08:00:00.123456+00:00 \
         at=2026-01-05T08:00:00.123456+00:00"
    );
    assert!(
        AuditLine::parse(&failed().to_string()).is_err(),
        "a record is more than an audit line"
    );
    let blank = failed().to_string().replace("decided_by=on-call", "decided_by=\" \"");
    let error = AuditRecord::parse(&blank).expect_err("a decision without a name");
    assert!(error.to_string().contains("a decision with a name"), "{error}");
}

#[test]
fn every_action_reads_back_and_no_other_word_does() {
    for action in Action::ALL {
        assert_eq!(action.to_string().parse(), Ok(action));
    }
    let error = "send".parse::<Action>().expect_err("no action").to_string();
    assert!(
        error
            .starts_with("no action is called \"send\": wanted one of create, dispatch,"),
        "{error}"
    );
}

#[test]
fn a_failure_and_a_decision_stand_only_where_the_change_is_about_them() {
    let (records, trail) = kept();
    let dead = event("crm").dispatch().reject_at("no such account", start());
    let decision =
        Decision::new_at("on-call", "it exists now", start()).expect("not blank");
    let again = trail.step(dead, |dead| dead.redrive(decision));
    let sent = trail.step(again, Envelope::dispatch);
    let answer =
        Decision::new_at("on-call", "keep the CRM's", start()).expect("not blank");
    trail.record_decision(&sent, sent.status(), &answer);
    trail.record(Action::Expire, &sent, sent.status(), start());
    let records = records.lock().expect("nobody panicked");
    let about = records.iter().map(|record| {
        let decision = record.decision.as_ref().map(Decision::reason);
        (record.action, record.failure.as_ref().map(|failure| failure.class), decision)
    });
    assert_eq!(
        about.collect::<Vec<_>>(),
        [
            (Action::Redrive, None, Some("it exists now")),
            (Action::Dispatch, None, None),
            (Action::Decide, None, Some("keep the CRM's")),
            (Action::Expire, Some(FailureClass::Permanent), None),
        ]
    );
}

#[test]
fn a_broken_observer_is_reported_once_and_never_in_the_way() {
    let panics = |_: &AuditRecord| -> Result<(), Box<dyn Error + Send + Sync>> {
        panic!("no disk")
    };
    let fails = |_: &AuditRecord| -> Result<(), Box<dyn Error + Send + Sync>> {
        Err("no disk".into())
    };
    let observers: [Arc<dyn integration_automation_patterns::audit::Observer>; 2] =
        [Arc::new(panics), Arc::new(fails)];
    for observer in observers {
        let reports = Arc::new(AtomicU32::new(0));
        let counted = reports.clone();
        let trail = AuditTrail::with_report("relay-1", observer, move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            panic!("and nobody to tell");
        });
        let twin = trail.clone();
        let done =
            twin.step(trail.step(event("crm"), Envelope::dispatch), Envelope::process);
        assert_eq!(done.status(), DeliveryStatus::Processed);
        assert_eq!(
            (reports.load(Ordering::Relaxed), trail.lost(), twin.lost()),
            (1, 2, 2)
        );
    }
}

#[test]
fn lines_of_many_threads_do_not_mix() {
    let log = Arc::new(Lines::new(Vec::new()));
    let trail = AuditTrail::new("relay-1", log.clone());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                (0..50).for_each(|_| {
                    drop(trail.step(event("crm"), |event| event.skip("duplicate")))
                })
            });
        }
    });
    drop(trail);
    let log = Arc::into_inner(log).expect("nobody else").into_inner();
    let log = String::from_utf8(log).expect("text");
    assert_eq!(log.lines().map(AuditRecord::parse).filter(Result::is_ok).count(), 200);
}

#[test]
fn a_change_without_an_envelope_is_told_under_the_programs_name() {
    let (records, trail) = kept();
    let arrived = event("crm");
    let again = |system: &str| {
        AuditRecord::of(
            system,
            Action::Duplicate,
            &arrived,
            DeliveryStatus::Acknowledged,
            start(),
        )
    };
    trail.record_with(again);
    AuditTrail::silent().record_with(|_| panic!("nobody is told"));
    let records = records.lock().expect("nobody panicked");
    assert_eq!(*records, [again("relay-1")]);
}

#[test]
fn a_silent_trail_changes_nothing() {
    let trail = AuditTrail::silent();
    let done = trail.step(event("crm"), Envelope::dispatch).process();
    assert_eq!((done.attempts(), trail.lost()), (1, 0));
}
