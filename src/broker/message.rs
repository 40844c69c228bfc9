//! A broker's message as an event: what every adapter does with the headers and the body
//! that its client hands out.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Utc};
#[cfg(any(feature = "amqp", feature = "amqp1"))]
use uuid::Uuid;

use crate::cloudevents::{Binding, CloudEvent, ParseCloudEventError};
use crate::state::Pending;
use crate::{Envelope, EventId, RawEvent};

/// The type of a message that is no event that can be read: [`read_message`].
#[doc(alias = "poison message")]
pub const UNREADABLE: &str = "unreadable";

/// Where a message was found, for one that says nothing readable about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageOrigin<'a> {
    /// The queue, topic or subject.
    pub place: &'a str,
    /// What tells it from every other message of the place, and is the same each time
    /// that it is delivered.
    pub position: &'a str,
    /// When the broker took it in. Where that is out of range, the nearest moment of the
    /// years 0000 to 9999.
    pub at: DateTime<Utc>,
}

/// The event that a message in CloudEvents binary mode holds; with the feature `serde`,
/// in structured mode as JSON too.
///
/// A message that is none becomes an event of the type [`UNREADABLE`] with the place as
/// its source, the body as its payload, the reason under the tag `unreadable`, each
/// header under its name behind `header.`, and an id [derived](EventId::derived) from
/// place and position. An inbox that [names](crate::inbox::InboxConfig::accept) the events
/// it takes makes it a dead letter, and it blocks nothing. There is no message of which
/// nothing can be made: this is the last resort, and it cannot fail.
///
/// ```
/// use integration_automation_patterns::broker::{
///     MessageOrigin, UNREADABLE, read_message,
/// };
/// use integration_automation_patterns::cloudevents::Binding;
///
/// let found = MessageOrigin {
///     place: "orders",
///     position: "17",
///     at: "2026-01-05T08:00:00Z".parse()?,
/// };
/// let event =
///     read_message(Binding::Nats, [("ce-id", "1")], b"hello".to_vec(), &found);
/// assert_eq!((event.event_type(), event.source_system()), (UNREADABLE, "orders"));
/// assert_eq!(
///     event.tags()["unreadable"],
///     "a CloudEvent has the attribute specversion, and this message has none"
/// );
/// assert_eq!(event.tags()["header.ce-id"], "1");
/// assert_eq!(event.payload().bytes(), b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_message<'h>(
    binding: Binding,
    headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    body: Vec<u8>,
    found: &MessageOrigin<'_>,
) -> Envelope<Pending> {
    let headers = headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::Text(value.to_owned())));
    read(binding, headers.collect(), body, found)
}

/// The value of a header, as a client hands it out. One that is null is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A text, or what the standard writes as one: a number, a truth, a time.
    Text(String),
    /// What is none of these, as it is shown to people. Only an adapter meets it.
    #[cfg_attr(
        not(any(
            feature = "amqp",
            feature = "amqp1",
            feature = "kafka",
            feature = "nats",
            feature = "sqs"
        )),
        allow(dead_code, reason = "the adapters make it")
    )]
    Other(String),
}

impl Value {
    /// Bytes are a text where they are UTF-8.
    #[cfg(any(
        feature = "amqp",
        feature = "amqp1",
        feature = "kafka",
        feature = "nats",
        feature = "sqs"
    ))]
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        match str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Other(String::from_utf8_lossy(bytes).into_owned()),
        }
    }
}

/// The same, where the values of headers may be no texts.
pub(super) fn read(
    binding: Binding,
    headers: Vec<(String, Value)>,
    body: Vec<u8>,
    found: &MessageOrigin<'_>,
) -> Envelope<Pending> {
    let at = within_calendar(found.at);
    let (mut texts, mut no_text) = (Vec::new(), None);
    for (name, value) in &headers {
        match value {
            Value::Text(text) => texts.push((name.as_str(), text.as_str())),
            Value::Other(_) if binding.has_attribute(name) => {
                no_text = no_text.or(Some(name))
            }
            Value::Other(_) => {}
        }
    }
    if let Some(name) = no_text {
        return unreadable(
            &headers,
            body,
            format!("the header {name} is no text, number or time"),
            found,
        );
    }
    let (body, reason) = match CloudEvent::from_headers(binding, texts, body) {
        Ok(event) => match event.into_envelope_at(at) {
            Ok(event) => return event,
            Err(refused) => {
                let reason = refused.to_string();
                (refused.into_value().into_data(), reason)
            }
        },
        Err(refused) => {
            let (body, cause) = refused.into_parts();
            match structured(body, &cause, at) {
                Ok(event) => return event,
                Err((body, reason)) => (body, reason),
            }
        }
    };
    unreadable(&headers, body, reason, found)
}

/// The event of a message whose body is the whole event.
#[cfg(feature = "serde")]
fn structured(
    body: Vec<u8>,
    cause: &ParseCloudEventError,
    at: DateTime<Utc>,
) -> Result<Envelope<Pending>, (Vec<u8>, String)> {
    if !matches!(cause, ParseCloudEventError::Structured { .. }) {
        return Err((body, cause.to_string()));
    }
    let read = CloudEvent::from_json(&body).map_err(|wrong| wrong.to_string());
    let read = read.and_then(|event| {
        event.into_envelope_at(at).map_err(|refused| refused.to_string())
    });
    read.map_err(|reason| (body, reason))
}

#[cfg(not(feature = "serde"))]
fn structured(
    body: Vec<u8>,
    cause: &ParseCloudEventError,
    _at: DateTime<Utc>,
) -> Result<Envelope<Pending>, (Vec<u8>, String)> {
    Err((body, cause.to_string()))
}

/// What stands for a message that cannot be read.
pub(super) fn unreadable(
    headers: &[(String, Value)],
    body: Vec<u8>,
    reason: impl Into<String>,
    found: &MessageOrigin<'_>,
) -> Envelope<Pending> {
    let or = |text: &str, other: &str| {
        if text.is_empty() { other.to_owned() } else { text.to_owned() }
    };
    let (place, position) = (or(found.place, UNREADABLE), or(found.position, UNREADABLE));
    let id = EventId::derived(&place, &position).unwrap_or_else(|_| EventId::generate());
    let mut tags = BTreeMap::<String, String>::new();
    for (name, Value::Text(shown) | Value::Other(shown)) in headers {
        let tag = tags.entry(format!("header.{name}")).or_default();
        if !tag.is_empty() {
            tag.push_str(", ");
        }
        tag.push_str(shown);
    }
    let event = Envelope::builder(place, RawEvent::new(UNREADABLE, body)).id(id);
    let event =
        tags.into_iter().fold(event, |event, (name, value)| event.tag(name, value));
    event.tag(UNREADABLE, reason).build_whatever_it_says(within_calendar(found.at))
}

/// The nearest moment that an event can be created at.
fn within_calendar(at: DateTime<Utc>) -> DateTime<Utc> {
    /// The first second of the year 0000 and the last of the year 9999, counted from
    /// 1970.
    const FIRST: i64 = -62_167_219_200;
    const LAST: i64 = 253_402_300_799;
    let nearest = match at.year() {
        0..=9999 => return at,
        ..0 => FIRST,
        _ => LAST,
    };
    DateTime::from_timestamp(nearest, 0).unwrap_or_default()
}

/// A position for a message of a broker that gives none: the same for the same content.
#[cfg(any(feature = "amqp", feature = "amqp1"))]
pub(super) fn position_of_content<'p>(
    parts: impl IntoIterator<Item = &'p [u8]>,
) -> String {
    let mut position = EventId::NAMESPACE;
    for part in parts {
        position = Uuid::new_v5(&position, part);
    }
    position.to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::AnyEnvelope;

    const BINDINGS: [Binding; 5] =
        [Binding::Http, Binding::Nats, Binding::Kafka, Binding::Amqp, Binding::RabbitMq];

    fn header() -> impl Strategy<Value = (String, Value)> {
        const NAMES: [&str; 9] = [
            "",
            "unreadable",
            "ce-id",
            "ce_id",
            "cloudEvents:id",
            "ce-source",
            "ce-specversion",
            "ce-type",
            "ce-time",
        ];
        let name =
            prop_oneof![proptest::sample::select(&NAMES).prop_map(str::to_owned), ".*"];
        let value = prop_oneof![Just("1.0".to_owned()), ".*"];
        (name, value, any::<bool>()).prop_map(|(name, value, text)| {
            (name, if text { Value::Text(value) } else { Value::Other(value) })
        })
    }

    proptest! {
        #[test]
        fn whatever_a_message_says_it_is_an_event_and_nothing_of_it_is_lost(
            binding in proptest::sample::select(&BINDINGS),
            headers in proptest::collection::vec(header(), 0..6),
            body: Vec<u8>,
            place: String,
            position: String,
            seconds in -8_000_000_000_000_i64..8_000_000_000_000,
        ) {
            let at = DateTime::from_timestamp(seconds, 999_999_999).unwrap_or_default();
            let found = MessageOrigin { place: &place, position: &position, at };
            let event = read(binding, headers.clone(), body.clone(), &found);
            if event.event_type() == UNREADABLE && event.tags().contains_key(UNREADABLE) {
                prop_assert_eq!(event.payload().bytes(), body.as_slice());
                for (name, Value::Text(shown) | Value::Other(shown)) in &headers {
                    let kept = &event.tags()[&format!("header.{name}")];
                    prop_assert!(kept.contains(shown.as_str()), "{name} {shown:?} {kept:?}");
                }
                let again = read(binding, headers, body, &found);
                prop_assert_eq!(event.id(), again.id(), "delivered again, it is the same event");
            }
            let stored: Result<AnyEnvelope, _> = event.to_record().rehydrate();
            prop_assert!(stored.is_ok(), "{stored:?}");
        }
    }

    #[test]
    fn a_clock_out_of_its_mind_makes_the_nearest_time_of_the_calendar() {
        for (seconds, wanted) in [
            (1_767_600_000_000, "9999-12-31T23:59:59+00:00"),
            (-100_000_000_000, "0000-01-01T00:00:00+00:00"),
            (1_767_600_000, "2026-01-05T08:00:00+00:00"),
        ] {
            let at = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
            let event = read(
                Binding::Nats,
                Vec::new(),
                Vec::new(),
                &MessageOrigin { place: "p", position: "1", at },
            );
            assert_eq!(event.created_at().to_rfc3339(), wanted);
        }
    }
}
