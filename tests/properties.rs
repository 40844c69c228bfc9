//! Laws over generated walks, records and lines: what is stored comes back, and nothing
//! panics.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::{
    AfterFailure, AnyEnvelope, AuditLine, Decision, DeliveryStatus, Envelope, EventId,
    Failure, FailureClass, RawEvent, Record,
};
use proptest::prelude::*;
use support::{Deed, perform};

mod support;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_600_000, 123_456_000).expect("a moment in 2026")
}

fn deed() -> impl Strategy<Value = Deed> {
    let text = || "[ -~]{0,12}";
    prop_oneof![
        4 => Just(Deed::Dispatch),
        1 => Just(Deed::Acknowledge),
        1 => Just(Deed::Process),
        4 => text().prop_map(Deed::Fail),
        1 => text().prop_map(Deed::Reject),
        1 => text().prop_map(Deed::Skip),
        3 => "[a-z]{1,12}".prop_map(Deed::Redrive),
        1 => "[a-z]{1,12}".prop_map(Deed::Discard),
    ]
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0_u64..100, 0_u32..1_000_000_000).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
        1 => (any::<u64>(), 0_u32..1_000_000_000).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
        1 => Just(Duration::ZERO),
        1 => Just(Duration::MAX),
    ]
}

fn policy() -> impl Strategy<Value = RetryPolicy> {
    let backoff = prop_oneof![
        duration().prop_map(Backoff::Fixed),
        (duration(), duration())
            .prop_map(|(base, max)| Backoff::Exponential { base, max }),
    ];
    (
        prop_oneof![4 => 1_u32..5, 1 => 1..=u32::MAX],
        backoff,
        any::<bool>(),
        prop::option::of(duration()),
    )
        .prop_map(|(attempts, backoff, jitter, limit)| {
            let policy = RetryPolicy::new(attempts, backoff).expect("at least 1");
            let policy = if jitter { policy.with_full_jitter() } else { policy };
            limit.map_or(policy, |limit| policy.give_up_after(limit))
        })
}

fn id() -> impl Strategy<Value = EventId> {
    prop_oneof![
        ".{1,20}".prop_map(|text| text.parse().expect("not empty")),
        any::<u128>().prop_map(|bits| uuid::Uuid::from_u128(bits).into()),
    ]
}

fn moment() -> impl Strategy<Value = DateTime<Utc>> {
    prop_oneof![
        4 => (0_i64..4_000_000_000, 0_u32..1_000_000_000).prop_map(|(s, n)| DateTime::from_timestamp(s, n)),
        1 => (-8_000_000_000_000_i64..8_000_000_000_000, 0_u32..1_999_999_999)
            .prop_map(|(s, n)| DateTime::from_timestamp(s, n)),
        1 => Just(Some(DateTime::<Utc>::MAX_UTC)),
        1 => Just(Some(DateTime::<Utc>::MIN_UTC)),
    ]
    .prop_map(Option::unwrap_or_default)
}

prop_compose! {
    fn event()(
        id in id(),
        source in ".{1,12}",
        event_type in ".{1,12}",
        version in ".{0,6}",
        correlation in ".{0,6}",
        tags in prop::collection::btree_map(".{0,4}", ".{0,4}", 0..3),
        policy in policy(),
        bytes in any::<Vec<u8>>(),
    ) -> Envelope<integration_automation_patterns::state::Pending> {
        let payload = RawEvent::new(event_type, bytes).with_schema_version(version);
        let builder = Envelope::builder(source, payload).id(id).correlation_id(correlation).retry_policy(policy);
        let builder = tags.into_iter().fold(builder, |builder, (key, value)| builder.tag(key, value));
        builder.build_at(start()).expect("well formed")
    }
}

prop_compose! {
    fn failure()(permanent in any::<bool>(), reason in ".{0,6}", at in moment()) -> Failure {
        let class = if permanent { FailureClass::Permanent } else { FailureClass::Transient };
        Failure { class, reason, at }
    }
}

prop_compose! {
    /// Any record at all, most of them impossible.
    fn record()(
        id in id(),
        texts in (".{0,3}", ".{0,3}", ".{0,3}", prop::option::of(".{0,3}")),
        created_at in moment(),
        status in prop::sample::select(DeliveryStatus::ALL),
        attempts in prop_oneof![4 => 0_u32..5, 1 => any::<u32>()],
        retry_policy in policy(),
        failure in prop::option::of(failure()),
        decided in (prop::option::of(moment()), prop::option::of(moment())),
    ) -> Record {
        let (event_type, source_system, schema_version, correlation_id) = texts;
        let decision = |at| Decision::new_at("on-call", "a reason", at).expect("not blank");
        Record {
            id,
            event_type: event_type.into(),
            source_system: source_system.into(),
            payload: Vec::new(),
            correlation_id,
            schema_version: schema_version.into(),
            created_at,
            status,
            attempts,
            retry_policy,
            tags: BTreeMap::new(),
            failure,
            redriven: decided.0.map(decision),
            discarded: decided.1.map(decision),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Protects a relay that is restarted between any two steps: storing and loading
    /// after each changes nothing.
    #[test]
    fn a_walk_that_is_stored_after_every_step_ends_with_the_same_facts(
        first in event(),
        deeds in prop::collection::vec((deed(), 0_i64..100), 0..24),
    ) {
        let mut live = AnyEnvelope::from(first);
        let stored = |any: AnyEnvelope| Record::from(any);
        let record = stored(live);
        let mut replayed = record.clone();
        live = record.rehydrate().expect("a new envelope");
        let mut now = start();
        for (deed, seconds) in &deeds {
            now += TimeDelta::seconds(*seconds);
            live = perform(live, deed, now);
            let loaded = replayed.rehydrate().expect("a walk leads only to valid records");
            replayed = stored(perform(loaded, deed, now));
        }
        prop_assert_eq!(stored(live), replayed);
    }

    /// Protects the one door in: every record that passes is one that comes out the same,
    /// and no other panics.
    #[test]
    fn a_record_is_refused_whole_or_comes_back_the_same(record in record()) {
        match record.clone().rehydrate() {
            Ok(any) => {
                let once = Record::from(any);
                let again: AnyEnvelope = once.clone().rehydrate().expect("valid stays valid");
                prop_assert_eq!(&once.status, &record.status);
                prop_assert_eq!(&once.attempts, &record.attempts);
                prop_assert_eq!(Record::from(again), once);
            }
            Err(refused) => {
                prop_assert!(!refused.to_string().is_empty());
                prop_assert_eq!(refused.into_value(), record);
            }
        }
    }

    /// Protects the audit trail: any values make one line, which reads back as the same
    /// values.
    #[test]
    fn an_audit_line_is_one_line_and_parses_back(event in event()) {
        let event = event.dispatch();
        let line = event.audit_line().to_string();
        let breaks = |c: char| c.is_control() || ['\u{2028}', '\u{2029}'].contains(&c);
        prop_assert!(!line.contains(breaks), "{line:?}");
        prop_assert_eq!(line.lines().count(), 1);
        let parsed = AuditLine::parse(&line);
        prop_assert_eq!(parsed.as_ref(), Ok(&event.audit_line()));
    }

    /// Protects the parser from whatever stands in a log: no panic, however far it gets.
    #[test]
    fn the_parser_takes_any_text(values in prop::collection::vec("[ -~]{0,8}|\\PC{0,8}|.{0,8}", 8), keys in 0_usize..=8) {
        let known = ["event_id", "type", "source", "status", "attempts", "correlation", "schema", "created"];
        let mut line = "[INTEGRATION_EVENT]".to_owned();
        for (key, value) in known.iter().zip(&values).take(keys) {
            line += &format!(" {key}={value}");
        }
        prop_assert!(AuditLine::parse(&line).is_err() || keys == 8);
    }

    /// As above, near a good line: every cut, and every change of one character.
    #[test]
    fn the_parser_takes_any_damaged_line(event in event(), at in any::<prop::sample::Index>(), c in any::<char>()) {
        let line = event.audit_line().to_string();
        let (place, old) = line.char_indices().nth(at.index(line.chars().count())).expect("not empty");
        let cut = AuditLine::parse(&line[..place]);
        prop_assert!(cut.is_err() || place + "+00:00".len() >= line.len());
        let changed = format!("{}{c}{}", &line[..place], &line[place + old.len_utf8()..]);
        if let Ok(parsed) = AuditLine::parse(&changed) {
            let written = parsed.to_string();
            prop_assert_eq!(AuditLine::parse(&written), Ok(parsed.clone()));
        }
    }

    /// Protects the budget: waits grow, stay under the cap, and jitter only shortens
    /// them.
    #[test]
    fn waits_never_exceed_the_cap_nor_shrink(policy in policy(), id in id(), retry in any::<u32>()) {
        let wait = policy.wait(retry);
        prop_assert!(policy.wait(retry.saturating_add(1)) >= wait);
        if let Backoff::Exponential { base, max } = policy.backoff() {
            prop_assert!(wait <= max);
            prop_assert_eq!(policy.wait(0), base.min(max));
        }
        let jittered = policy.wait_for(&id, retry);
        prop_assert!(jittered <= wait);
        prop_assert!(policy.has_full_jitter() || jittered == wait);
    }

    /// Protects `dispatch` and the sweepers: no time or policy makes the schedule panic
    /// or go back, and no attempt begins after the time limit.
    #[test]
    fn the_next_attempt_is_never_before_the_failure_nor_after_the_limit(
        event in event(), policy in policy(), failed in moment(),
    ) {
        let record = Record { retry_policy: policy, ..Record::from(event) };
        let AnyEnvelope::Pending(event) = record.rehydrate().expect("a new envelope") else { unreachable!() };
        if let AfterFailure::Retrying(event) = event.dispatch().fail_at("timeout", failed) {
            let at = event.failure().expect("on record").at;
            prop_assert!(event.next_attempt_at() >= at);
            prop_assert!(policy.max_attempts() > 1);
            if let Some(limit) = policy.time_limit().and_then(|limit| TimeDelta::from_std(limit).ok()) {
                let end = event.created_at().checked_add_signed(limit).unwrap_or(DateTime::<Utc>::MAX_UTC);
                prop_assert!(event.next_attempt_at() <= end);
            }
        }
    }

    /// Protects the key: an id is the same however it was made, and shows as its text.
    #[test]
    fn an_id_is_its_text(id in id()) {
        let text = id.to_string();
        let from_text: EventId = text.parse().expect("not empty");
        prop_assert_eq!(&from_text, &id);
        prop_assert_eq!(EventId::try_from(text), Ok(id));
    }
}

/// The jitter of a fleet covers the whole wait, evenly: the mean of many events is near
/// the half.
#[test]
fn full_jitter_spreads_a_fleet_over_the_whole_wait() {
    let policy = RetryPolicy::DEFAULT.with_full_jitter();
    let waits = (0..10_000_u32).map(|event| {
        policy
            .wait_for(&format!("evt-{event}").parse().expect("not empty"), 0)
            .as_secs_f64()
            / 30.0
    });
    let waits = waits.collect::<Vec<_>>();
    let mut tenths = [0_u32; 10];
    for share in &waits {
        assert!((0.0..1.0).contains(share));
        tenths[(share * 10.0) as usize] += 1;
    }
    assert!(tenths.iter().all(|count| (850..1150).contains(count)), "{tenths:?}");
}
