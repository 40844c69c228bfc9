//! A message of SQS as an event, also one that came through SNS, or as what stands for
//! one that cannot be read.

use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName};
use chrono::{DateTime, Utc};
use serde_json::Value as Json;

use super::writing::CONTENT_TYPE;
use crate::Envelope;
use crate::broker::MessageOrigin;
use crate::broker::message::{Value, read as read_headers};
use crate::cloudevents::{Binding, CloudEvent};
use crate::state::Pending;

/// The names of attributes are those of [`Binding::RabbitMq`]: `ce-id`, in UTF-8.
const BINDING: Binding = Binding::RabbitMq;

pub(super) fn read(message: &Message, queue: &str) -> Envelope<Pending> {
    let sent = system(message, &MessageSystemAttributeName::SentTimestamp);
    let sent = sent.and_then(|sent| sent.parse().ok());
    let found = MessageOrigin {
        place: queue,
        position: message.message_id().unwrap_or_default(),
        at: sent.and_then(DateTime::from_timestamp_millis).unwrap_or_else(Utc::now),
    };
    let body = message.body().unwrap_or_default();
    let mut headers: Vec<(String, Value)> = message
        .message_attributes()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value_of(value)?)))
        .collect();
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    let is_binary = headers.iter().any(|(name, _)| name == "ce-specversion");
    if !is_binary && let Some(event) = structured(body) {
        headers.retain(|(name, _)| !BINDING.has_attribute(name));
        let content_type = Value::Text(CloudEvent::JSON.to_owned());
        headers.push((CONTENT_TYPE.to_owned(), content_type));
        return read_headers(BINDING, headers, event.into_bytes(), &found);
    }
    read_headers(BINDING, headers, body.as_bytes().to_vec(), &found)
}

/// Whether the queue has handed it out before, or may have.
pub(super) fn is_redelivered(message: &Message) -> bool {
    let count = MessageSystemAttributeName::ApproximateReceiveCount;
    system(message, &count).is_none_or(|count| count != "1")
}

/// The group of a FIFO queue.
pub(super) fn group(message: &Message) -> Option<&str> {
    system(message, &MessageSystemAttributeName::MessageGroupId)
}

fn system<'m>(
    message: &'m Message,
    name: &MessageSystemAttributeName,
) -> Option<&'m str> {
    message.attributes()?.get(name).map(String::as_str)
}

fn value_of(value: &MessageAttributeValue) -> Option<Value> {
    let text = value.string_value().map(|text| Value::Text(text.to_owned()));
    text.or_else(|| value.binary_value().map(|bytes| Value::of_bytes(bytes.as_ref())))
}

/// The event that a body is, or that SNS has wrapped once: only what is an event is
/// unwrapped, so that a dead letter keeps the topic that it came from.
fn structured(body: &str) -> Option<String> {
    let json: Json = serde_json::from_str(body).ok()?;
    if is_event(&json) {
        return Some(body.to_owned());
    }
    let text = |name: &str| json.get(name)?.as_str();
    let inner = match (text("Type"), text("TopicArn"), text("MessageId"), text("Message"))
    {
        (Some("Notification"), Some(_), Some(_), Some(inner)) => inner,
        _ => return None,
    };
    let is_one = CloudEvent::from_json(inner.as_bytes()).is_ok();
    is_one.then(|| inner.to_owned())
}

fn is_event(json: &Json) -> bool {
    json.get("specversion").is_some_and(Json::is_string)
}
