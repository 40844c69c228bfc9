//! CloudEvents: what goes out comes back, by every binding and in JSON; and the
//! standard's rules, case by case.
#![cfg(feature = "cloudevents")]

use chrono::{DateTime, Utc};
use integration_automation_patterns::cloudevents::{
    Binding, CloudEvent, FromCloudEventError, ParseCloudEventError,
};
use integration_automation_patterns::event::BuildError;
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Envelope, RawEvent, Record};
use proptest::prelude::*;

const BINDINGS: [Binding; 5] =
    [Binding::Http, Binding::Nats, Binding::Kafka, Binding::Amqp, Binding::RabbitMq];

type Headers = Vec<(String, String)>;

/// A message as a client takes it: the headers, and the content type beside them where
/// the protocol has a property.
fn sent(event: &CloudEvent, binding: Binding) -> Headers {
    let mut headers = event
        .headers(binding)
        .map(|(name, value)| (name, value.into_owned()))
        .collect::<Headers>();
    if let (Binding::Amqp | Binding::RabbitMq, Some(content_type)) =
        (binding, event.content_type())
    {
        assert!(!headers.iter().any(|(name, _)| name.contains("datacontenttype")));
        headers.push(("content-type".to_owned(), content_type.to_owned()));
    }
    headers
}

fn received(
    binding: Binding,
    headers: &Headers,
    data: &[u8],
) -> Result<CloudEvent, ParseCloudEventError> {
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    CloudEvent::from_headers(binding, headers, data.to_vec()).map_err(|refused| {
        assert_eq!(refused.value(), data, "the data come back");
        refused.cause().clone()
    })
}

fn read(
    binding: Binding,
    headers: &[(&str, &str)],
) -> Result<CloudEvent, ParseCloudEventError> {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    received(binding, &headers, b"{}")
}

/// The least there can be, and further headers, by Kafka: values stand there as they are.
fn with(further: &[(&str, &str)]) -> Result<CloudEvent, ParseCloudEventError> {
    let least = [
        ("ce_specversion", "1.0"),
        ("ce_id", "1"),
        ("ce_source", "/orders"),
        ("ce_type", "order.placed"),
    ];
    let headers =
        least.iter().filter(|(name, _)| !further.iter().any(|(other, _)| other == name));
    let headers = headers.chain(further).copied().collect::<Vec<_>>();
    read(Binding::Kafka, &headers)
}

fn moment() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_600_000, 0).expect("a moment in 2026")
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![2 => "[a-z0-9]{1,8}", 1 => "[ -~]{1,8}", 1 => ".{1,8}", 1 => "(?s).{1,4}", 1 => "[a-z]{1,3}(%[0-9A-F]{2}| |é|🚀|\u{ffff})"]
}

fn key() -> impl Strategy<Value = String> {
    let known = [
        "subject",
        "dataschema",
        "datacontenttype",
        "ordering_key",
        "skip_reason",
        "traceparent",
        "tracestate",
        "id",
        "source",
        "type",
        "time",
        "data",
        "specversion",
        "correlationid",
        "partitionkey",
        "schemaversion",
        "deliveryattempt",
        "othertags",
        "pctencoded",
        "data_base64",
        "anextensionoftwentyone",
        "senderid",
    ];
    prop_oneof![
        3 => prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => "[a-z0-9]{1,6}",
        1 => "(?s).{0,4}",
    ]
}

fn value() -> impl Strategy<Value = String> {
    let known = [
        "application/json",
        "text/plain",
        "text/plain; charset=utf-8",
        " text/plain",
        "https://x.org/schema",
        "",
    ];
    prop_oneof![1 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 2 => text()]
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "",
        "{}",
        " {\"a\": 1.50}",
        "{\"a\" : [1, null]}",
        "[1]\n",
        "\"x\"",
        "{x}",
        "7",
        "<a/>",
        "\u{feff}{}",
    ];
    prop_oneof![1 => prop::sample::select(known.to_vec()).prop_map(|text| text.as_bytes().to_vec()), 1 => any::<Vec<u8>>()]
}

prop_compose! {
    fn event()(
        id in prop_oneof![text(), Just("83ba5c00-0d91-46c2-a7b1-db674fba3561".to_owned())],
        source in text(),
        event_type in text(),
        version in prop_oneof![Just("1.0".to_owned()), Just(String::new()), text()],
        correlation in prop_oneof![Just(String::new()), text()],
        tags in prop::collection::btree_map(key(), value(), 0..5),
        data in data(),
        micros in -62_167_219_200_000_000_i64..253_402_300_799_000_000,
    ) -> Envelope<Pending> {
        let payload = RawEvent::new(event_type, data).with_schema_version(version);
        let builder = Envelope::builder(source, payload).id(id.parse().expect("not empty")).correlation_id(correlation);
        let builder = tags.into_iter().fold(builder, |builder, (key, value)| builder.tag(key, value));
        builder.build_at(DateTime::from_timestamp_micros(micros).expect("in the calendar")).expect("well formed")
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Protects every consumer of ours: whatever an envelope holds, it arrives, by any
    /// protocol.
    #[test]
    fn an_envelope_comes_back_by_every_binding(envelope in event()) {
        let event = CloudEvent::of(&envelope);
        let wanted = Record::from(envelope);
        for binding in BINDINGS {
            let headers = sent(&event, binding);
            if matches!(binding, Binding::Http | Binding::Nats) {
                let mut values = headers.iter().flat_map(|(_, value)| value.chars());
                prop_assert!(values.all(|c| c.is_ascii_graphic() || c == ' '), "{headers:?}");
            }
            let back = received(binding, &headers, event.data());
            prop_assert_eq!(back.as_ref(), Ok(&event), "{:?}", headers);
            let back = back.expect("equal").into_envelope_at(moment()).map(Record::from).map_err(|refused| refused.to_string());
            prop_assert_eq!(back, Ok(wanted.clone()));
        }
    }

    /// The same in one JSON object: the payload byte for byte, whatever it is.
    #[cfg(feature = "serde")]
    #[test]
    fn an_envelope_comes_back_in_json(envelope in event()) {
        let event = CloudEvent::of(&envelope);
        let json = event.to_json();
        let back = CloudEvent::from_json(json.as_bytes());
        prop_assert_eq!(back.as_ref(), Ok(&event), "{}", json);
        let back = back.expect("equal").into_envelope_at(moment()).map(Record::from).map_err(|refused| refused.to_string());
        prop_assert_eq!(back, Ok(Record::from(envelope)));
    }

    /// Protects a consumer from anything on the wire: no panic, and what is refused comes
    /// back.
    #[test]
    fn any_headers_are_read_or_refused(
        headers in prop::collection::vec(("(ce[-_]|cloudEvents[:_])?(id|source|type|specversion|time|[a-z]{0,3})", value()), 0..8),
        data in data(),
    ) {
        for binding in BINDINGS {
            if let Ok(event) = received(binding, &headers, &data) {
                match event.clone().into_envelope_at(moment()) {
                    Ok(envelope) => prop_assert_eq!(envelope.payload().bytes(), &data),
                    Err(refused) => prop_assert_eq!(refused.into_value(), event),
                }
            }
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn any_bytes_are_read_as_json_or_refused(json in "\\{(\"(id|source|type|data|data_base64|x)\":(\"[ -~]{0,4}\"|1|null),?){0,6}\\}|.{0,20}") {
        let _ = CloudEvent::from_json(json.as_bytes());
    }
}

#[test]
fn each_fact_stands_where_the_table_says() {
    let payload =
        RawEvent::new("crm.lead.created", br#"{"lead":7}"#).with_schema_version("2.1");
    let envelope = Envelope::builder("crm", payload)
        .id("evt-001".parse().expect("not empty"))
        .correlation_id("import-7")
        .ordering_key("lead-7")
        .tag("subject", "lead/7")
        .tag("dataschema", "https://example.com/lead/2.1")
        .tag("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b9c7c989f97918e1-01")
        .tag("region", "eu-west-1")
        .tag("Line of business", "B2B & more")
        .build_at("2026-01-05T08:00:00.000120Z".parse().expect("a time"))
        .expect("well formed");
    let event = CloudEvent::of(&envelope.dispatch());
    let expected = [
        ("correlationid", "import-7"),
        ("datacontenttype", "application/json"),
        ("dataschema", "https://example.com/lead/2.1"),
        ("deliveryattempt", "1"),
        ("id", "evt-001"),
        ("othertags", "Line%20of%20business=B2B%20%26%20more"),
        ("partitionkey", "lead-7"),
        ("region", "eu-west-1"),
        ("schemaversion", "2.1"),
        ("source", "crm"),
        ("specversion", "1.0"),
        ("subject", "lead/7"),
        ("time", "2026-01-05T08:00:00.000120Z"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b9c7c989f97918e1-01"),
        ("type", "crm.lead.created"),
    ];
    assert_eq!(event.attributes().collect::<Vec<_>>(), expected);
    for (binding, id, content_type) in [
        (Binding::Http, "ce-id", "content-type"),
        (Binding::Nats, "ce-id", "ce-datacontenttype"),
        (Binding::Kafka, "ce_id", "content-type"),
        (Binding::Amqp, "cloudEvents_id", "content-type"),
        (Binding::RabbitMq, "ce-id", "content-type"),
    ] {
        let names =
            sent(&event, binding).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names.len(), expected.len());
        assert!(
            names.iter().any(|name| name == id)
                && names.iter().any(|name| name == content_type),
            "{names:?}"
        );
    }
    let shown = format!("{event:?}");
    assert!(
        !shown.contains("lead\\\":7") && !shown.contains("eu-west-1"),
        "no data and no extension: {shown}"
    );
}

#[test]
fn a_name_longer_than_the_standard_recommends_is_not_sent_as_one() {
    let (right, long) = ("a".repeat(20), "a".repeat(21));
    let builder = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"));
    let event = CloudEvent::of(
        &builder
            .tag(right.as_str(), "1")
            .tag(long.as_str(), "2")
            .build()
            .expect("well formed"),
    );
    assert_eq!((event.attribute(&right), event.attribute(&long)), (Some("1"), None));
    assert_eq!(event.attribute("othertags"), Some(format!("{long}=2").as_str()));
}

#[test]
fn the_receiver_counts_its_own_attempts() {
    let envelope = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
        .build()
        .expect("well formed");
    assert_eq!(CloudEvent::of(&envelope).attribute("deliveryattempt"), None);
    let envelope =
        CloudEvent::of(&envelope.dispatch()).into_envelope().expect("an event");
    assert_eq!((envelope.attempts(), envelope.tags().len()), (0, 0));
}

/// The HTTP and NATS bindings, sections 3.1.3.2: what is encoded, and what must be taken.
#[test]
fn values_are_percent_encoded_where_the_binding_says_so() {
    let value = "Euro € 😀 \"50%\"";
    let event = with(&[("ce_greeting", value)]).expect("an event");
    let encoded = "Euro%20%E2%82%AC%20%F0%9F%98%80%20%2250%25%22";
    for (binding, name, written) in [
        (Binding::Http, "ce-greeting", encoded),
        (Binding::Nats, "ce-greeting", encoded),
        (Binding::Kafka, "ce_greeting", value),
        (Binding::Amqp, "cloudEvents_greeting", value),
        (Binding::RabbitMq, "ce-greeting", value),
    ] {
        let headers = sent(&event, binding);
        assert!(
            headers.contains(&(name.to_owned(), written.to_owned())),
            "{binding:?}: {headers:?}"
        );
    }
    let greeting = |value| {
        let least = [
            ("CE-ID", "1"),
            ("Ce-Source", "/"),
            ("ce-Type", "t"),
            ("ce-specversion", "1.0"),
        ];
        let headers =
            least.into_iter().chain([("ce-greeting", value)]).collect::<Vec<_>>();
        read(Binding::Http, &headers)
            .map(|event| event.attribute("greeting").map(str::to_owned))
    };
    for (written, read) in [
        ("plain", "plain"),
        ("%70l%61in", "plain"),
        ("%e2%82%ac", "€"),
        ("\"a b\"", "a b"),
        (r#""say \"hi\" \\ %41""#, r#"say "hi" \ A"#),
        (" padded\t", "padded"),
        ("%2541", "%41"),
        ("50%", "50%"),
        ("%zz", "%zz"),
        ("", ""),
    ] {
        assert_eq!(greeting(written), Ok(Some(read.to_owned())), "{written}");
    }
    let overlong = greeting("%C0%A0").expect_err("an overlong encoding of a blank");
    assert!(
        matches!(&overlong, ParseCloudEventError::Value { attribute, .. } if attribute == "greeting"),
        "{overlong}"
    );
    assert!(greeting("a%0Ab").is_err(), "a control character");
}

#[test]
fn each_form_of_a_name_over_amqp_is_read() {
    for (binding, prefix) in [
        (Binding::Amqp, "cloudEvents_"),
        (Binding::Amqp, "cloudEvents:"),
        (Binding::RabbitMq, "ce-"),
        (Binding::RabbitMq, "cloudEvents:"),
    ] {
        let names =
            ["specversion", "id", "source", "type"].map(|name| format!("{prefix}{name}"));
        let headers = names
            .iter()
            .map(String::as_str)
            .zip(["1.0", "1", "/orders", "order.placed"])
            .collect::<Vec<_>>();
        let event = read(binding, &headers).expect("an event");
        assert_eq!(event.source(), "/orders");
    }
    assert_eq!(
        read(Binding::Amqp, &[("cloudevents_id", "1")]),
        Err(ParseCloudEventError::Missing { attribute: "specversion" }),
        "the names of AMQP properties have a case"
    );
}

#[test]
fn a_required_attribute_is_there_once() {
    for attribute in ["specversion", "id", "source", "type"] {
        let name = format!("ce_{attribute}");
        let least = [
            ("ce_specversion", "1.0"),
            ("ce_id", "1"),
            ("ce_source", "/orders"),
            ("ce_type", "order.placed"),
        ];
        let without =
            least.into_iter().filter(|(header, _)| *header != name).collect::<Vec<_>>();
        assert_eq!(
            read(Binding::Kafka, &without),
            Err(ParseCloudEventError::Missing { attribute })
        );
        assert!(
            matches!(with(&[(&name, "")]), Err(ParseCloudEventError::Value { .. })),
            "{attribute} is not empty"
        );
    }
    assert_eq!(
        with(&[("ce_id", "1"), ("ce_id", "1")]),
        Err(ParseCloudEventError::Twice { attribute: "id".to_owned() })
    );
    assert_eq!(
        read(Binding::Nats, &[("ce-x", "1"), ("CE-X", "1")]),
        Err(ParseCloudEventError::Twice { attribute: "x".to_owned() })
    );
}

/// The rules of section "Context Attributes", each with a value that keeps it and one
/// that breaks it.
#[test]
fn the_values_of_the_standards_attributes_are_checked() {
    for (attribute, right, wrong) in [
        ("specversion", &["1.0"][..], &["0.3", "1.0.2", "2.0"][..]),
        (
            "source",
            &[
                "https://github.com/cloudevents",
                "mailto:cncf-wg-serverless@lists.cncf.io",
                "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
                "/cloudevents/spec/pull/123",
                "1-555-123-4567",
                "#fragment",
                "//authority/path",
                "http://[::1]:8080/a;b=c?d=e/f#g",
                "a%20b",
            ],
            &[
                "a b",
                "50%",
                "%zz",
                "a\\b",
                "é",
                "1:2",
                ":",
                "a#b#c",
                "/[a]",
                "http://x/<y>",
            ],
        ),
        (
            "time",
            &["2018-04-05T17:31:00Z", "2018-04-05T17:31:00.123456789+05:30"],
            &[
                "lunchtime",
                "2018-04-05",
                "2018-04-05T18:31Z",
                "2018-04-05T18:31:00X",
                "2018-04-05T18:31:00",
                "2018-04-05T18:31:00+25:00",
                "2018-04-05T18:31:00+xx:00",
                "2018-04-05T18:31:00+05",
                "",
            ],
        ),
        (
            "subject",
            &["mynewfile.jpg", "größe 5"],
            &["", "a\nb", "\u{7f}", "\u{85}", "\u{fffe}", "\u{fdd0}", "\u{1ffff}"],
        ),
        (
            "dataschema",
            &["https://x.org/schema", "urn:x:y"],
            &["", "/schema", "schema", "https://x.org/a b"],
        ),
        ("correlationid", &["a b"], &[""]),
        ("partitionkey", &["a b"], &[""]),
        ("anyother", &["", "ä b"], &["\0", "\t"]),
    ] {
        for value in right {
            let event = with(&[(&format!("ce_{attribute}"), value)]);
            let event =
                event.unwrap_or_else(|error| panic!("{attribute}={value:?}: {error}"));
            assert_eq!(event.attribute(attribute), Some(*value));
        }
        for value in wrong {
            let error = with(&[(&format!("ce_{attribute}"), value)]).expect_err(value);
            assert!(
                matches!(&error, ParseCloudEventError::Value { attribute: at, .. } if at == attribute),
                "{error}"
            );
        }
    }
    for (content_type, is_right) in [
        ("application/json", true),
        ("TEXT/Plain; CharSet=utf-8", true),
        ("application/vnd.apache.thrift.binary", true),
        ("xyz", false),
        ("", false),
        ("a/b/c", false),
        ("/json", false),
    ] {
        assert_eq!(
            with(&[("content-type", content_type)]).is_ok(),
            is_right,
            "{content_type}"
        );
    }
}

#[test]
fn an_attribute_is_called_by_lower_case_letters_and_digits() {
    for name in ["MyExtension", "my.extension", "my_extension", "data", "", "é"] {
        let error = with(&[(&format!("ce_{name}"), "bad")]).expect_err(name);
        assert_eq!(error, ParseCloudEventError::Name { found: name.to_owned() });
    }
    assert!(with(&[("ce_7up", "good"), ("other", "ignored")]).is_ok());
}

#[test]
fn a_value_that_is_no_secret_is_shown_and_an_extension_is_not() {
    let error = with(&[("ce_time", "lunchtime")]).expect_err("no time");
    assert_eq!(
        error.to_string(),
        "the attribute time of a CloudEvent is a time as in RFC 3339, and found \"lunchtime\""
    );
    let error = with(&[("ce_token", "s3cr3t\n")]).expect_err("a line break");
    assert!(!error.to_string().contains("s3cr3t"), "{error}");
}

/// Section 3 of each binding: how the modes are told apart.
#[test]
fn a_message_in_structured_mode_is_told_apart() {
    for binding in BINDINGS {
        for content_type in [
            "application/cloudevents+json",
            "Application/CloudEvents-batch+json; charset=utf-8",
        ] {
            let error =
                read(binding, &[("Content-Type", content_type)]).expect_err("structured");
            assert_eq!(
                error,
                ParseCloudEventError::Structured {
                    content_type: content_type.to_owned()
                }
            );
        }
    }
}

#[test]
fn what_an_envelope_cannot_carry_is_given_back() {
    let refused = |further: &[(&str, &str)]| {
        let event = with(further).expect("a CloudEvent");
        let (back, cause) =
            event.clone().into_envelope().expect_err("no event").into_parts();
        assert_eq!(back, event, "the event comes back");
        cause
    };
    let late = refused(&[("ce_time", "9999-12-31T23:59:59-01:00")]);
    assert_eq!(
        late,
        FromCloudEventError::Build(BuildError::YearOutOfRange { found: 10_000 })
    );
    let id = refused(&[("ce_id", "%FF"), ("ce_pctencoded", "id")]);
    assert!(matches!(id, FromCloudEventError::Attribute { name: "id", .. }), "{id}");
    let tags = refused(&[("ce_othertags", "no pair")]);
    assert!(
        matches!(tags, FromCloudEventError::Attribute { name: "othertags", .. }),
        "{tags}"
    );
}

#[test]
fn no_content_type_is_not_the_same_as_the_one_that_the_data_look_like() {
    let content_type = |event: &CloudEvent| event.content_type().map(str::to_owned);
    for (stated, tag) in [
        (Some("application/json"), None),
        (Some("text/plain"), Some("text/plain")),
        (None, Some("")),
    ] {
        let headers = stated.map(|stated| ("content-type", stated));
        let event = with(headers.as_slice()).expect("an event");
        let envelope = event.into_envelope().expect("an event");
        assert_eq!(envelope.tags().get("datacontenttype").map(String::as_str), tag);
        assert_eq!(
            content_type(&CloudEvent::of(&envelope)).as_deref(),
            stated,
            "it goes out as it came in"
        );
    }
    let of = |bytes: &[u8]| {
        let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", bytes))
            .build()
            .expect("well formed");
        content_type(&CloudEvent::of(&event))
    };
    assert_eq!(of(b" [1]\n").as_deref(), Some("application/json"));
    assert_eq!((of(b"<a/>"), of(b""), of(b"\"\xff\"")), (None, None, None));
}

#[cfg(feature = "serde")]
mod json {
    use super::*;

    fn samples() -> impl Iterator<Item = (String, String)> {
        include_str!("data/cloudevents.jsonl").lines().map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let (_, event) = line.split_once("\"event\":").expect("an event");
            (
                row["from"].as_str().expect("a name").to_owned(),
                event.strip_suffix('}').expect("an object").to_owned(),
            )
        })
    }

    /// Protects what other people publish: it comes in, its extensions with it, and goes
    /// out the same.
    #[test]
    fn the_published_samples_come_in_and_go_out_the_same() {
        let mut counts = (0, 0);
        for (name, json) in samples() {
            let stated: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&json).expect("an object");
            let is_wrong = stated["specversion"] != "1.0"
                || name.contains("fail_")
                || name.contains("upper_case")
                || name.contains("invalid")
                || json.contains("... base64 encoded string ...")
                || stated.get("subject").is_some_and(|subject| subject == "");
            let event = match CloudEvent::from_json(json.as_bytes()) {
                Ok(event) if !is_wrong => event,
                Err(_) if is_wrong => {
                    counts.1 += 1;
                    continue;
                }
                other => panic!("{name}: {other:?}"),
            };
            let out = CloudEvent::of(
                &event.clone().into_envelope_at(moment()).expect("an event"),
            );
            assert_eq!(out.data(), event.data(), "{name}");
            for (key, value) in event.attributes() {
                match key {
                    "time" => assert_eq!(out.time(), event.time(), "{name}"),
                    _ => assert_eq!(out.attribute(key), Some(value), "{name}"),
                }
            }
            let added = out
                .attributes()
                .filter(|(key, _)| event.attribute(key).is_none())
                .map(|(key, _)| key);
            let added = added.collect::<Vec<_>>();
            assert!(added.is_empty() || added == ["time"], "{name}: {added:?}");
            for binding in BINDINGS {
                assert_eq!(
                    received(binding, &sent(&event, binding), event.data()).as_ref(),
                    Ok(&event),
                    "{name}"
                );
            }
            assert_eq!(
                CloudEvent::from_json(event.to_json().as_bytes()).as_ref(),
                Ok(&event),
                "{name}"
            );
            counts.0 += 1;
        }
        assert!(counts.0 > 35 && counts.1 > 5, "{counts:?}");
    }

    fn event(members: &str) -> Result<CloudEvent, ParseCloudEventError> {
        let json = format!(
            r#"{{"specversion":"1.0","id":"1","source":"/orders","type":"order.placed"{members}}}"#
        );
        CloudEvent::from_json(json.as_bytes())
    }

    /// The JSON format, section 2.2.
    #[test]
    fn attributes_of_every_type_are_kept_as_text() {
        let members = r#","anumber":-10,"atruth":true,"atext":"t","abinary":"TWE=","anothing":null,"subject":null"#;
        let event = event(members).expect("an event");
        let values = ["anumber", "atruth", "atext", "abinary", "anothing", "subject"]
            .map(|name| event.attribute(name));
        assert_eq!(
            values,
            [Some("-10"), Some("true"), Some("t"), Some("TWE="), None, None]
        );
    }

    /// Protects text in other encodings: its bytes are not ours to read as UTF-8.
    #[test]
    fn text_in_another_charset_stands_in_base64() {
        let members = |data: &str| {
            format!(r#","datacontenttype":"text/plain; charset=ISO-8859-1",{data}"#)
        };
        let latin = event(&members(r#""data_base64":"4Q==""#)).expect("an event");
        assert_eq!(latin.data(), b"\xe1");
        let ascii = event(&members(r#""data":"a""#)).expect("the same in every charset");
        assert!(
            ascii.to_json().contains(r#""data_base64":"YQ==""#),
            "{}",
            ascii.to_json()
        );
        let error =
            event(&members(r#""data":"á""#)).expect_err("not told in that charset");
        assert!(error.to_string().contains("charset"), "{error}");
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for (json, named) in [
            (r#"{"specversion":"1.0","id":25,"source":"/","type":"t"}"#, "id"),
            (r#"{"specversion":"1.0","id":{"x":"y"},"source":"/","type":"t"}"#, "id"),
            (r#"{"specversion":"0.9","id":"1","source":"/","type":"t"}"#, "specversion"),
            (
                r#"{"specversion":"1.0","id":"1","source":"/","type":"t","type":"t"}"#,
                "type",
            ),
            (r#"{"specversion":"1.0","id":"1","source":"/","type":"t","x":1.5}"#, "x"),
            (
                r#"{"specversion":"1.0","id":"1","source":"/","type":"t","x":2147483648}"#,
                "x",
            ),
            (r#"{"specversion":"1.0","id":"1","source":"/","type":"t","x":[]}"#, "x"),
            (
                r#"{"specversion":"1.0","id":"1","source":"/","type":"t","my.extension":"bad"}"#,
                "my.extension",
            ),
            (
                r#"{"specversion":"1.0","id":"1","source":"/","type":"t","data":1,"data_base64":"e30="}"#,
                "data_base64",
            ),
            (
                r#"{"specversion":"1.0","id":"1","source":"/","type":"t","data":1,"data":2}"#,
                "data",
            ),
            (
                r#"{"specversion":"1.0","id":"1","source":"/","type":"t","data_base64":"e30"}"#,
                "data_base64",
            ),
            (
                r#"{"specversion":"1.0","id":"1","source":"/","type":"t","datacontenttype":"text/plain","data":1}"#,
                "data",
            ),
            ("[]", "not an object"),
            ("{", "EOF"),
        ] {
            let error =
                CloudEvent::from_json(json.as_bytes()).expect_err(json).to_string();
            assert!(error.contains(named), "{json}: {error}");
        }
    }

    /// The JSON format, sections 3.1.1 and 3.1.2.
    #[test]
    fn data_stand_in_json_by_their_content_type() {
        for (members, content_type, data) in [
            (
                r#","data":"I'm just a string""#,
                Some("application/json"),
                &br#""I'm just a string""#[..],
            ),
            (r#","data":null"#, Some("application/json"), b"null"),
            (
                r#","data": { "a" : 1.50 } "#,
                Some("application/json"),
                br#"{ "a" : 1.50 }"#,
            ),
            (
                r#","datacontenttype":"application/x+json; a=b","data":[1]"#,
                Some("application/x+json; a=b"),
                b"[1]",
            ),
            (
                r#","datacontenttype":"application/xml","data":"<a b=\"c\"/>""#,
                Some("application/xml"),
                b"<a b=\"c\"/>",
            ),
            (r#","datacontenttype":"Text/Plain","data":"{}""#, Some("Text/Plain"), b"{}"),
            (r#","data_base64":"eyAieHl6IjogMTIzIH0=""#, None, b"{ \"xyz\": 123 }"),
            (
                r#","datacontenttype":"image/png","data_base64":"AP8=""#,
                Some("image/png"),
                b"\0\xff",
            ),
            ("", None, b""),
        ] {
            let event =
                event(members).unwrap_or_else(|error| panic!("{members}: {error}"));
            assert_eq!(
                (event.content_type(), event.data()),
                (content_type, data),
                "{members}"
            );
            let json = event.to_json();
            assert_eq!(CloudEvent::from_json(json.as_bytes()), Ok(event), "{json}");
            assert_eq!(
                json.contains("data_base64"),
                members.contains("data_base64"),
                "{json}"
            );
        }
    }

    /// The conformance suite's scenario for HTTP and Kafka, in both modes: the same
    /// event.
    #[test]
    fn both_modes_of_one_event_are_the_same_event() {
        let json = br#"{"specversion": "1.0", "type": "com.example.someevent", "time": "2018-04-05T03:56:24Z",
            "id": "1234-1234-1234", "source": "/mycontext/subcontext", "datacontenttype": "application/json",
            "data": {"message": "Hello World!"}}"#;
        let structured = CloudEvent::from_json(json).expect("an event");
        for (binding, prefix) in [(Binding::Http, "ce-"), (Binding::Kafka, "ce_")] {
            let attributes = [
                ("specversion", "1.0"),
                ("type", "com.example.someevent"),
                ("time", "2018-04-05T03:56:24Z"),
                ("id", "1234-1234-1234"),
                ("source", "/mycontext/subcontext"),
            ];
            let mut headers = attributes
                .map(|(name, value)| (format!("{prefix}{name}"), value.to_owned()))
                .to_vec();
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
            let binary = received(binding, &headers, br#"{"message": "Hello World!"}"#);
            assert_eq!(binary.as_ref(), Ok(&structured));
        }
    }
}
