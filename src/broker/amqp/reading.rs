//! A message of AMQP as an event, or as what stands for one that cannot be read.

use chrono::{DateTime, SecondsFormat, Utc};
use lapin::types::AMQPValue;

use super::identity::position;
use crate::Envelope;
use crate::broker::MessageOrigin;
use crate::broker::message::{Value, read as read_headers};
use crate::cloudevents::Binding;
use crate::state::Pending;

pub(super) fn read(message: lapin::message::Delivery, queue: &str) -> Envelope<Pending> {
    let (exchange, key) = (message.exchange.as_str(), message.routing_key.as_str());
    let position = position(exchange, key, &message.properties, &message.data);
    let place = if key.is_empty() { queue } else { key };
    let at = message.properties.timestamp().as_ref().and_then(|seconds| moment(*seconds));
    let found =
        MessageOrigin { place, position: &position, at: at.unwrap_or_else(Utc::now) };

    let mut headers = Vec::new();
    if let Some(content_type) = message.properties.content_type() {
        headers.push(("content-type".to_owned(), Value::Text(content_type.to_string())));
    }
    for (name, value) in
        message.properties.headers().iter().flat_map(|table| table.inner())
    {
        if let Some(value) = value_of(value) {
            headers.push((name.to_string(), value));
        }
    }
    read_headers(Binding::RabbitMq, headers, message.data, &found)
}

/// A time in seconds, as the protocol has it, or in milliseconds, as many programs write
/// it.
fn moment(time: u64) -> Option<DateTime<Utc>> {
    /// The last second of the year 9999.
    const LAST: i64 = 253_402_300_799;
    let time = i64::try_from(time).ok()?;
    if time <= LAST {
        DateTime::from_timestamp(time, 0)
    } else {
        DateTime::from_timestamp_millis(time)
    }
}

/// The value of a header; nothing where it is null.
fn value_of(value: &AMQPValue) -> Option<Value> {
    Some(match value {
        AMQPValue::Void => return None,
        AMQPValue::LongString(text) => Value::of_bytes(text.as_bytes()),
        AMQPValue::ByteArray(bytes) => Value::of_bytes(bytes.as_slice()),
        AMQPValue::ShortString(text) => Value::Text(text.to_string()),
        AMQPValue::Boolean(value) => Value::Text(value.to_string()),
        AMQPValue::ShortShortInt(value) => Value::Text(value.to_string()),
        AMQPValue::ShortShortUInt(value) => Value::Text(value.to_string()),
        AMQPValue::ShortInt(value) => Value::Text(value.to_string()),
        AMQPValue::ShortUInt(value) => Value::Text(value.to_string()),
        AMQPValue::LongInt(value) => Value::Text(value.to_string()),
        AMQPValue::LongUInt(value) => Value::Text(value.to_string()),
        AMQPValue::LongLongInt(value) => Value::Text(value.to_string()),
        AMQPValue::Float(value) => Value::Text(value.to_string()),
        AMQPValue::Double(value) => Value::Text(value.to_string()),
        AMQPValue::Timestamp(time) => match moment(*time) {
            Some(moment) => {
                Value::Text(moment.to_rfc3339_opts(SecondsFormat::AutoSi, true))
            }
            None => Value::Other(time.to_string()),
        },
        AMQPValue::DecimalValue(_)
        | AMQPValue::FieldArray(_)
        | AMQPValue::FieldTable(_) => Value::Other(shown(value)),
    })
}

/// A value as people read it.
fn shown(value: &AMQPValue) -> String {
    let all = |values: Vec<String>| values.join(", ");
    match value {
        AMQPValue::FieldArray(values) => {
            format!("[{}]", all(values.as_slice().iter().map(shown).collect()))
        }
        AMQPValue::FieldTable(table) => {
            let each = table
                .inner()
                .iter()
                .map(|(name, value)| format!("{name}: {}", shown(value)));
            format!("{{{}}}", all(each.collect()))
        }
        AMQPValue::DecimalValue(decimal) => {
            format!("{}e-{}", decimal.value, decimal.scale)
        }
        _ => match value_of(value) {
            Some(Value::Text(text) | Value::Other(text)) => text,
            None => "null".to_owned(),
        },
    }
}
