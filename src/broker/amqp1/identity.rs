//! What tells a message from every other one, where it says nothing readable about
//! itself: the number that its queue gives it, or all that its sender said.

use fe2o3_amqp::types::messaging::annotations::OwnedKey;
use fe2o3_amqp::types::messaging::{ApplicationProperties, Message, Properties};
use fe2o3_amqp::types::primitives::{Timestamp, Value};

use super::value::{id, value_of};
use crate::broker::message::{Value as Shown, position_of_content};

/// The number of a message in its queue, at Azure Service Bus.
const SEQUENCE_NUMBER: &str = "x-opt-sequence-number";

/// A queue of the other servers numbers no message. Two messages are one to an inbox only
/// where everything that their senders said is the same; what servers say of a delivery
/// (its count, its annotations) is left out.
pub(super) fn position<B>(message: &Message<B>, body: &[u8]) -> String {
    let number = message
        .message_annotations
        .as_ref()
        .and_then(|annotations| annotations.0.get(&OwnedKey::from(SEQUENCE_NUMBER)));
    if let Some(Value::Long(number)) = number {
        return number.to_string();
    }
    let mut said = Vec::new();
    if let Some(properties) = &message.properties {
        write_properties(&mut said, properties);
    }
    if let Some(headers) = &message.application_properties {
        write_headers(&mut said, headers);
    }
    position_of_content([said.as_slice(), body])
}

/// The properties under the numbers of their places in the protocol, written out here, so
/// that no version of a library changes what a message is.
fn write_properties(out: &mut Vec<u8>, properties: &Properties) {
    let time = |time: &Option<Timestamp>| {
        time.as_ref().map(|time| time.milliseconds().to_string())
    };
    for (place, said) in [
        (0, properties.message_id.as_ref().map(id)),
        (2, properties.to.clone()),
        (3, properties.subject.clone()),
        (4, properties.reply_to.clone()),
        (5, properties.correlation_id.as_ref().map(id)),
        (6, properties.content_type.clone().map(|symbol| symbol.0)),
        (7, properties.content_encoding.clone().map(|symbol| symbol.0)),
        (8, time(&properties.absolute_expiry_time)),
        (9, time(&properties.creation_time)),
        (10, properties.group_id.clone()),
        (11, properties.group_sequence.map(|number| number.to_string())),
        (12, properties.reply_to_group_id.clone()),
    ] {
        if let Some(said) = said {
            part(out, place, said.as_bytes());
        }
    }
    if let Some(user) = &properties.user_id {
        part(out, 1, user);
    }
}

fn write_headers(out: &mut Vec<u8>, headers: &ApplicationProperties) {
    for (name, value) in &headers.0 {
        part(out, b'h', name.as_bytes());
        match value_of(value) {
            None => part(out, b'0', &[]),
            Some(Shown::Text(text)) => part(out, b't', text.as_bytes()),
            Some(Shown::Other(shown)) => part(out, b'o', shown.as_bytes()),
        }
    }
}

/// With its length, so that no two messages are written alike.
fn part(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    out.extend(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::messaging::{Header, MessageAnnotations};
    use fe2o3_amqp::types::primitives::SimpleValue;

    use super::*;

    fn message(subject: &str, headers: &[(&str, &str)]) -> Message<()> {
        let mut written = ApplicationProperties::builder();
        for (name, value) in headers {
            written = written.insert(*name, SimpleValue::String((*value).to_owned()));
        }
        Message::builder()
            .properties(
                Properties::builder().message_id("1".to_owned()).subject(subject).build(),
            )
            .application_properties(written.build())
            .body(())
            .build()
    }

    /// A dead letter that is stored stays the one that its message is, whatever is
    /// upgraded.
    #[test]
    fn what_a_message_is_changes_with_no_version_and_no_delivery() {
        let first = message("order.placed", &[("text", "hello")]);
        let found = position(&first, b"{}");
        assert_eq!(found, "8b60b03a-95a3-5250-879d-7540eb39f9a4");
        let mut again = first;
        again.header = Some(Header { delivery_count: 7, ..Header::default() });
        assert_eq!(position(&again, b"{}"), found);
    }

    #[test]
    fn no_two_messages_are_one() {
        let mut positions = [
            position(&message("a", &[]), b""),
            position(&message("b", &[]), b""),
            position(&message("a", &[]), b"a"),
            position(&message("a", &[("a", "")]), b""),
            position(&message("a", &[("a", "b"), ("c", "d")]), b""),
            position(&message("a", &[("a", "bc"), ("", "d")]), b""),
        ];
        positions.sort();
        assert!(positions.windows(2).all(|two| two.first() != two.last()));
    }

    #[test]
    fn a_number_of_the_queue_counts_where_there_is_one() {
        let mut numbered = message("a", &[]);
        let number = MessageAnnotations::builder()
            .insert(OwnedKey::from(SEQUENCE_NUMBER), Value::Long(17));
        numbered.message_annotations = Some(number.build());
        assert_eq!(position(&numbered, b""), "17");
    }
}
