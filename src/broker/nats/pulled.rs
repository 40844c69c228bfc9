//! A message of a stream as an event, with what the address for its answer says of its
//! delivery.

use std::sync::Arc;

use async_nats::{HeaderMap, Message, Subject};
use chrono::{DateTime, Utc};

use crate::Envelope;
use crate::broker::MessageOrigin;
use crate::broker::message::{Value, read};
use crate::cloudevents::Binding;
use crate::state::Pending;

pub(super) struct Pulled {
    pub(super) event: Envelope<Pending>,
    pub(super) subject: Arc<str>,
    /// Where to answer.
    pub(super) reply: Subject,
    pub(super) redelivered: bool,
    /// Its place in the stream, where the client could not read it.
    pub(super) unread: Option<u64>,
}

impl Pulled {
    pub(super) fn new(message: &Message, reply: Subject) -> Self {
        let headers = message.headers.iter().flat_map(HeaderMap::iter);
        let headers = headers
            .flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        let headers = headers
            .map(|(name, value)| (name.to_string(), Value::Text(value.to_string())));
        Self::of(&message.subject, headers.collect(), message.payload.to_vec(), reply)
    }

    pub(super) fn of(
        subject: &str,
        headers: Vec<(String, Value)>,
        body: Vec<u8>,
        reply: Subject,
    ) -> Self {
        let parsed = AckSubject::read(&reply);
        // A stream that was deleted and made again counts from 1 again: so the time too.
        // An address that says nothing is at least one's own.
        let position = parsed.as_ref().map_or_else(
            || reply.to_string(),
            |parsed| {
                format!(
                    "{} {} {}",
                    parsed.stream,
                    parsed.sequence,
                    parsed.at.timestamp_micros()
                )
            },
        );
        let at = parsed.as_ref().map_or_else(Utc::now, |parsed| parsed.at);
        let found = MessageOrigin { place: subject, position: &position, at };
        let event = read(Binding::Nats, headers, body, &found);
        let redelivered = parsed.is_none_or(|parsed| parsed.deliveries != 1);
        Self { event, subject: subject.into(), reply, redelivered, unread: None }
    }
}

/// What an address for an answer says:
/// `$JS.ACK.stream.consumer.deliveries.sequence.number.time.pending`, with domain and
/// account before the stream on newer servers.
struct AckSubject<'r> {
    stream: &'r str,
    deliveries: u64,
    sequence: u64,
    at: DateTime<Utc>,
}

const ANSWER: &str = "$JS.ACK.";

/// Whether a message has such an address: then it is one of a stream, whatever else is
/// written in it.
pub(super) fn is_for_an_answer(reply: &str) -> bool {
    reply.starts_with(ANSWER)
}

impl<'r> AckSubject<'r> {
    fn read(reply: &'r str) -> Option<Self> {
        let tokens: Vec<&str> = reply.strip_prefix(ANSWER)?.split('.').collect();
        let from_stream =
            if tokens.len() == 7 { tokens.as_slice() } else { tokens.get(2..)? };
        let [stream, _consumer, deliveries, sequence, _number, time, ..] = from_stream
        else {
            return None;
        };
        Some(Self {
            stream,
            deliveries: deliveries.parse().ok()?,
            sequence: sequence.parse().ok()?,
            at: DateTime::from_timestamp_nanos(time.parse().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_which_message_it_is_and_how_often_it_was_delivered() {
        for reply in [
            "$JS.ACK.crm.erp.2.17.40.1767600000000000000.3",
            "$JS.ACK.hub.hash.crm.erp.2.17.40.1767600000000000000.3",
            "$JS.ACK._.hash.crm.erp.2.17.40.1767600000000000000.3.token",
        ] {
            let parsed = AckSubject::read(reply).map(|parsed| {
                (
                    parsed.stream,
                    parsed.deliveries,
                    parsed.sequence,
                    parsed.at.to_rfc3339(),
                )
            });
            assert_eq!(
                parsed,
                Some(("crm", 2, 17, "2026-01-05T08:00:00+00:00".to_owned())),
                "{reply}"
            );
        }
    }

    #[test]
    fn what_an_address_does_not_say_stops_nobody() {
        for reply in [
            "",
            "_INBOX.x",
            "$JS.ACK.",
            "$JS.ACK.crm.erp.x.17.40.1767600000000000000.3",
            "$JS.ACK.a.b.c",
        ] {
            let pulled =
                Pulled::of("crm.lead", Vec::new(), b"hello".to_vec(), reply.into());
            assert!(pulled.redelivered, "nobody knows: {reply}");
            assert_eq!(pulled.event.payload().bytes(), b"hello");
        }
    }
}
