//! An event as a message of AMQP: its routing key, properties and headers, and what is
//! too large for the protocol.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::address::{named, short};
use crate::Envelope;
use crate::broker::BrokerError;
use crate::cloudevents::{Binding, CloudEvent};
use crate::state::Dispatched;

/// Room in the frame of headers for the message's properties.
const PROPERTIES: usize = 2048;

pub(super) struct Message {
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
    /// What the properties and headers take up.
    size: usize,
}

impl Message {
    /// The attributes of the event as headers, and the same once more as properties, for
    /// whoever knows nothing of the standard.
    pub(super) fn of(
        event: &Envelope<Dispatched>,
        max_message_size: usize,
    ) -> Result<Self, BrokerError> {
        let (id, timestamp) =
            (event.id().to_string(), u64::try_from(event.created_at().timestamp()).ok());
        let correlation_id = event.correlation_id().and_then(short);
        let event = CloudEvent::of(event);
        let found = event.data().len();
        if found > max_message_size {
            let reason = format!(
                "a payload has at most {max_message_size} bytes here, and this one has {found}"
            );
            return Err(BrokerError::permanent(reason));
        }
        let routing_key = named("the type of this event", event.event_type())?;

        let mut headers = FieldTable::default();
        let mut size = PROPERTIES;
        for (name, value) in event.headers(Binding::RabbitMq) {
            size = size
                .saturating_add(name.len())
                .saturating_add(value.len())
                .saturating_add(8);
            let name = named("that of an attribute of this event", &name)?;
            headers.insert(name, AMQPValue::LongString(value.as_ref().into()));
        }
        // 2: kept on disk.
        let mut properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_type(routing_key.clone())
            .with_headers(headers);
        // What is too long for a property stands in the headers all the same.
        if let Some(id) = short(&id) {
            properties = properties.with_message_id(id);
        }
        if let Some(content_type) = event.content_type().and_then(short) {
            properties = properties.with_content_type(content_type);
        }
        if let Some(correlation_id) = correlation_id {
            properties = properties.with_correlation_id(correlation_id);
        }
        if let Some(timestamp) = timestamp {
            properties = properties.with_timestamp(timestamp);
        }
        Ok(Self { routing_key, properties, body: event.data().to_vec(), size })
    }

    /// Whether the headers go into one frame, as they must.
    pub(super) fn fits(&self, frame: u32) -> Result<(), BrokerError> {
        let (found, room) = (self.size, usize::try_from(frame).unwrap_or(usize::MAX));
        if found > room {
            let reason = format!(
                "the headers of a message have at most {room} bytes, and those of this one have {found}"
            );
            return Err(BrokerError::permanent(reason));
        }
        Ok(())
    }
}
