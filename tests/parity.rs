//! The recorded behaviour of the Python original: equal everywhere but where a named rule
//! says otherwise.
//!
//! Runs every `*.jsonl` in the folder that `PARITY_VECTORS` names, by default
//! `tests/vectors`, and prints the number of cases of each file and of each rule. The
//! rules stand in the guide, chapter "Coming from the Python package".

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::sync::ContractError;
use integration_automation_patterns::sync::{
    Authority, Base, Contract, Side, Slot, Stamp, SyncConflict,
};
use integration_automation_patterns::{
    AnyEnvelope, AuditLine, Envelope, EventId, Failure, FailureClass, RawEvent, Record,
};
use serde_json::Value;
use support::{Deed, perform};

mod support;

/// The values that came out differently, by the rule that says so.
#[derive(Default)]
struct InboxConfig(BTreeMap<&'static str, usize>);

impl InboxConfig {
    /// Every rule, as the guide names it.
    const NAMES: [&str; 9] = [
        "zero-budget",
        "first-wait",
        "empty-text",
        "quoted-value",
        "utc-time",
        "failure-on-record",
        "number-kind",
        "agreed-null",
        "mapped-and-excluded",
    ];

    fn count(&mut self, rule: &'static str) {
        assert!(Self::NAMES.contains(&rule));
        *self.0.entry(rule).or_default() += 1;
    }
}

fn number<T: TryFrom<u64>>(value: &Value) -> T {
    value
        .as_u64()
        .and_then(|number| number.try_into().ok())
        .unwrap_or_else(|| panic!("{value} is no such number"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// A policy as recorded. A budget of 0 attempts is refused; it behaves as a budget of 1,
/// but for `is_exhausted(0)`.
fn policy(recorded: &Value, rules: &mut InboxConfig) -> RetryPolicy {
    let seconds = |key: &str| Duration::from_secs(number(&recorded[key]));
    let backoff = match recorded["exponential"].as_bool().expect("a flag") {
        true => Backoff::Exponential {
            base: seconds("backoff_seconds"),
            max: seconds("max_backoff_seconds"),
        },
        false => Backoff::Fixed(seconds("backoff_seconds")),
    };
    RetryPolicy::new(number(&recorded["max_attempts"]), backoff).unwrap_or_else(
        |refused| {
            assert_eq!(recorded["max_attempts"], 0, "{refused}");
            rules.count("zero-budget");
            RetryPolicy::new(1, backoff).expect("1 attempt is a budget")
        },
    )
}

fn retry(case: &Value, rules: &mut InboxConfig) {
    let policy = policy(case, rules);
    let n: u32 = number(&case["n"]);
    assert_eq!(
        policy.wait(n),
        Duration::from_secs(number(&case["wait_seconds_for_attempt"]))
    );
    let zero_budget = case["max_attempts"] == 0 && n == 0;
    assert_eq!(
        policy.is_exhausted(n) || zero_budget,
        case["is_exhausted"].as_bool().expect("a flag")
    );
}

/// The envelope as recorded, or nothing where an empty text is refused.
fn envelope(recorded: &Value, rules: &mut InboxConfig) -> Option<AnyEnvelope> {
    let empty =
        ["event_id", "event_type", "source_system"].iter().any(|key| recorded[key] == "");
    let built = build(recorded, rules);
    assert_eq!(built.is_none(), empty);
    if empty {
        rules.count("empty-text");
    }
    built
}

fn build(recorded: &Value, rules: &mut InboxConfig) -> Option<AnyEnvelope> {
    let id: EventId = text(&recorded["event_id"]).try_into().ok()?;
    let payload =
        RawEvent::new(text(&recorded["event_type"]), recorded["payload"].to_string());
    let payload = match recorded.get("schema_version") {
        Some(version) => payload.with_schema_version(text(version)),
        None => payload,
    };
    let mut builder = Envelope::builder(text(&recorded["source_system"]), payload).id(id);
    if let Some(correlation) = recorded.get("correlation_id") {
        builder = builder.correlation_id(text(correlation));
    }
    if let Some(recorded) = recorded.get("retry_policy") {
        builder = builder.retry_policy(policy(recorded, rules));
    }
    for (key, value) in
        recorded.get("tags").and_then(Value::as_object).into_iter().flatten()
    {
        builder = builder.tag(key, text(value));
    }
    let created_at =
        DateTime::parse_from_rfc3339(&text(&recorded["created_at"])).expect("a time");
    Some(builder.build_at(created_at.to_utc()).ok()?.into())
}

/// The envelope in the middle of its way. The original keeps no failures; ours must know
/// of one where there was one.
fn rehydrated(recorded: &Value, rules: &mut InboxConfig) -> Option<AnyEnvelope> {
    let mut record = Record::from(envelope(recorded, rules)?);
    record.status = text(&recorded["status"]).parse().expect("a status");
    record.attempts = recorded.get("attempt_count").map_or(0, number);
    let without = record.rehydrate();
    let record = match without {
        Ok(any) => return Some(any),
        Err(refused) => refused.into_value(),
    };
    rules.count("failure-on-record");
    let reason = "imported from the Python package, which keeps no reasons".into();
    let failure =
        Failure { class: FailureClass::Transient, reason, at: record.created_at };
    Some(
        Record { failure: Some(failure), ..record }
            .rehydrate()
            .expect("a state that can be reached"),
    )
}

/// The failed attempts of a case all fail at its creation, so that each wait can be read
/// off.
fn walk(
    case: &Value,
    begin: fn(&Value, &mut InboxConfig) -> Option<AnyEnvelope>,
    rules: &mut InboxConfig,
) {
    let Some(mut event) = begin(&case["envelope"], rules) else { return };
    compare(&event, &case["initial"], case, rules);
    for step in case["steps"].as_array().expect("a list") {
        let reason =
            step.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
        let deed = match step["op"].as_str().expect("a text") {
            "dispatch" => Deed::Dispatch,
            "acknowledge" => Deed::Acknowledge,
            "process" => Deed::Process,
            "fail" => Deed::Fail(reason),
            "skip" => Deed::Skip(reason),
            other => panic!("unknown operation {other}"),
        };
        let now = event.created_at();
        event = perform(event, &deed, now);
        compare(&event, &step["after"], case, rules);
    }
}

fn compare(event: &AnyEnvelope, recorded: &Value, case: &Value, rules: &mut InboxConfig) {
    assert_eq!(event.status().as_str(), recorded["status"]);
    assert_eq!(
        event.status().is_terminal(),
        recorded["is_terminal"].as_bool().expect("a flag")
    );
    assert_eq!(event.attempts(), number::<u32>(&recorded["attempt_count"]));
    let tags = event
        .tags()
        .iter()
        .map(|(key, value)| (key.clone(), Value::from(value.clone())))
        .collect();
    assert_eq!(Value::Object(tags), recorded["tags"]);

    let recorded_wait = Duration::from_secs(number(&recorded["next_retry_wait_seconds"]));
    let wait = match event {
        AnyEnvelope::Retrying(event) => {
            let original = event.retry_policy().wait(event.attempts());
            assert_eq!(original, recorded_wait);
            (event.next_attempt_at() - event.created_at())
                .to_std()
                .expect("not before the failure")
        }
        _ => Duration::ZERO,
    };
    if wait != recorded_wait {
        rules.count("first-wait");
        assert_eq!(wait, event.retry_policy().wait(event.attempts() - 1));
    }
    compare_lines(event, &text(&recorded["audit_line"]), case, rules);
}

fn compare_lines(
    event: &AnyEnvelope,
    recorded: &str,
    case: &Value,
    rules: &mut InboxConfig,
) {
    let line = event.audit_line().to_string();
    let parsed = AuditLine::parse(&line).expect("our own line");
    assert_eq!(parsed, event.audit_line());
    assert_eq!(line.lines().count(), 1);
    assert!(!line.contains(char::is_control));
    let envelope = &case["envelope"];
    assert_eq!(parsed.event_id.to_string(), envelope["event_id"]);
    assert_eq!(parsed.event_type, envelope["event_type"].as_str().expect("a text"));
    assert_eq!(parsed.source_system, envelope["source_system"].as_str().expect("a text"));
    assert_eq!(
        parsed.correlation_id.as_deref().unwrap_or_default(),
        envelope["correlation_id"].as_str().unwrap_or_default()
    );
    assert_eq!(
        parsed.schema_version,
        envelope["schema_version"].as_str().unwrap_or("1.0")
    );
    let created: DateTime<Utc> = text(&envelope["created_at"]).parse().expect("a time");
    assert_eq!(parsed.created_at, created);
    if line == recorded {
        return;
    }
    let quoted = line.contains('"');
    let other_offset = !text(&envelope["created_at"]).ends_with("+00:00");
    let ordinary = case.get("category").is_none() && envelope["correlation_id"] != "none";
    assert!(!ordinary, "an ordinary line differs:\n{line}\n{recorded}");
    assert!(quoted || other_offset, "no rule for this difference:\n{line}\n{recorded}");
    if quoted {
        rules.count("quoted-value");
    }
    if other_offset {
        rules.count("utc-time");
    }
}

/// A boundary as recorded, as a contract between its two systems. A field that is mapped
/// and excluded at once is refused; the original leaves it out.
fn contract(recorded: &Value, rules: &mut InboxConfig) -> Contract {
    let (a, b) = (text(&recorded["system_a_id"]), text(&recorded["system_b_id"]));
    let excluded = recorded["excluded_fields"]
        .as_array()
        .expect("a list")
        .iter()
        .map(text)
        .collect::<Vec<_>>();
    let build = |leave_out: &[String]| {
        let mut builder =
            Contract::builder(text(&recorded["record_type"])).system(&a).system(&b);
        for pair in recorded["field_authority"].as_array().expect("a list") {
            let field = text(&pair[0]);
            if !leave_out.contains(&field) {
                builder = builder.field(field, authority(&text(&pair[1]), &a, &b));
            }
        }
        excluded.iter().fold(builder, |builder, field| builder.excluded(field)).build()
    };
    build(&[]).unwrap_or_else(|refused| {
        assert!(
            matches!(refused.cause(), ContractError::SyncedAndExcluded { .. }),
            "{refused}"
        );
        rules.count("mapped-and-excluded");
        build(&excluded).expect("a sound contract")
    })
}

fn authority(recorded: &str, a: &str, b: &str) -> Authority {
    match recorded {
        "system_a" => Authority::system(a),
        "system_b" => Authority::system(b),
        "shared" => Authority::Shared,
        "manual" => Authority::Manual,
        other => panic!("unknown authority {other}"),
    }
}

/// A conflict is decided by type-strict equality, and an agreed null is an agreement:
/// where the recorded answer hangs on the opposite, it is ours turned round.
fn sync(case: &Value, rules: &mut InboxConfig) {
    let recorded = &case["boundary"];
    let (a, b) = (text(&recorded["system_a_id"]), text(&recorded["system_b_id"]));
    let (contract, expect, field) =
        (contract(recorded, rules), &case["expect"], text(&case["field"]));
    let expected = expect["authority_for"].as_str().map(|name| authority(name, &a, &b));
    assert_eq!(contract.authority_for(&field), expected.as_ref());
    assert_eq!(
        contract.is_synced(&field),
        expect["is_synced"].as_bool().expect("a flag")
    );
    assert_eq!(
        Value::from(contract.synced_fields().collect::<Vec<_>>()),
        expect["synced_fields"]
    );
    for (name, owned) in expect["fields_owned_by"].as_object().expect("an object") {
        let authority = authority(name, &a, &b);
        assert_eq!(
            Value::from(contract.fields_owned_by(&authority).collect::<Vec<_>>()),
            *owned
        );
    }

    let side = |system: &str, value: &str, stamp: &str| Side {
        system: system.to_owned(),
        slot: Slot::Value(case[value].clone()),
        modified: case[stamp]
            .as_str()
            .map_or(Stamp::Unknown, |at| Stamp::OfField(at.parse().expect("a time"))),
    };
    let sides = vec![
        side(&a, "value_a", "system_a_modified_at"),
        side(&b, "value_b", "system_b_modified_at"),
    ];
    let base = case
        .get("last_sync_value")
        .map_or(Base::Never, |agreed| Base::Known(Some(agreed.clone())));
    let facts = SyncConflict {
        record_id: text(&case["record_id"]),
        field: field.clone(),
        base: base.clone(),
        sides,
    };
    assert_eq!(
        facts.last_writer(Duration::ZERO, DateTime::<Utc>::MAX_UTC),
        match expect["last_writer"].as_str() {
            Some("system_a") => Some(&*a),
            Some("system_b") => Some(&*b),
            _ => None,
        }
    );
    let found = contract.detect_conflict(&field, &facts.record_id, &facts.sides, &base);
    let flag = |name: &str| case["flags"][name].as_bool().expect("a flag");
    let turned = [
        ("number-kind", "numeric_coercion_decides"),
        ("agreed-null", "null_baseline_decides"),
    ];
    let turned = turned
        .into_iter()
        .filter(|(_, decides)| flag(decides))
        .map(|(rule, _)| rule)
        .collect::<Vec<_>>();
    turned.iter().for_each(|rule| rules.count(rule));
    assert_eq!(
        found.is_some(),
        expect["conflict"].as_bool().expect("a flag") != (turned.len() == 1)
    );
    assert!(
        found.is_none_or(|found| found == facts),
        "a conflict carries what it was found in"
    );
}

#[test]
fn the_recorded_behaviour_is_ours_but_for_the_named_rules() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    let folder = PathBuf::from(
        std::env::var_os("PARITY_VECTORS").unwrap_or_else(|| default.into()),
    );
    let mut files = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths = files
        .by_ref()
        .map(|entry| entry.expect("a readable folder").path())
        .collect::<Vec<_>>();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    assert!(!paths.is_empty(), "{}: no vectors", folder.display());
    for path in paths {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let cases = fs::read_to_string(&path).expect("text");
        let run: fn(&Value, &mut InboxConfig) = match &*name {
            "retry.jsonl" => retry,
            "lifecycle.jsonl" | "hostile.jsonl" => {
                |case, rules| walk(case, envelope, rules)
            }
            "rehydrated.jsonl" => |case, rules| walk(case, rehydrated, rules),
            "sync.jsonl" => sync,
            _ => panic!("{name}: unknown vectors"),
        };
        let mut rules = InboxConfig::default();
        for line in cases.lines() {
            let case = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{name}: {error}\n{line}"));
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                run(&case, &mut rules)
            }));
            assert!(outcome.is_ok(), "{name}: case {} differs", case["case"]);
        }
        println!(
            "{name}: {} cases; different by rule, counted: {:?}",
            cases.lines().count(),
            rules.0
        );
    }
}

#[test]
fn the_guide_lists_every_rule() {
    let guide = include_str!("../src/guide/coming_from_python.md");
    for rule in InboxConfig::NAMES {
        assert!(
            guide.contains(&format!("`{rule}`")),
            "the guide does not explain the rule {rule}"
        );
    }
}
