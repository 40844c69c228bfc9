//! A message of AMQP 1.0 as an event, or as what stands for one that cannot be read.

use chrono::Utc;
use fe2o3_amqp::types::messaging::{Body, Message};
use fe2o3_amqp::types::primitives::Value as AmqpValue;

use super::identity::position;
use super::value::{moment, value_of};
use crate::Envelope;
use crate::broker::MessageOrigin;
use crate::broker::message::{Value, read as read_headers, unreadable};
use crate::cloudevents::Binding;
use crate::state::Pending;

/// The content type of a message that its sender has said twice: a client of JMS sets the
/// property to that of its kind of message, and the attribute is the event's.
const CONTENT_TYPE: [&str; 2] =
    ["cloudEvents_datacontenttype", "cloudEvents:datacontenttype"];

pub(super) fn read(message: Message<Body<AmqpValue>>, place: &str) -> Envelope<Pending> {
    let mut message = message;
    let body = std::mem::replace(&mut message.body, Body::Empty);
    let (body, no_data) = bytes(body);
    let position = position(&message, &body);
    let properties = message.properties.unwrap_or_default();
    let at = properties.creation_time.as_ref().and_then(moment);
    let found =
        MessageOrigin { place, position: &position, at: at.unwrap_or_else(Utc::now) };

    let mut headers: Vec<(String, Value)> = Vec::new();
    for (name, value) in message.application_properties.iter().flat_map(|all| &all.0) {
        if let Some(value) = value_of(value) {
            headers.push((name.clone(), value));
        }
    }
    let has_its_own = headers.iter().any(|(name, _)| CONTENT_TYPE.contains(&&**name));
    if let Some(content_type) = properties.content_type.filter(|_| !has_its_own) {
        headers.push(("content-type".to_owned(), Value::Text(content_type.0)));
    }
    match no_data {
        None => read_headers(Binding::Amqp, headers, body, &found),
        Some(kind) => {
            let why = format!(
                "the body is {kind} of AMQP, which no event has; it is kept as the \
                 protocol encodes it"
            );
            unreadable(&headers, body, why, &found)
        }
    }
}

/// The bytes of a body; and what it is, where it is neither bytes nor text.
fn bytes(body: Body<AmqpValue>) -> (Vec<u8>, Option<&'static str>) {
    match body {
        Body::Empty => (Vec::new(), None),
        Body::Data(sections) => {
            let mut all = Vec::new();
            for data in sections {
                // Mostly there is one, which is taken as it is.
                if all.is_empty() {
                    all = data.0.into_vec();
                } else {
                    all.extend_from_slice(&data.0);
                }
            }
            (all, None)
        }
        Body::Value(value) => match value.0 {
            AmqpValue::String(text) => (text.into_bytes(), None),
            AmqpValue::Binary(bytes) => (bytes.into_vec(), None),
            value => (encoded(&value), Some(kind(&value))),
        },
        Body::Sequence(sections) => {
            let all = sections.into_iter().map(|section| AmqpValue::List(section.0));
            (all.flat_map(|list| encoded(&list)).collect(), Some("a sequence"))
        }
    }
}

fn encoded(value: &AmqpValue) -> Vec<u8> {
    serde_amqp::to_vec(value).unwrap_or_default()
}

fn kind(value: &AmqpValue) -> &'static str {
    match value {
        AmqpValue::Described(_) => "a described value",
        AmqpValue::Null => "a null",
        AmqpValue::List(_) => "a list",
        AmqpValue::Map(_) => "a map",
        AmqpValue::Array(_) => "an array",
        AmqpValue::Symbol(_) => "a symbol",
        AmqpValue::Timestamp(_) => "a time",
        AmqpValue::Bool(_) => "a truth value",
        _ => "a number or character",
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::messaging::{
        AmqpSequence, ApplicationProperties, Batch, Data, Properties,
    };
    use fe2o3_amqp::types::primitives::{Binary, OrderedMap, SimpleValue, Symbol};

    use super::*;
    use crate::broker::UNREADABLE;

    fn event(
        body: Body<AmqpValue>,
        headers: &[(&str, &str)],
    ) -> Message<Body<AmqpValue>> {
        let said = [
            ("cloudEvents_specversion", "1.0"),
            ("cloudEvents_id", "1"),
            ("cloudEvents_source", "shop"),
            ("cloudEvents_type", "order.placed"),
        ];
        let mut all = ApplicationProperties::builder();
        for (name, value) in said.iter().chain(headers) {
            all = all.insert(*name, SimpleValue::String((*value).to_owned()));
        }
        Message::builder()
            .properties(Properties::builder().content_type("application/json").build())
            .application_properties(all.build())
            .body(body)
            .build()
    }

    fn value(value: AmqpValue) -> Body<AmqpValue> {
        Body::Value(fe2o3_amqp::types::messaging::AmqpValue(value))
    }

    fn data(sections: &[&[u8]]) -> Body<AmqpValue> {
        let data = sections.iter().map(|bytes| Data(Binary::from(bytes.to_vec())));
        Body::Data(Batch::new(data.collect::<Vec<_>>()))
    }

    #[test]
    fn bytes_and_texts_are_events_however_they_are_sent() {
        for (body, wanted) in [
            (data(&[b"{}"]), &b"{}"[..]),
            (data(&[b"{", b"", b"}"]), b"{}"),
            (value(AmqpValue::String("{}".to_owned())), b"{}"),
            (value(AmqpValue::Binary(b"{}".to_vec().into())), b"{}"),
            (Body::Empty, b""),
        ] {
            let event = read(event(body, &[]), "orders");
            assert_eq!(
                (event.event_type(), event.payload().bytes()),
                ("order.placed", wanted)
            );
        }
    }

    /// JMS has maps, streams and messages of nothing; and everything else is kept too.
    #[test]
    fn every_other_body_is_a_dead_letter_with_the_value_kept() {
        let mut map = OrderedMap::new();
        map.insert(AmqpValue::String("lead".to_owned()), AmqpValue::Int(10));
        let map = AmqpValue::Map(map);
        let list = || vec![AmqpValue::Int(1)];
        let sequence = Batch::new(vec![AmqpSequence(list()), AmqpSequence(list())]);
        for (body, kept, said) in [
            (value(map.clone()), vec![map], "a map"),
            (value(AmqpValue::Null), vec![AmqpValue::Null], "a null"),
            (value(AmqpValue::Bool(true)), vec![AmqpValue::Bool(true)], "a truth value"),
            (
                Body::Sequence(sequence),
                vec![AmqpValue::List(list()), AmqpValue::List(list())],
                "a sequence",
            ),
        ] {
            let event = read(event(body, &[]), "orders");
            let kept: Vec<u8> = kept.iter().flat_map(encoded).collect();
            assert_eq!(
                (event.event_type(), event.payload().bytes()),
                (UNREADABLE, &*kept)
            );
            let why = event.tags().get(UNREADABLE).cloned().unwrap_or_default();
            assert!(why.contains(said) && !kept.is_empty(), "{why}");
        }
    }

    #[test]
    fn the_events_own_content_type_counts_before_that_of_the_kind_of_message() {
        let mut message =
            event(data(&[b"<a/>"]), &[("cloudEvents_datacontenttype", "text/xml")]);
        if let Some(properties) = &mut message.properties {
            properties.content_type = Some(Symbol::from("application/octet-stream"));
        }
        let event = read(message, "orders");
        assert_eq!(event.event_type(), "order.placed");
        let found = crate::cloudevents::CloudEvent::of(&event);
        assert_eq!(found.content_type(), Some("text/xml"));
    }
}
