//! An event as a message of Pub/Sub: a CloudEvent in binary mode, or in structured mode
//! where its attributes do not fit.

use google_cloud_pubsub::model::Message;
use uuid::Uuid;

use super::place::Topic;
use super::reading::{BINDING, CONTENT_TYPE};
use crate::broker::BrokerError;
use crate::cloudevents::CloudEvent;
use crate::state::Dispatched;
use crate::{Envelope, EventId};

/// What Pub/Sub takes of attributes and keys, in bytes but for the first.
const MOST_ATTRIBUTES: usize = 100;
const LONGEST_NAME: usize = 256;
const LONGEST_VALUE: usize = 1024;
const LONGEST_KEY: usize = 1024;

/// # Errors
///
/// The event is larger than a message may be.
pub(super) fn write(
    event: &Envelope<Dispatched>,
    topic: &Topic,
    at_most: usize,
) -> Result<Message, BrokerError> {
    let key = event.ordering_key().map(key);
    let event = CloudEvent::of(event);
    let mut attributes: Vec<(String, String)> =
        event.headers(BINDING).map(|(name, value)| (name, value.into_owned())).collect();
    if let Some(content_type) = event.content_type() {
        attributes.push((CONTENT_TYPE.to_owned(), content_type.to_owned()));
    }
    let data = if fits(&attributes) {
        event.into_data()
    } else {
        attributes.retain(|(name, value)| name == TYPE && is_short(name, value));
        attributes.push((CONTENT_TYPE.to_owned(), CloudEvent::JSON.to_owned()));
        event.to_json().into_bytes()
    };
    let key = key.unwrap_or_default();
    let size = size(&attributes, &data, &key);
    if size > at_most {
        return Err(BrokerError::permanent(format!(
            "the event has {size} bytes, and a message of the topic {} at most {at_most}",
            topic.id
        )));
    }
    Ok(Message::new().set_data(data).set_attributes(attributes).set_ordering_key(key))
}

/// The attribute that stays in structured mode, for filters of subscriptions.
const TYPE: &str = "ce-type";

fn fits(attributes: &[(String, String)]) -> bool {
    attributes.len() <= MOST_ATTRIBUTES
        && attributes.iter().all(|(name, value)| is_short(name, value))
}

const fn is_short(name: &str, value: &str) -> bool {
    name.len() <= LONGEST_NAME && value.len() <= LONGEST_VALUE
}

fn size(attributes: &[(String, String)], data: &[u8], key: &str) -> usize {
    let attributes =
        attributes.iter().flat_map(|(name, value)| [name.len(), value.len()]);
    attributes.chain([key.len()]).fold(data.len(), usize::saturating_add)
}

/// Of one ordering key, one key.
fn key(key: &str) -> String {
    if key.len() <= LONGEST_KEY {
        return key.to_owned();
    }
    Uuid::new_v5(&EventId::NAMESPACE, key.as_bytes()).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::RawEvent;

    fn written(
        of: impl FnOnce(crate::EnvelopeBuilder<RawEvent>) -> crate::EnvelopeBuilder<RawEvent>,
    ) -> Message {
        let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"));
        let event = of(event.id("1".parse().unwrap())).build().unwrap().dispatch();
        let topic = Topic::new("projects/shop/topics/orders").unwrap();
        write(&event, &topic, 10_000).unwrap()
    }

    #[test]
    fn an_event_is_in_binary_mode_while_its_attributes_fit() {
        let message = written(|event| event.tag("note", "n".repeat(1024)));
        assert_eq!(message.attributes["ce-id"], "1");
        assert_eq!(message.attributes["ce-source"], "crm");
        assert_eq!(message.attributes["content-type"], "application/json");
        assert_eq!(&message.data[..], b"{}");
        let many = |event: crate::EnvelopeBuilder<RawEvent>| {
            (0..100).fold(event, |event, n| event.tag(format!("tag{n}"), "x"))
        };
        for structured in
            [written(|event| event.tag("note", "n".repeat(1025))), written(many)]
        {
            assert_eq!(structured.attributes["content-type"], CloudEvent::JSON);
            assert_eq!(structured.attributes["ce-type"], "crm.lead.created");
            assert_eq!(structured.attributes.len(), 2);
            let event = CloudEvent::from_json(&structured.data).unwrap();
            assert_eq!((event.id(), event.data()), ("1", &b"{}"[..]));
        }
    }

    #[test]
    fn a_key_is_itself_or_what_stands_for_it() {
        let key = |key: &str| written(|event| event.ordering_key(key)).ordering_key;
        assert_eq!(key("Zürich 7"), "Zürich 7");
        assert_eq!(written(|event| event).ordering_key, "");
        let (long, longer) = ("k".repeat(1025), "k".repeat(1026));
        assert!(key(&long).parse::<Uuid>().is_ok());
        assert_eq!(key(&long), key(&long));
        assert_ne!(key(&long), key(&longer));
    }

    #[test]
    fn what_is_too_large_says_how_large_it_is() {
        let event = Envelope::builder("crm", RawEvent::new("t", vec![b'x'; 5000]));
        let topic = Topic::new("projects/shop/topics/orders").unwrap();
        let event = event.build().unwrap().dispatch();
        let refused = write(&event, &topic, 5000).unwrap_err();
        assert!(refused.reason().contains("at most 5000"), "{refused}");
        assert!(write(&event, &topic, 6000).is_ok());
    }
}
