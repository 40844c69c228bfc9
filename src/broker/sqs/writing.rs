//! An event as a message of SQS: a CloudEvent in structured mode, with the group and the
//! id of a FIFO queue.

use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::MessageAttributeValue;
use uuid::Uuid;

use super::queue::Queue;
use crate::broker::BrokerError;
use crate::cloudevents::CloudEvent;
use crate::state::Dispatched;
use crate::{Envelope, EventId};

/// The most characters of a group.
const LONGEST_GROUP: usize = 128;

/// The most bytes of an attribute that is worth its place: it is there for filters.
const LONGEST_ATTRIBUTE: usize = 256;

pub(super) const CONTENT_TYPE: &str = "content-type";
const EVENT_TYPE: &str = "ce-type";

/// A message as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) body: String,
    attributes: Vec<(&'static str, String)>,
    /// The group and the id of the event, on a FIFO queue.
    pub(super) fifo: Option<(String, String)>,
}

impl Written {
    /// # Errors
    ///
    /// The event is larger than a message may be.
    pub(super) fn of(
        event: &Envelope<Dispatched>,
        queue: &Queue,
        at_most: usize,
    ) -> Result<Self, BrokerError> {
        let body = allowed(CloudEvent::of(event).to_json());
        let mut attributes = vec![(CONTENT_TYPE, CloudEvent::JSON.to_owned())];
        let event_type = event.event_type();
        if (1..=LONGEST_ATTRIBUTE).contains(&event_type.len())
            && event_type.chars().all(is_allowed)
        {
            attributes.push((EVENT_TYPE, event_type.to_owned()));
        }
        let fifo = queue.is_fifo.then(|| group_and_id(event));
        let written = Self { body, attributes, fifo };
        let size = written.size();
        if size > at_most {
            let name = &queue.name;
            return Err(BrokerError::permanent(format!(
                "the event has {size} bytes, and a message of the queue {name} at most \
                 {at_most}"
            )));
        }
        Ok(written)
    }

    /// The bytes that SQS counts.
    pub(super) fn size(&self) -> usize {
        let attributes = self.attributes.iter();
        attributes.fold(self.body.len(), |size, (name, value)| {
            let attribute = [name.len(), TEXT.len(), value.len()];
            attribute.into_iter().fold(size, usize::saturating_add)
        })
    }

    pub(super) fn attributes(
        &self,
    ) -> impl Iterator<Item = Result<(String, MessageAttributeValue), BuildError>> {
        self.attributes.iter().map(|(name, value)| {
            let value = MessageAttributeValue::builder()
                .data_type(TEXT)
                .string_value(value)
                .build()?;
            Ok(((*name).to_owned(), value))
        })
    }
}

const TEXT: &str = "String";

/// Of one key, one group. An event without a key waits for no other, and has a group of
/// its own. The id is the same each time that the event is sent.
fn group_and_id(event: &Envelope<Dispatched>) -> (String, String) {
    let id = event.id().to_string();
    let group = event.ordering_key().unwrap_or(&id);
    let is_plain = group.chars().all(|c| c.is_ascii_graphic());
    let group = if is_plain && (1..=LONGEST_GROUP).contains(&group.len()) {
        group.to_owned()
    } else {
        Uuid::new_v5(&EventId::NAMESPACE, group.as_bytes()).to_string()
    };
    let source = Uuid::new_v5(&EventId::NAMESPACE, event.source_system().as_bytes());
    (group, Uuid::new_v5(&source, id.as_bytes()).to_string())
}

/// The characters that SQS takes.
const fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// JSON escapes every control character, and leaves the two others raw that SQS refuses.
/// They stand in strings alone, so that an escape says the same.
fn allowed(json: String) -> String {
    if json.chars().all(is_allowed) {
        return json;
    }
    json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::RawEvent;

    fn event(source: &str, id: &str, key: Option<&str>) -> Envelope<Dispatched> {
        let payload = RawEvent::new("crm.lead.created", b"{}");
        let event = Envelope::builder(source.to_owned(), payload).id(id.parse().unwrap());
        let event = match key {
            Some(key) => event.ordering_key(key.to_owned()),
            None => event,
        };
        event.build().unwrap().dispatch()
    }

    #[test]
    fn a_key_is_its_group_or_what_stands_for_it() {
        let group = |key| group_and_id(&event("crm", "1", key)).0;
        assert_eq!(group(Some("lead-7")), "lead-7");
        assert_eq!(group(None), "1");
        let long = "k".repeat(129);
        for key in ["lead 7", "Zürich", long.as_str()] {
            let found = group(Some(key));
            assert!(found.parse::<Uuid>().is_ok(), "{key}: {found}");
            assert_eq!(found, group(Some(key)));
        }
        assert_ne!(group(Some("lead 7")), group(Some("lead 8")));
    }

    /// Two texts that are one when they are put together are two events all the same.
    #[test]
    fn an_event_is_the_same_by_source_and_id() {
        let id = |source, id| group_and_id(&event(source, id, None)).1;
        assert_eq!(id("crm", "1"), id("crm", "1"));
        assert_ne!(id("crm", "1"), id("erp", "1"));
        assert_ne!(id("crm1", "1"), id("crm", "11"));
    }

    proptest! {
        #[test]
        fn every_body_has_only_characters_that_sqs_takes_and_says_the_same(
            note in "[\u{0}-\u{1f}\u{fff0}-\u{ffff}a\"\\\\\u{10ffff}]{0,8}",
        ) {
            let payload = RawEvent::new("t", b"{}");
            let event = Envelope::builder("crm", payload).tag("note", note);
            let Ok(event) = event.build() else { return Ok(()) };
            let event = CloudEvent::of(&event);
            let body = allowed(event.to_json());
            prop_assert!(body.chars().all(is_allowed), "{body:?}");
            prop_assert_eq!(CloudEvent::from_json(body.as_bytes()).unwrap(), event);
        }
    }
}
