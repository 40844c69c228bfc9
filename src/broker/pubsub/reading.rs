//! A message of Pub/Sub as an event, or as what stands for one that cannot be read.

use chrono::{DateTime, Utc};
use google_cloud_pubsub::model::Message;

use crate::Envelope;
use crate::broker::MessageOrigin;
use crate::broker::message::{Value, read as read_headers};
use crate::cloudevents::Binding;
use crate::state::Pending;

/// The names of attributes are those of [`Binding::RabbitMq`]: `ce-id`, in UTF-8, with the
/// content type beside them.
pub(super) const BINDING: Binding = Binding::RabbitMq;

pub(super) const CONTENT_TYPE: &str = "content-type";

pub(super) fn read(message: &Message, subscription: &str) -> Envelope<Pending> {
    let published = message.publish_time.as_ref();
    let published = published
        .and_then(|time| {
            DateTime::from_timestamp(time.seconds(), time.nanos().unsigned_abs())
        })
        .unwrap_or_else(Utc::now);
    let found = MessageOrigin {
        place: subscription,
        position: &message.message_id,
        at: published,
    };
    let mut headers: Vec<(String, Value)> = message
        .attributes
        .iter()
        .map(|(name, value)| (name.clone(), Value::Text(value.clone())))
        .collect();
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    let is_structured = headers.iter().any(|(name, value)| {
        name == CONTENT_TYPE
            && matches!(value, Value::Text(text) if text.starts_with(CLOUD_EVENT))
    });
    if is_structured {
        // The binding allows both, and the body is the whole of it.
        headers.retain(|(name, _)| name == CONTENT_TYPE || !BINDING.has_attribute(name));
    }
    read_headers(BINDING, headers, message.data.to_vec(), &found)
}

/// How the content type of an event in structured mode begins.
const CLOUD_EVENT: &str = "application/cloudevents";

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::broker::UNREADABLE;

    fn message(attributes: &[(&str, &str)], data: &'static [u8]) -> Message {
        Message::new().set_message_id("17").set_data(data).set_attributes(
            attributes.iter().map(|(name, value)| (name.to_string(), value.to_string())),
        )
    }

    #[test]
    fn the_binding_may_say_the_content_type_either_way() {
        for name in ["content-type", "ce-datacontenttype"] {
            let found = read(
                &message(
                    &[
                        ("ce-specversion", "1.0"),
                        ("ce-id", "1"),
                        ("ce-source", "/shop"),
                        ("ce-type", "order.placed"),
                        (name, "text/xml"),
                    ],
                    b"<a/>",
                ),
                "erp",
            );
            assert_eq!(found.event_type(), "order.placed");
            assert_eq!(found.tags()["datacontenttype"], "text/xml");
        }
    }

    #[test]
    fn a_structured_event_may_repeat_its_attributes() {
        let body = br#"{"specversion":"1.0","id":"1","source":"/shop","type":"t"}"#;
        let content_type =
            ("content-type", "application/cloudevents+json; charset=utf-8");
        for attributes in
            [vec![content_type], vec![content_type, ("ce-id", "1"), ("ce-type", "t")]]
        {
            let found = read(&message(&attributes, body), "erp");
            assert_eq!((found.event_type(), found.id().to_string()), ("t", "1".into()));
        }
    }

    #[test]
    fn what_is_no_event_is_the_same_dead_letter_each_time() {
        let strange = message(&[("colour", "red")], b"\xffhello");
        let (one, other) = (read(&strange, "erp"), read(&strange, "erp"));
        assert_eq!(one.event_type(), UNREADABLE);
        assert_eq!(one.id(), other.id());
        assert_eq!(one.payload().bytes(), b"\xffhello");
        assert_eq!(one.tags()["header.colour"], "red");
    }
}
