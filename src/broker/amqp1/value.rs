//! Values of AMQP 1.0 as the text that the standard's bindings write, or as people read
//! them.

use chrono::{DateTime, SecondsFormat, Utc};
use fe2o3_amqp::types::messaging::MessageId;
use fe2o3_amqp::types::primitives::{SimpleValue, Timestamp};
use uuid::Uuid;

use crate::broker::message::Value;

/// The value of an application property; nothing where it is null.
pub(super) fn value_of(value: &SimpleValue) -> Option<Value> {
    Some(match value {
        SimpleValue::Null => return None,
        SimpleValue::Bool(value) => Value::Text(value.to_string()),
        SimpleValue::Ubyte(value) => Value::Text(value.to_string()),
        SimpleValue::Ushort(value) => Value::Text(value.to_string()),
        SimpleValue::Uint(value) => Value::Text(value.to_string()),
        SimpleValue::Ulong(value) => Value::Text(value.to_string()),
        SimpleValue::Byte(value) => Value::Text(value.to_string()),
        SimpleValue::Short(value) => Value::Text(value.to_string()),
        SimpleValue::Int(value) => Value::Text(value.to_string()),
        SimpleValue::Long(value) => Value::Text(value.to_string()),
        SimpleValue::Float(value) => Value::Text(value.to_string()),
        SimpleValue::Double(value) => Value::Text(value.to_string()),
        SimpleValue::Char(value) => Value::Text(value.to_string()),
        SimpleValue::Timestamp(value) => match moment(value) {
            Some(moment) => {
                Value::Text(moment.to_rfc3339_opts(SecondsFormat::AutoSi, true))
            }
            None => Value::Other(value.milliseconds().to_string()),
        },
        SimpleValue::Uuid(value) => {
            Value::Text(Uuid::from_bytes(value.clone().into()).to_string())
        }
        SimpleValue::Binary(value) => Value::of_bytes(value),
        SimpleValue::String(value) => Value::Text(value.clone()),
        SimpleValue::Symbol(value) => Value::Text(value.0.clone()),
        // The standard has no text for them: their bytes, as the protocol encodes them.
        SimpleValue::Decimal32(_)
        | SimpleValue::Decimal64(_)
        | SimpleValue::Decimal128(_)
        | SimpleValue::Described(_) => Value::Other(hex(value)),
    })
}

fn hex(value: &SimpleValue) -> String {
    let encoded = serde_amqp::to_vec(value).unwrap_or_default();
    encoded.iter().fold("0x".to_owned(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// When the text of a time can be written: from the year 0000 on, up to 9999.
pub(super) fn moment(time: &Timestamp) -> Option<DateTime<Utc>> {
    use chrono::Datelike;
    let moment = DateTime::from_timestamp_millis(time.milliseconds())?;
    (0..=9999).contains(&moment.year()).then_some(moment)
}

/// An id of a message, in whichever of its kinds.
pub(super) fn id(id: &MessageId) -> String {
    match id {
        MessageId::Ulong(id) => id.to_string(),
        MessageId::Uuid(id) => Uuid::from_bytes(id.clone().into()).to_string(),
        MessageId::Binary(id) => String::from_utf8_lossy(id).into_owned(),
        MessageId::String(id) => id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_the_standard_has_them_and_never_as_rust_shows_them() {
        for (value, text) in [
            (SimpleValue::Bool(true), "true"),
            (SimpleValue::Int(-7), "-7"),
            (SimpleValue::Ulong(u64::MAX), "18446744073709551615"),
            (SimpleValue::Double(1.5.into()), "1.5"),
            (SimpleValue::Char('ü'), "ü"),
            (
                SimpleValue::Timestamp(1_767_600_000_500.into()),
                "2026-01-05T08:00:00.500Z",
            ),
            (
                SimpleValue::Uuid(uuid::Uuid::nil().into_bytes().into()),
                "00000000-0000-0000-0000-000000000000",
            ),
            (SimpleValue::Binary(b"eu".to_vec().into()), "eu"),
            (SimpleValue::Symbol("eu".into()), "eu"),
            (SimpleValue::String("\"eu\"".to_owned()), "\"eu\""),
        ] {
            assert_eq!(value_of(&value), Some(Value::Text(text.to_owned())), "{value:?}");
        }
        assert_eq!(value_of(&SimpleValue::Null), None);
        let no_text = value_of(&SimpleValue::Binary(vec![0xff].into()));
        assert!(matches!(no_text, Some(Value::Other(_))), "{no_text:?}");
        let out_of_range = value_of(&SimpleValue::Timestamp(i64::MAX.into()));
        assert_eq!(out_of_range, Some(Value::Other(i64::MAX.to_string())));
    }
}
