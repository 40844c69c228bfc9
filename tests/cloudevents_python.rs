//! A peer that others wrote, the Python package `cloudevents`, reads what we write, and
//! we read what it writes.
//!
//! The package goes into an environment of its own below `target`, from PyPI, on the
//! first run: `cargo test --all-features --test cloudevents_python -- --ignored`
#![cfg(all(feature = "cloudevents", feature = "serde"))]

#[path = "support/python.rs"]
mod python;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat};
use integration_automation_patterns::cloudevents::{Binding, CloudEvent};
use integration_automation_patterns::{Envelope, RawEvent};
use serde_json::{Value, json};

const PACKAGE: &str = "cloudevents==2.2.0";

/// A Python that has the package.
fn python() -> PathBuf {
    python::with("cloudevents", &[PACKAGE], "import cloudevents.core.bindings.rabbitmq")
}

/// Events that have everything that is hard to carry.
fn events() -> Vec<CloudEvent> {
    let event = |id: &str, bytes: &[u8]| {
        let payload = RawEvent::new("crm.lead.created", bytes).with_schema_version("2.1");
        Envelope::builder("crm", payload)
            .id(id.parse().expect("not empty"))
            .correlation_id("import 7 \"50%\" é😀")
    };
    let at = "2026-01-05T08:00:00.120Z".parse().expect("a time");
    let builders = [
        event("evt-001", br#"{"lead": 7}"#)
            .ordering_key("lead-7")
            .tag("Line of business", "B2B & more"),
        event("evt 2", "Hello, 🌎!".as_bytes())
            .tag("datacontenttype", "text/plain; charset=utf-8"),
        event("3", b"\0\x01\xff")
            .tag("datacontenttype", "image/png")
            .tag("subject", "größe 5"),
        event("4", b"").tag(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b9c7c989f97918e1-01",
        ),
    ];
    builders
        .map(|builder| {
            CloudEvent::of(&builder.build_at(at).expect("well formed").dispatch())
        })
        .into()
}

const BINDINGS: [(&str, Option<Binding>); 5] = [
    ("http", Some(Binding::Http)),
    ("kafka", Some(Binding::Kafka)),
    ("amqp", Some(Binding::Amqp)),
    ("rabbitmq", Some(Binding::RabbitMq)),
    ("json", None),
];

fn message(name: &str, binding: Option<Binding>, event: &CloudEvent) -> Value {
    let headers = binding
        .map(|binding| event.headers(binding).collect::<BTreeMap<_, _>>())
        .unwrap_or_default();
    let body = if binding.is_some() {
        event.data().to_vec()
    } else {
        event.to_json().into_bytes()
    };
    json!({
        "binding": name,
        "headers": headers,
        "content_type": event.content_type(),
        "body": STANDARD.encode(body),
    })
}

/// A value as a client of AMQP hands it over: a time is a number of milliseconds there.
fn canonical(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(millis) if name.ends_with("time") => {
            let time =
                DateTime::from_timestamp_millis(millis.as_i64().expect("an integer"))
                    .expect("in the calendar");
            time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
        }
        other => other.to_string(),
    }
}

fn read(binding: Option<Binding>, theirs: &Value) -> CloudEvent {
    let body = STANDARD.decode(theirs["body"].as_str().expect("text")).expect("base64");
    let Some(binding) = binding else {
        return CloudEvent::from_json(&body).expect("an event");
    };
    let headers = theirs["headers"].as_object().expect("an object").iter();
    let headers = headers.map(|(name, value)| (name.clone(), canonical(name, value)));
    let content_type = theirs["content_type"]
        .as_str()
        .map(|value| ("content-type".to_owned(), value.to_owned()));
    let headers = headers.chain(content_type).collect::<Vec<_>>();
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    CloudEvent::from_headers(binding, headers, body).expect("an event")
}

/// The same event: JSON may be spelt otherwise, and a time too.
fn assert_same(event: &CloudEvent, other: &CloudEvent, context: &str) {
    let without_time = |event: &CloudEvent| {
        let attributes = event.attributes().filter(|(name, _)| *name != "time");
        attributes
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(without_time(event), without_time(other), "{context}");
    assert_eq!(event.time(), other.time(), "{context}");
    match event.content_type() {
        Some("application/json") => {
            let json = |event: &CloudEvent| {
                serde_json::from_slice::<Value>(event.data()).expect("JSON")
            };
            assert_eq!(json(event), json(other), "{context}");
        }
        _ => assert_eq!(event.data(), other.data(), "{context}"),
    }
}

#[test]
#[ignore = "needs python3 with the cloudevents package"]
fn the_python_package_reads_ours_and_we_read_its() {
    let cases = BINDINGS.iter().flat_map(|(name, binding)| {
        events().into_iter().map(move |event| (*name, *binding, event))
    });
    let cases = cases.collect::<Vec<_>>();
    let script =
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/cloudevents_peer.py");
    let mut peer = Command::new(python())
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the environment's python runs");
    let mut input = peer.stdin.take().expect("piped");
    for (name, binding, event) in &cases {
        writeln!(input, "{}", message(name, *binding, event)).expect("the peer listens");
    }
    drop(input);
    let output = peer.wait_with_output().expect("the peer ends");
    assert!(output.status.success(), "the peer failed; its words stand above");
    let answers = String::from_utf8(output.stdout).expect("text");
    assert_eq!(answers.lines().count(), cases.len());
    for ((name, binding, event), answer) in cases.iter().zip(answers.lines()) {
        let theirs: Value = serde_json::from_str(answer).expect("JSON");
        let context = format!("{name}: {event:?}");
        for (attribute, value) in
            event.attributes().filter(|(attribute, _)| *attribute != "time")
        {
            assert_eq!(
                theirs["attributes"][attribute],
                json!(value),
                "{context}: {attribute}"
            );
        }
        let time = theirs["attributes"]["time"]
            .as_str()
            .and_then(|time| DateTime::parse_from_rfc3339(time).ok());
        assert_eq!(time.map(|time| time.to_utc()), event.time(), "{context}");
        assert_same(event, &read(*binding, &theirs), &context);
    }
}
