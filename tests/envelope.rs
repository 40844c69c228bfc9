//! What an envelope carries from step to step, and what its verbs write down.

use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use integration_automation_patterns::event::{DecodeError, is_conventional};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::state::{Dispatched, Pending, Processed, Retrying};
use integration_automation_patterns::{
    AfterFailure, AnyEnvelope, Decision, DeliveryStatus, Envelope, Event, EventId,
    FailureClass, RawEvent, Record,
};

#[derive(Debug, Clone, PartialEq)]
struct LeadCreated(u8);

const HOURLY: RetryPolicy =
    match RetryPolicy::new(7, Backoff::Fixed(Duration::from_secs(3600))) {
        Ok(policy) => policy,
        Err(_) => panic!("7 attempts are a budget"),
    };

impl Event for LeadCreated {
    const TYPE: &'static str = "crm.lead.created";
    const SCHEMA_VERSION: &'static str = "2.0";
    const RETRY_POLICY: RetryPolicy = HOURLY;
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_600_000, 0).expect("a moment in 2026")
}

fn event() -> Envelope<Pending, LeadCreated> {
    Envelope::builder("crm", LeadCreated(7)).build_at(start()).expect("well formed")
}

fn decision(seconds: i64) -> Decision {
    Decision::new_at(
        "on-call",
        "the account exists",
        start() + TimeDelta::seconds(seconds),
    )
    .expect("not blank")
}

#[test]
fn a_typed_event_says_what_its_type_declares() {
    let event = event();
    assert_eq!((event.event_type(), event.schema_version()), ("crm.lead.created", "2.0"));
    assert_eq!((event.retry_policy(), event.payload()), (HOURLY, &LeadCreated(7)));
    let own = Envelope::builder("crm", LeadCreated(7))
        .retry_policy(RetryPolicy::DEFAULT)
        .build()
        .expect("well formed");
    assert_eq!(own.retry_policy(), RetryPolicy::DEFAULT);
}

#[test]
fn the_convention_is_three_parts_in_lower_case() {
    for good in ["a.b.c", "crm.lead.created", "hr-2.position_x.closed", "0.1.2"] {
        assert!(is_conventional(good), "{good}");
    }
    for bad in [
        "", ".", "..", "a", "a.b", "a.b.", ".b.c", "a..c", "a.b.c.d", "a.b.c.", "A.b.c",
        "a.b c", "a.b.é", "a/b.c.d",
    ] {
        assert!(!is_conventional(bad), "{bad}");
    }
}

#[test]
fn bytes_and_type_carry_the_same_facts() {
    let untyped = event()
        .dispatch()
        .encode(|lead| Ok::<_, Infallible>(vec![lead.0]))
        .expect("infallible");
    assert_eq!(untyped.payload().bytes(), [7]);
    assert_eq!(
        (untyped.event_type(), untyped.schema_version()),
        ("crm.lead.created", "2.0")
    );
    assert_eq!(
        (untyped.retry_policy(), untyped.attempts()),
        (HOURLY, 1),
        "the policy in force goes along"
    );

    let typed = untyped
        .decode(|bytes| Ok::<_, Infallible>(LeadCreated(bytes[0])))
        .expect("the same type");
    assert_eq!(
        (typed.payload(), typed.retry_policy(), typed.attempts()),
        (&LeadCreated(7), HOURLY, 1)
    );

    let plain = Envelope::builder(
        "crm",
        RawEvent::new("crm.lead.created", [7]).with_schema_version("2.0"),
    );
    let read = plain
        .build()
        .expect("well formed")
        .decode(|bytes| Ok::<_, Infallible>(LeadCreated(bytes[0])));
    assert_eq!(
        read.expect("the same type").retry_policy(),
        RetryPolicy::DEFAULT,
        "not that of the type it is read as"
    );
}

#[test]
fn what_cannot_be_encoded_or_decoded_comes_back() {
    let refused = event().encode(|_| Err::<Vec<u8>, _>("no room")).expect_err("refused");
    assert_eq!(refused.to_string(), "no room");
    assert_eq!(refused.value().payload(), &LeadCreated(7));
    let untyped = refused
        .into_value()
        .encode(|_| Ok::<_, Infallible>(vec![1, 2]))
        .expect("infallible");
    let failing = |_: &[u8]| -> Result<LeadCreated, Box<dyn std::error::Error>> {
        Err("no lead".into())
    };
    let (back, cause) = untyped.decode(failing).expect_err("refused").into_parts();
    assert_eq!(cause.to_string(), "the payload cannot be decoded");
    let DecodeError::Payload(cause) = cause else { panic!("the decoder refused it") };
    assert_eq!(cause.to_string(), "no lead");
    assert_eq!(back.payload().bytes(), [1, 2]);
    let any = AnyEnvelope::from(back.dispatch())
        .decode(failing)
        .expect_err("refused")
        .into_value();
    assert_eq!(
        (any.status(), any.payload().bytes()),
        (DeliveryStatus::Dispatched, &[1, 2][..])
    );
}

#[test]
fn a_record_leaves_the_envelope_and_says_the_same() {
    let sent = event().dispatch();
    let record = sent.to_record();
    let bytes = sent
        .to_record_with(|lead| Ok::<_, Infallible>(vec![lead.0]))
        .expect("infallible");
    assert_eq!(
        (&bytes.id, bytes.status, &bytes.payload),
        (&record.id, record.status, &vec![7])
    );
    assert_eq!(AnyEnvelope::from(sent).to_record(), record);
    let any = bytes.rehydrate().expect("as stored");
    assert_eq!(
        (any.status(), any.to_record().payload),
        (DeliveryStatus::Dispatched, vec![7])
    );
    let AfterFailure::Failed(dead) = (0..7)
        .fold(None, |after, _| match after {
            None => Some(event().dispatch().fail_at("timeout", start())),
            Some(AfterFailure::Retrying(event)) => {
                Some(event.dispatch().fail_at("timeout", start()))
            }
            failed => failed,
        })
        .expect("seven attempts")
    else {
        panic!("the budget is 7")
    };
    let gone = dead
        .redrive(decision(9))
        .dispatch()
        .reject_at("no account", start())
        .discard(decision(10));
    assert_eq!(gone.to_record(), Record::from(gone));
}

#[test]
fn a_dead_letter_carries_class_reason_and_time() {
    let dead = event()
        .dispatch()
        .reject_at("unknown account", start() + TimeDelta::nanoseconds(1_234_567));
    let failure = dead.failure().expect("on record");
    assert_eq!(
        (failure.class, &*failure.reason),
        (FailureClass::Permanent, "unknown account")
    );
    assert_eq!(
        failure.at,
        start() + TimeDelta::microseconds(1_234),
        "to the microsecond"
    );
    assert_eq!(Record::from(dead).failure.expect("on record").reason, "unknown account");
}

#[test]
fn a_decision_stands_on_the_event_with_its_reason() {
    let again = event().dispatch().reject_at("no account", start()).redrive(decision(60));
    assert_eq!(again.redriven(), Some(&decision(60)));
    assert_eq!(
        again.next_attempt_at(),
        start() + TimeDelta::seconds(60),
        "due when it was redriven"
    );
    assert_eq!(again.failure().map(|failure| &*failure.reason), Some("no account"));

    let gone = event().dispatch().reject_at("no account", start()).discard(decision(60));
    assert_eq!((gone.discarded(), gone.redriven()), (Some(&decision(60)), None));
    assert_eq!(gone.tags()["skip_reason"], "the account exists");
}

#[test]
fn the_reason_of_a_skip_is_a_tag_unless_it_is_empty() {
    let tagged = |reason: &str| {
        let event = Envelope::builder("crm", LeadCreated(7))
            .tag("skip_reason", "old")
            .build()
            .expect("well formed");
        event.skip(reason).tags()["skip_reason"].clone()
    };
    assert_eq!((tagged("new"), tagged("")), ("new".to_owned(), "old".to_owned()));
    assert!(event().skip("").tags().is_empty());
}

#[test]
fn the_wait_counts_from_the_last_failure() {
    let failed_at = start() + TimeDelta::seconds(5);
    let AfterFailure::Retrying(waiting) =
        event().dispatch().fail_at("timeout", failed_at)
    else {
        panic!("1 of 7")
    };
    assert_eq!(waiting.next_attempt_at(), failed_at + TimeDelta::hours(1));
    let any = AnyEnvelope::from(waiting);
    let wrong = Envelope::<Processed, LeadCreated>::try_from(any).expect_err("it waits");
    assert_eq!(
        (wrong.cause().wanted, wrong.cause().found),
        (DeliveryStatus::Processed, DeliveryStatus::Retrying)
    );
    let waiting: Envelope<Retrying, LeadCreated> =
        wrong.into_value().try_into().expect("it waits");
    let again: Envelope<Dispatched, LeadCreated> = waiting.dispatch();
    assert_eq!(again.attempts(), 2);
}

#[test]
fn a_time_is_kept_to_the_microsecond_and_a_leap_second_is_the_next_minute() {
    let created = |at| {
        Envelope::builder("crm", LeadCreated(7))
            .build_at(at)
            .expect("well formed")
            .created_at()
    };
    assert_eq!(
        created(start() + TimeDelta::nanoseconds(1_999)),
        start() + TimeDelta::microseconds(1)
    );
    let epoch = DateTime::UNIX_EPOCH;
    assert_eq!(
        created(epoch - TimeDelta::nanoseconds(1)),
        epoch - TimeDelta::microseconds(1),
        "never later than it was"
    );
    let leap = DateTime::parse_from_rfc3339("2016-12-31T23:59:60.500000Z")
        .expect("a leap second")
        .to_utc();
    assert_eq!(created(leap).to_rfc3339(), "2017-01-01T00:00:00.500+00:00");
}

#[test]
fn a_fresh_id_carries_the_time_of_creation() {
    let millis = |event: &Envelope<Pending, LeadCreated>| {
        let (seconds, nanos) =
            event.id().as_uuid().and_then(|id| id.get_timestamp()).expect("v7").to_unix();
        seconds * 1000 + u64::from(nanos) / 1_000_000
    };
    let at = start().with_nanosecond(789_000_000).expect("in range");
    let old = Envelope::builder("crm", LeadCreated(7)).build_at(at).expect("well formed");
    assert_eq!(millis(&old), 1_767_600_000_789);
    let refused = Envelope::builder("", LeadCreated(7)).build().expect_err("no source");
    let late =
        refused.into_value().source_system("crm").build_at(at).expect("well formed");
    assert_eq!(millis(&late), 1_767_600_000_789, "a refused build leaves no id behind");
    let now = Envelope::builder("crm", LeadCreated(7)).build().expect("well formed");
    assert!(
        millis(&now).abs_diff(now.created_at().timestamp_millis().unsigned_abs())
            < 60_000
    );
}

#[test]
fn jitter_is_a_share_of_every_unit_of_the_wait() {
    let wait = |backoff| {
        RetryPolicy::new(2, Backoff::Fixed(backoff)).expect("2").with_full_jitter()
    };
    let id: EventId = "evt-001".parse().expect("not empty");
    let whole =
        wait(Duration::from_secs(1_000_000)).wait_for(&id, 0).as_secs_f64() / 1_000_000.0;
    for length in [
        Duration::from_millis(900),
        Duration::from_micros(2_500_000),
        Duration::from_secs(3),
    ] {
        let share = wait(length).wait_for(&id, 0).as_secs_f64() / length.as_secs_f64();
        assert!(
            (share - whole).abs() < 1e-6,
            "{length:?}: {share} of the wait, and {whole} of a long one"
        );
    }
    assert_ne!(
        wait(Duration::from_secs(9)).wait_for(&id, 0),
        wait(Duration::from_secs(9)).wait_for(&id, 1)
    );
}

#[test]
fn a_stored_time_is_brought_to_the_microsecond() {
    let mut record = Record::from(event().dispatch().reject_at("no account", start()));
    record.created_at = start() + TimeDelta::nanoseconds(1_999);
    record.failure.as_mut().expect("on record").at =
        start() + TimeDelta::nanoseconds(2_999);
    let back = record.rehydrate().expect("as stored");
    assert_eq!(back.created_at(), start() + TimeDelta::microseconds(1));
    assert_eq!(
        back.failure().expect("on record").at,
        start() + TimeDelta::microseconds(2)
    );
}

#[test]
fn what_is_empty_takes_no_room_in_the_correlation() {
    let record = Record { correlation_id: Some(String::new()), ..Record::from(event()) };
    let back = record.rehydrate().expect("an empty text is none");
    assert_eq!(back.correlation_id(), None);
    assert!(back.audit_line().to_string().contains(" correlation=none "));
}

#[test]
fn debug_output_shows_no_payload_and_breaks_no_line() {
    let secret = RawEvent::new("crm.lead.created", b"SECRET".as_slice());
    let event = Envelope::builder("crm", secret)
        .id("a\nb".parse().expect("not empty"))
        .tag("k", "SECRET");
    let event = event.build().expect("well formed");
    let shown = format!(
        "{event:?} {:?} {:?} {:?}",
        event.payload(),
        event.to_record(),
        event.audit_line().event_id
    );
    let secret_bytes = format!("{:?}", b"SECRET");
    assert!(
        !shown.contains("SECRET")
            && !shown.contains(&secret_bytes)
            && !shown.contains('\n'),
        "{shown}"
    );
}
