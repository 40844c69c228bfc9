//! What tells a message from every other one, where it says nothing readable about
//! itself: all that its senders said.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, ShortString};

use crate::broker::message::position_of_content;

/// The headers by which the server counts the deliveries of a message and tells its way
/// through queues. They change while the message stays the same.
const OF_THE_SERVER: [&str; 5] = [
    "x-delivery-count",
    "x-acquired-count",
    "x-death",
    "x-first-death-",
    "x-last-death-",
];

pub(super) fn is_of_the_server(header: &str) -> bool {
    OF_THE_SERVER.iter().any(|of_the_server| header.starts_with(of_the_server))
}

/// A queue numbers no message. Two messages are one to an inbox only where everything
/// that their senders said is the same.
pub(super) fn position(
    exchange: &str,
    routing_key: &str,
    properties: &BasicProperties,
    body: &[u8],
) -> String {
    position_of_content([
        exchange.as_bytes(),
        routing_key.as_bytes(),
        &written(properties),
        body,
    ])
}

/// The properties in the protocol's order, written out here, so that no version of a
/// library changes what a message is.
fn written(properties: &BasicProperties) -> Vec<u8> {
    let mut out = Vec::new();
    let text = |text: &Option<ShortString>| {
        text.as_ref().map(|text| text.as_str().as_bytes().to_vec())
    };
    let byte = |byte: &Option<u8>| byte.map(|byte| vec![byte]);
    for (name, said) in [
        (b'c', text(properties.content_type())),
        (b'e', text(properties.content_encoding())),
        (b'd', byte(properties.delivery_mode())),
        (b'p', byte(properties.priority())),
        (b'n', text(properties.correlation_id())),
        (b'r', text(properties.reply_to())),
        (b'x', text(properties.expiration())),
        (b'i', text(properties.message_id())),
        (b't', properties.timestamp().map(|time| time.to_be_bytes().to_vec())),
        (b'k', text(properties.kind())),
        (b'u', text(properties.user_id())),
        (b'a', text(properties.app_id())),
        (b'g', text(properties.cluster_id())),
    ] {
        if let Some(said) = said {
            part(&mut out, name, &said);
        }
    }
    for (name, value) in properties.headers().iter().flat_map(|table| table.inner()) {
        if !is_of_the_server(name.as_str()) {
            part(&mut out, b'h', name.as_str().as_bytes());
            write_value(&mut out, value);
        }
    }
    out
}

/// With its length, so that no two messages are written alike.
fn part(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    out.extend(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Under the letters that the protocol has for the kinds of values.
fn write_value(out: &mut Vec<u8>, value: &AMQPValue) {
    match value {
        AMQPValue::Void => part(out, b'V', &[]),
        AMQPValue::Boolean(value) => part(out, b't', &[u8::from(*value)]),
        AMQPValue::ShortShortInt(value) => part(out, b'b', &value.to_be_bytes()),
        AMQPValue::ShortShortUInt(value) => part(out, b'B', &value.to_be_bytes()),
        AMQPValue::ShortInt(value) => part(out, b's', &value.to_be_bytes()),
        AMQPValue::ShortUInt(value) => part(out, b'u', &value.to_be_bytes()),
        AMQPValue::LongInt(value) => part(out, b'I', &value.to_be_bytes()),
        AMQPValue::LongUInt(value) => part(out, b'i', &value.to_be_bytes()),
        AMQPValue::LongLongInt(value) => part(out, b'l', &value.to_be_bytes()),
        AMQPValue::Float(value) => part(out, b'f', &value.to_be_bytes()),
        AMQPValue::Double(value) => part(out, b'd', &value.to_be_bytes()),
        AMQPValue::Timestamp(value) => part(out, b'T', &value.to_be_bytes()),
        AMQPValue::DecimalValue(value) => {
            let [a, b, c, d] = value.value.to_be_bytes();
            part(out, b'D', &[value.scale, a, b, c, d]);
        }
        // Of which no server of ours knows the kind.
        AMQPValue::ShortString(text) => part(out, b'?', text.as_str().as_bytes()),
        AMQPValue::LongString(text) => part(out, b'S', text.as_bytes()),
        AMQPValue::ByteArray(bytes) => part(out, b'x', bytes.as_slice()),
        AMQPValue::FieldArray(values) => {
            let mut inner = Vec::new();
            values.as_slice().iter().for_each(|value| write_value(&mut inner, value));
            part(out, b'A', &inner);
        }
        AMQPValue::FieldTable(table) => {
            let mut inner = Vec::new();
            for (name, value) in table.inner() {
                part(&mut inner, b'h', name.as_str().as_bytes());
                write_value(&mut inner, value);
            }
            part(out, b'F', &inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::{DecimalValue, FieldArray, FieldTable};

    use super::*;

    /// A dead letter that is stored stays the one that its message is, whatever is
    /// upgraded.
    #[test]
    fn what_a_message_is_changes_with_no_version() {
        let mut table = FieldTable::default();
        table.insert(
            "list".into(),
            AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::LongInt(-7)])),
        );
        table.insert(
            "price".into(),
            AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 1999 }),
        );
        table.insert("text".into(), AMQPValue::LongString("hello".into()));
        let properties = BasicProperties::default()
            .with_message_id("1".into())
            .with_headers(table.clone());
        let found = position("shop", "order.placed", &properties, b"{}");
        assert_eq!(found, "e2302abe-bec5-573f-9490-4f2b6a0cfdb8");
        table.insert("x-delivery-count".into(), AMQPValue::LongLongInt(1));
        table.insert("x-first-death-queue".into(), AMQPValue::LongString("erp".into()));
        assert_eq!(
            position("shop", "order.placed", &properties.with_headers(table), b"{}"),
            found
        );
    }

    #[test]
    fn no_two_messages_are_written_alike() {
        let with = |headers: &[(&str, AMQPValue)]| {
            let mut table = FieldTable::default();
            for (name, value) in headers {
                table.insert((*name).into(), value.clone());
            }
            BasicProperties::default().with_headers(table)
        };
        let text = |text: &str| AMQPValue::LongString(text.into());
        let different = [
            BasicProperties::default(),
            BasicProperties::default().with_reply_to("a".into()),
            BasicProperties::default().with_message_id("a".into()),
            with(&[("a", AMQPValue::Void)]),
            with(&[("a", text("b")), ("c", text("d"))]),
            with(&[("a", text("bhc")), ("d", AMQPValue::Void)]),
            with(&[("a", AMQPValue::ByteArray(b"1".to_vec().into()))]),
            with(&[("a", text("1"))]),
            with(&[("a", AMQPValue::LongInt(1))]),
            with(&[("a", AMQPValue::LongUInt(1))]),
            with(&[(
                "a",
                AMQPValue::FieldArray(FieldArray::from(vec![text("b"), text("c")])),
            )]),
            with(&[("a", AMQPValue::FieldArray(FieldArray::from(vec![text("bc")])))]),
        ];
        let mut positions: Vec<_> = different
            .iter()
            .map(|properties| position("", "", properties, b""))
            .collect();
        positions.sort();
        positions.dedup();
        assert_eq!(positions.len(), different.len());
    }
}
