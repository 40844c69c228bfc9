//! Sending: an event as a message, the stream's answer to it, and which refusals are of
//! the event.

use async_nats::HeaderMap;
use async_nats::header::{NATS_EXPECTED_STREAM, NATS_MESSAGE_ID};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::StorageType;
use async_nats::jetstream::{self, ErrorCode};

use super::Inner;
use super::connection::{Connection, Unanswered};
use super::stream::{Held, held, is_missing, look_up};
use super::subject::{LONGEST_SUBJECT, subject};
use crate::Envelope;
use crate::broker::{BrokerError, BrokerErrorKind};
use crate::cloudevents::{Binding, CloudEvent};
use crate::reason::reason;
use crate::state::Dispatched;

impl Inner {
    pub(super) async fn publish(
        &self,
        event: &Envelope<Dispatched>,
    ) -> Result<(), BrokerError> {
        let event = CloudEvent::of(event);
        let subject = subject(&self.config.prefix, event.event_type());
        if subject.len() > LONGEST_SUBJECT {
            let length = subject.len();
            let reason = format!(
                "a subject has at most {LONGEST_SUBJECT} bytes, and that of this event's type has {length}"
            );
            return Err(BrokerError::permanent(reason));
        }
        let stream = self.config.stream.as_str();
        let mut headers = HeaderMap::new();
        for (name, value) in event.headers(Binding::Nats) {
            headers.insert(name, &*value);
        }
        // In the binding's form, neither holds a blank: no two events have the same text.
        let attribute =
            |name: &str| headers.get(name).map(ToString::to_string).unwrap_or_default();
        let id = format!("{} {}", attribute("ce-source"), attribute("ce-id"));
        headers.insert(NATS_EXPECTED_STREAM, stream);
        headers.insert(NATS_MESSAGE_ID, id.as_str());
        let body = event.into_data();

        let connection = self.connection().await?;
        let stored =
            store(&connection, stream, &subject, headers.clone(), body.clone()).await?;
        if !stored.duplicate
            || held(&connection, stream, stored.sequence).await? != Held::Gone
        {
            return Ok(());
        }
        // The stream had it and has lost it: purged, or past its limits. Under a name
        // that is derived from the lost one, it is stored once however often it is sent
        // again.
        headers.insert(NATS_MESSAGE_ID, format!("{id} {}", stored.sequence));
        store(&connection, stream, &subject, headers, body).await.map(|_| ())
    }
}

async fn store(
    connection: &Connection,
    stream: &str,
    subject: &str,
    headers: HeaderMap,
    body: Vec<u8>,
) -> Result<PublishAck, BrokerError> {
    let size = size(subject, &headers, &body);
    let answer = connection.ask(subject, headers, body).await;
    let answer = answer.map_err(|unanswered| match unanswered {
        Unanswered::Lost => BrokerError::transient("the connection was lost before the server had confirmed"),
        Unanswered::NoResponders => BrokerError::unroutable(format!(
            "no stream takes in {subject}: create the stream {stream}, or let it have this subject"
        )),
        Unanswered::Forbidden(why) => BrokerError::unroutable(why),
        Unanswered::TooLarge(why) => BrokerError::permanent(why),
        Unanswered::Silence(why) => BrokerError::transient(why),
    });
    let answer = match answer {
        Err(refused) => return Err(of_all(connection, stream, refused).await),
        Ok(answer) => answer,
    };
    match serde_json::from_slice(&answer.payload) {
        Ok(Response::Ok(stored)) => Ok(stored),
        Ok(Response::Err { error }) => {
            let refused = refusal(stream, subject, &error);
            if error.error_code() == ErrorCode::STREAM_STORE_FAILED {
                return Err(of_this_one(connection, stream, size, refused).await);
            }
            Err(of_all(connection, stream, refused).await)
        }
        Err(error) => {
            let why = reason(&error);
            Err(BrokerError::transient(format!(
                "what answers for {subject} is no stream of JetStream: {why}"
            )))
        }
    }
}

/// What is refused of one type is refused of all where the stream is missing, or
/// JetStream with it.
async fn of_all(
    connection: &Connection,
    stream: &str,
    refused: BrokerError,
) -> BrokerError {
    if refused.kind() == BrokerErrorKind::Unroutable
        && is_missing(connection, stream).await
    {
        return BrokerError::unavailable(refused.reason());
    }
    refused
}

/// What a full stream refuses it takes when there is room, but for what is larger than
/// the whole of it.
async fn of_this_one(
    connection: &Connection,
    stream: &str,
    size: usize,
    refused: BrokerError,
) -> BrokerError {
    let Ok(Some(found)) = look_up(connection, stream).await else { return refused };
    // What the server notes with each message.
    let size = size.saturating_add(match found.storage {
        StorageType::File => 34,
        StorageType::Memory => 16,
    });
    let room = found.max_bytes;
    if usize::try_from(room).is_ok_and(|room| room > 0 && size > room) {
        let why = format!(
            "{}: it has max_bytes of {room}, and this event alone has {size}",
            refused.reason()
        );
        return BrokerError::permanent(why);
    }
    refused
}

/// How many bytes of a message a stream stores: subject, headers and body.
fn size(subject: &str, headers: &HeaderMap, body: &[u8]) -> usize {
    const LINE: usize = "NATS/1.0\r\n\r\n".len();
    const HEADER: usize = ": \r\n".len();
    let lengths = headers.iter().flat_map(|(name, values)| {
        let name: &str = name.as_ref();
        values.iter().map(move |value| {
            [name.len(), value.as_str().len(), HEADER].into_iter().sum::<usize>()
        })
    });
    lengths.chain([LINE, subject.len(), body.len()]).sum()
}

/// The server's answer that it has not stored an event.
fn refusal(stream: &str, subject: &str, error: &jetstream::Error) -> BrokerError {
    let said = format!("the stream {stream}: {error}");
    match error.error_code() {
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM
        | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM => BrokerError::permanent(said),
        ErrorCode::STREAM_NOT_MATCH => BrokerError::unroutable(format!(
            "another stream than {stream} takes in {subject}: {error}"
        )),
        ErrorCode::STREAM_STORE_FAILED if said.contains("per subject") => {
            BrokerError::unroutable(said)
        }
        code if is_of_the_place(code) => BrokerError::unavailable(said),
        _ => BrokerError::transient(said),
    }
}

/// Whether an answer means that the server does nothing of this kind for now, whatever is
/// asked of it: limits are reached, something is missing, sealed or has no leader.
pub(super) fn is_of_the_place(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
            | ErrorCode::CLUSTER_INCOMPLETE
            | ErrorCode::CLUSTER_NOT_ACTIVE
            | ErrorCode::CLUSTER_NOT_ASSIGNED
            | ErrorCode::CLUSTER_NOT_AVAILABLE
            | ErrorCode::CLUSTER_NOT_LEADER
            | ErrorCode::INSUFFICIENT_RESOURCES
            | ErrorCode::JETSTREAM_NOT_ENABLED
            | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT
            | ErrorCode::MAXIMUM_CONSUMERS_LIMIT
            | ErrorCode::MAXIMUM_STREAMS_LIMIT
            | ErrorCode::MEMORY_RESOURCES_EXCEEDED
            | ErrorCode::NO_LIMITS
            | ErrorCode::STORAGE_RESOURCES_EXCEEDED
            | ErrorCode::STREAM_NOT_FOUND
            | ErrorCode::STREAM_OFFLINE
            | ErrorCode::STREAM_OFFLINE_REASON
            | ErrorCode::STREAM_SEALED
            | ErrorCode::STREAM_STORE_FAILED
            | ErrorCode::STREAM_TOO_MANY_REQUESTS
    )
}
