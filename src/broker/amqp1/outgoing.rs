//! An event as a message: a CloudEvent in binary mode, with the same said in the
//! message's own properties.

use fe2o3_amqp::types::messaging::{
    ApplicationProperties, Data, Header, Message, MessageAnnotations, MessageId,
    Properties,
};
use fe2o3_amqp::types::primitives::{Binary, SimpleValue, Symbol, Timestamp, Value};

use super::config::Amqp1Config;
use crate::Envelope;
use crate::broker::BrokerError;
use crate::cloudevents::{Binding, CloudEvent};
use crate::state::Dispatched;

/// By this ActiveMQ Artemis recognises what it has stored before.
const DUPLICATE_ID: &str = "_AMQ_DUPL_ID";

/// By this Azure Service Bus chooses a partition.
const PARTITION_KEY: &str = "x-opt-partition-key";

/// Where a content type stands that is no symbol, which has only ASCII.
const CONTENT_TYPE: &str = "cloudEvents_datacontenttype";

/// The most bytes of what an event says about itself. Servers keep that apart from the
/// payload, in less room: half a mebibyte at ActiveMQ Artemis, which says so in words of
/// its own.
const MOST_ABOUT_ITSELF: usize = 256 * 1024;

pub(super) type Outgoing = Message<Data>;

/// The message of an event, or why no attempt with it can succeed.
pub(super) fn outgoing(
    event: &Envelope<Dispatched>,
    config: &Amqp1Config,
) -> Result<Outgoing, BrokerError> {
    let length = event.payload().bytes().len();
    let most = config.max_message_size;
    if length > most {
        return Err(BrokerError::permanent(format!(
            "the payload has {length} bytes, and the settings allow {most}"
        )));
    }
    let cloud_event = CloudEvent::of(event);
    let (id, key) = (event.id().to_string(), event.ordering_key());

    let mut about_itself = event.event_type().len();
    let mut headers = ApplicationProperties::builder();
    for (name, value) in cloud_event.headers(Binding::Amqp) {
        about_itself =
            about_itself.saturating_add(name.len()).saturating_add(value.len());
        headers = headers.insert(name, SimpleValue::String(value.into_owned()));
    }
    if about_itself > MOST_ABOUT_ITSELF {
        return Err(BrokerError::permanent(format!(
            "what the event says about itself, in its tags and elsewhere, has \
             {about_itself} bytes, and a message has room for {MOST_ABOUT_ITSELF}"
        )));
    }
    if config.duplicate_ids {
        // With its length, so that no other source and id are written alike.
        let source = event.source_system();
        let both = format!("{} {source} {id}", source.len());
        headers = headers.insert(DUPLICATE_ID, SimpleValue::String(both));
    }

    let mut properties = Properties::builder()
        .message_id(id)
        .subject(event.event_type())
        .creation_time(Timestamp::from(event.created_at().timestamp_millis()));
    match cloud_event.content_type() {
        Some(content_type) if content_type.is_ascii() => {
            properties = properties.content_type(content_type);
        }
        Some(content_type) => {
            let content_type = SimpleValue::String(content_type.to_owned());
            headers = headers.insert(CONTENT_TYPE, content_type);
        }
        None => {}
    }
    if let Some(correlation_id) = event.correlation_id() {
        let correlation_id = MessageId::String(correlation_id.to_owned());
        properties = properties.correlation_id(correlation_id);
    }
    if let Some(key) = key {
        properties = properties.group_id(key.to_owned());
    }
    let annotations = key.filter(|_| config.partition_keys).map(|key| {
        let key = Value::String(key.to_owned());
        MessageAnnotations::builder().insert(Symbol::from(PARTITION_KEY), key).build()
    });

    let data = Data(Binary::from(cloud_event.data().to_vec()));
    Ok(Message::builder()
        .header(Header { durable: true, ..Header::default() })
        .message_annotations(annotations)
        .properties(properties.build())
        .application_properties(headers.build())
        .data(data)
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RawEvent;

    fn event(key: Option<&str>) -> Envelope<Dispatched> {
        let lead = RawEvent::new("crm.lead.created", b"{}");
        let event = Envelope::builder("crm", lead).correlation_id("import-7");
        let event = match key {
            Some(key) => event.ordering_key(key),
            None => event,
        };
        match event.build() {
            Ok(event) => event.dispatch(),
            Err(refused) => unreachable!("{refused:?}"),
        }
    }

    #[test]
    fn who_knows_nothing_of_the_standard_reads_the_properties() {
        let event = event(Some("lead-7"));
        let Ok(message) = outgoing(&event, &Amqp1Config::queue("orders")) else {
            unreachable!("it fits")
        };
        let properties = message.properties.unwrap_or_default();
        let id = MessageId::String(event.id().to_string());
        assert_eq!(properties.message_id, Some(id));
        assert_eq!(properties.subject.as_deref(), Some("crm.lead.created"));
        assert_eq!(properties.group_id.as_deref(), Some("lead-7"));
        let import = MessageId::String("import-7".to_owned());
        assert_eq!(properties.correlation_id, Some(import));
        assert_eq!(properties.content_type, Some(Symbol::from("application/json")));
        let at = Timestamp::from(event.created_at().timestamp_millis());
        assert_eq!(properties.creation_time, Some(at));
        assert!(message.header.is_some_and(|header| header.durable), "kept on disk");
        let headers = message.application_properties.unwrap_or_default();
        let source = SimpleValue::String("crm".to_owned());
        assert_eq!(headers.get("cloudEvents_source"), Some(&source));
        assert_eq!(headers.get(DUPLICATE_ID), None);
        assert_eq!(message.message_annotations, None);
    }

    #[test]
    fn what_one_server_wants_is_written_for_it_alone() {
        let event = event(Some("lead-7"));
        let artemis = Amqp1Config::queue("orders").duplicate_ids(true);
        let headers = outgoing(&event, &artemis)
            .map(|message| message.application_properties.unwrap_or_default());
        let wanted = SimpleValue::String(format!("3 crm {}", event.id()));
        let found = headers.map(|headers| headers.get(DUPLICATE_ID).cloned());
        assert_eq!(found, Ok(Some(wanted)));

        let azure = Amqp1Config::azure_service_bus("orders");
        let annotations = outgoing(&event, &azure)
            .map(|message| message.message_annotations.unwrap_or_default());
        let found = annotations.map(|annotations| annotations.0.len());
        assert_eq!(found, Ok(1), "the partition key");
    }

    #[test]
    fn a_payload_over_the_settings_is_refused_for_good() {
        let event = event(None);
        let config = Amqp1Config::queue("orders").max_message_size(1);
        let refused = outgoing(&event, &config).map(|_| ());
        let why = "the payload has 2 bytes, and the settings allow 1";
        assert_eq!(refused, Err(BrokerError::permanent(why)));
    }
}
