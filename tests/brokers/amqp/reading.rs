//! Whatever a message says, an event or a dead letter of its own comes of it.

use std::collections::BTreeSet;
use std::time::Duration;

use integration_automation_patterns::Event;
use integration_automation_patterns::broker::Consumer;
use integration_automation_patterns::inbox::{InboxConfig, sqlite as inbox};
use integration_automation_patterns::outbox::Filter;
use integration_automation_patterns::retry::RetryPolicy;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, ByteArray, DecimalValue, FieldArray, FieldTable};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::RabbitMq;
use super::raw::{self, long, short};
use crate::suite::{Server, in_time};

struct OrderPlaced;

impl Event for OrderPlaced {
    const TYPE: &'static str = "order.placed";
}

fn value() -> impl Strategy<Value = AMQPValue> {
    let leaf = prop_oneof![
        ".{0,20}".prop_map(|text| AMQPValue::LongString(text.into())),
        prop::collection::vec(any::<u8>(), 0..20)
            .prop_map(|bytes| AMQPValue::LongString(bytes.into())),
        prop::collection::vec(any::<u8>(), 0..20)
            .prop_map(|bytes| AMQPValue::ByteArray(ByteArray::from(bytes))),
        Just(AMQPValue::Void),
        any::<bool>().prop_map(AMQPValue::Boolean),
        any::<i8>().prop_map(AMQPValue::ShortShortInt),
        any::<i16>().prop_map(AMQPValue::ShortInt),
        any::<i32>().prop_map(AMQPValue::LongInt),
        any::<i64>().prop_map(AMQPValue::LongLongInt),
        any::<f64>().prop_map(AMQPValue::Double),
        any::<f32>().prop_map(AMQPValue::Float),
        any::<u64>().prop_map(AMQPValue::Timestamp),
        (any::<u8>(), any::<u32>()).prop_map(|(scale, value)| AMQPValue::DecimalValue(
            DecimalValue { scale, value }
        )),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|values| AMQPValue::FieldArray(FieldArray::from(values))),
            prop::collection::btree_map("[a-z]{1,5}", inner, 0..4).prop_map(|table| {
                let table = table.into_iter().map(|(name, value)| (name.into(), value));
                AMQPValue::FieldTable(FieldTable::from(
                    table.collect::<std::collections::BTreeMap<_, _>>(),
                ))
            }),
        ]
    })
}

/// Some of them readable, if for one header or another.
fn message() -> impl Strategy<Value = (BasicProperties, Vec<u8>)> {
    const NAMES: [&str; 9] = [
        "ce-specversion",
        "ce-id",
        "ce-source",
        "ce-type",
        "ce-time",
        "ce-subject",
        "ce-traceparent",
        "cloudEvents:id",
        "x-other",
    ];
    let header = (
        prop_oneof![4 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned), 1 => ".{0,20}"],
        value(),
    );
    let short = || prop::option::of(".{0,20}");
    let seconds = prop::option::of(prop_oneof![
        any::<u64>(),
        0..u64::from(u32::MAX),
        Just(1_767_600_000_000)
    ]);
    let headers = prop::collection::vec(header, 0..4);
    let body = prop_oneof![
        Just(Vec::new()),
        Just(b"{}".to_vec()),
        prop::collection::vec(any::<u8>(), 0..40)
    ];
    (any::<bool>(), headers, short(), short(), seconds, body).prop_map(
        |(event, headers, id, kind, seconds, body)| {
            let mut table = FieldTable::default();
            if event {
                for (name, value) in [
                    ("specversion", "1.0"),
                    ("id", "1"),
                    ("source", "shop"),
                    ("type", "order.placed"),
                ] {
                    table.insert(
                        format!("ce-{name}").into(),
                        AMQPValue::LongString(value.into()),
                    );
                }
            }
            for (name, value) in headers {
                table.insert(name.into(), value);
            }
            let mut properties = BasicProperties::default().with_headers(table);
            if let Some(id) = id {
                properties = properties.with_message_id(id.into());
            }
            if let Some(kind) = kind {
                properties = properties.with_content_type(kind.into());
            }
            if let Some(seconds) = seconds {
                properties = properties.with_timestamp(seconds);
            }
            (properties, body)
        },
    )
}

/// Takes so many deliveries into an inbox, and answers each.
async fn take_in(server: &RabbitMq, count: usize) -> rusqlite::Connection {
    let mut erp = rusqlite::Connection::open_in_memory().unwrap();
    inbox::install(&mut erp).unwrap();
    let inbox_config =
        InboxConfig::new(Duration::from_secs(24 * 60 * 60), RetryPolicy::DEFAULT)
            .unwrap()
            .accept::<OrderPlaced>();
    let mut listener = server.consumer().await.prefetch(10).unwrap();
    for _ in 0..count {
        let delivery = listener.next().await.unwrap().unwrap();
        inbox::process(&mut erp, delivery, &inbox_config, |_, _| Ok(()))
            .unwrap()
            .settle()
            .await
            .unwrap();
    }
    erp
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn whatever_messages_say_each_is_an_event_or_a_dead_letter_and_none_stops_the_queue()
 {
    in_time(async {
        let server = RabbitMq::fresh().await;
        let (mut runner, mut bodies) = (TestRunner::default(), BTreeSet::new());
        for number in 0..500 {
            let (properties, mut body) =
                message().new_tree(&mut runner).unwrap().current();
            // So that it is known which of them came.
            body.extend(format!(" {number}").bytes());
            server.publish(properties, &body).await;
            bodies.insert(body);
        }
        let erp = take_in(&server, 500).await;
        let dead = inbox::dead_letters(&erp, &Filter::default(), 1000).unwrap();
        let mut found: BTreeSet<_> =
            dead.iter().map(|dead| dead.event.payload().bytes().to_vec()).collect();
        assert_eq!(found.len(), dead.len(), "each is a dead letter of its own");
        for dead in dead.iter().filter(|dead| dead.event.event_type() == "unreadable") {
            assert!(
                dead.event.tags().contains_key("unreadable"),
                "it says why: {:?}",
                dead.event
            );
        }
        // What had its effect is not kept; of one id, the first had it.
        bodies.retain(|body| !found.remove(body));
        assert!(found.is_empty(), "a dead letter that nobody sent: {found:?}");
        assert!(
            bodies.len() < 250,
            "readable, or seen before by its id: {} of 500",
            bodies.len()
        );
        assert_eq!(server.ids(0).await.len(), 0, "nothing is left in the queue");
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn messages_that_cannot_be_read_are_one_only_where_they_are_the_same() {
    in_time(async {
        let server = RabbitMq::fresh().await;
        let with = |name: &str, value: AMQPValue| {
            let mut table = FieldTable::default();
            table.insert(name.into(), value);
            BasicProperties::default().with_headers(table)
        };
        let text = |text: &str| AMQPValue::LongString(text.into());
        let different = [
            BasicProperties::default(),
            with("ce-id", text("1")),
            with("ce-id", text("2")),
            with("ce-id", AMQPValue::LongInt(1)),
            with("ce-subject", text("1")),
            with("x-table", AMQPValue::FieldTable(FieldTable::default())),
            BasicProperties::default().with_message_id("1".into()),
            BasicProperties::default().with_reply_to("1".into()),
            BasicProperties::default().with_app_id("1".into()),
            BasicProperties::default().with_correlation_id("1".into()),
            BasicProperties::default().with_priority(1),
            BasicProperties::default().with_timestamp(1_767_600_000),
            BasicProperties::default().with_timestamp(1_767_600_000_000),
        ];
        for properties in &different {
            server.publish(properties.clone(), b"").await;
            server.publish(properties.clone(), b"").await;
        }
        let erp = take_in(&server, 2 * different.len()).await;
        let dead = inbox::dead_letters(&erp, &Filter::default(), 100).unwrap();
        assert_eq!(dead.len(), different.len());
        let kept = dead
            .iter()
            .filter_map(|dead| dead.event.tags().get("header.ce-id"))
            .collect::<BTreeSet<_>>();
        assert_eq!(kept.into_iter().collect::<Vec<_>>(), ["1", "2"]);
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_header_that_is_null_is_absent_and_bytes_are_a_text_and_milliseconds_a_time() {
    in_time(async {
        let server = RabbitMq::fresh().await;
        let mut table = FieldTable::default();
        for (name, value) in [
            ("specversion", "1.0"),
            ("id", "1"),
            ("source", "shop"),
            ("type", "order.placed"),
        ] {
            let bytes = ByteArray::from(value.as_bytes().to_vec());
            table.insert(format!("ce-{name}").into(), AMQPValue::ByteArray(bytes));
        }
        for name in ["subject", "traceparent", "dataschema", "other"] {
            table.insert(format!("ce-{name}").into(), AMQPValue::Void);
        }
        let milliseconds = BasicProperties::default()
            .with_headers(table)
            .with_timestamp(1_767_600_000_500);
        let milliseconds = milliseconds.with_content_type("application/json".into());
        server.publish(milliseconds, b"{}").await;
        let mut listener = server.consumer().await;
        let delivery = listener.next().await.unwrap().unwrap();
        let found = delivery.facts();
        assert_eq!((found.event_type(), found.source_system()), ("order.placed", "shop"));
        assert_eq!(found.created_at().to_rfc3339(), "2026-01-05T08:00:00.500+00:00");
        assert!(found.tags().is_empty(), "{:?}", found.tags());
        drop((delivery, listener));
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn properties_in_another_encoding_or_nested_without_end_stop_no_queue() {
    in_time(async {
        const HEADERS: u16 = 1 << 13;
        const MESSAGE_ID: u16 = 1 << 7;
        let server = RabbitMq::fresh().await;
        let table = long(&[&short(b"Gr\xf6\xdfe")[..], b"S", &long(b"gro\xdf")].concat());
        let attributes = [
            ("specversion", "1.0"),
            ("source", "shop"),
            ("type", "order.placed"),
            ("i\u{e4}", "1"),
        ];
        let attributes = attributes.map(|(name, value)| {
            let name: Vec<u8> = format!("ce-{name}")
                .chars()
                .map(|letter| u8::try_from(letter).unwrap())
                .collect();
            [&short(&name)[..], b"S", &long(value.as_bytes())].concat()
        });
        let attributes = attributes.concat();
        for (flags, properties) in [
            (MESSAGE_ID, short(b"caf\xe9")),
            (MESSAGE_ID, short(b"caf\xe8")),
            (MESSAGE_ID, short(b"cafi")),
            (HEADERS, table.clone()),
            (HEADERS | MESSAGE_ID, [table, short(b"\xff\xfe")].concat()),
            // With a name of an attribute but for one bit, so that it is no event.
            (HEADERS, long(&attributes)),
        ] {
            raw::publish(server.address(), &server.name, flags, &properties, b"hello")
                .await;
        }
        let nested =
            (0..20_000).fold(Vec::new(), |inner, _| [&b"A"[..], &long(&inner)].concat());
        raw::publish(
            server.address(),
            &server.name,
            HEADERS,
            &long(&[&short(b"k")[..], &nested].concat()),
            b"deep",
        )
        .await;
        server.publish(BasicProperties::default(), b"after them").await;
        let erp = take_in(&server, 8).await;
        let dead = inbox::dead_letters(&erp, &Filter::default(), 10).unwrap();
        assert_eq!(dead.len(), 8, "each for itself");
        server.remove().await;
    })
    .await;
}
