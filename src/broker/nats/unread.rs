//! Messages that the client library cannot read, with headers that are no UTF-8 or have a
//! blank in a name: it ends the connection over each, whenever it comes. So they are
//! taken from the stream itself, which hands out their bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_nats::jetstream::consumer::{Config, Info};
use async_nats::jetstream::stream::RawMessage;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

use super::connection::Connection;
use super::pulled::Pulled;
use super::stream::{message, next_message};
use crate::broker::message::Value;
use crate::broker::{BrokerError, BrokerErrorKind};

/// What a listener knows of them, from one session to the next.
#[derive(Default)]
pub(super) struct Unread(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// When the consumer was made: another one of its name counts from 1 again.
    made: Option<DateTime<Utc>>,
    /// Where the last look for each pattern of subjects has ended.
    looked: BTreeMap<String, u64>,
    /// Where those are that were found, and not confirmed since.
    found: BTreeSet<u64>,
    /// Why this login may not look.
    forbidden: Option<String>,
}

impl Unread {
    /// Those among the unanswered messages of a consumer, by their places. What an
    /// earlier look has seen is not looked at again, so that one which is given up has
    /// come further. A login that may not look at the stream finds none, and reads
    /// everything else all the same.
    pub(super) async fn look(
        &self,
        connection: &Connection,
        consumer: &Info,
    ) -> Result<BTreeSet<u64>, BrokerError> {
        self.begin(consumer);
        if consumer.num_ack_pending > 0 {
            for pattern in patterns(&consumer.config) {
                match self.walk(connection, consumer, pattern).await {
                    Err(error) if error.kind() == BrokerErrorKind::Unavailable => {
                        self.known().forbidden = Some(error.reason().to_owned());
                        break;
                    }
                    walked => walked?,
                }
            }
        }
        Ok(self.known().found.clone())
    }

    /// Why the last look found nothing, where it was not allowed.
    pub(super) fn forbidden(&self) -> Option<String> {
        self.known().forbidden.clone()
    }

    fn begin(&self, consumer: &Info) {
        let mut known = self.known();
        if known.made != Some(consumer.created) {
            *known = Known { made: Some(consumer.created), ..Known::default() };
        }
        let answered = consumer.ack_floor.stream_sequence;
        known.forbidden = None;
        known.found.retain(|sequence| *sequence > answered);
    }

    /// Looks at what was delivered of one pattern, a message at a time.
    async fn walk(
        &self,
        connection: &Connection,
        consumer: &Info,
        pattern: &str,
    ) -> Result<(), BrokerError> {
        let (answered, delivered) =
            (consumer.ack_floor.stream_sequence, consumer.delivered.stream_sequence);
        let mut looked =
            self.known().looked.get(pattern).copied().unwrap_or_default().max(answered);
        while looked < delivered {
            let next = next_message(
                connection,
                &consumer.stream_name,
                looked.saturating_add(1),
                pattern,
            )
            .await?;
            let next = next.filter(|raw| raw.sequence <= delivered);
            looked = next.as_ref().map_or(delivered, |raw| raw.sequence);
            let mut known = self.known();
            known.looked.insert(pattern.to_owned(), looked);
            if next.is_some_and(|raw| pulled(consumer, raw).is_some()) {
                known.found.insert(looked);
            }
        }
        Ok(())
    }

    /// The message at a place that was found; nothing where the stream has lost it
    /// meanwhile.
    pub(super) async fn read(
        &self,
        connection: &Connection,
        consumer: &Info,
        sequence: u64,
    ) -> Result<Option<Pulled>, BrokerError> {
        let raw = message(connection, &consumer.stream_name, sequence).await?;
        let read = raw.and_then(|raw| pulled(consumer, raw));
        if read.is_none() {
            self.forget(sequence);
        }
        Ok(read)
    }

    /// It is dealt with: confirmed, or gone.
    pub(super) fn forget(&self, sequence: u64) {
        self.known().found.remove(&sequence);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of which subjects a consumer gets the messages.
fn patterns(consumer: &Config) -> Vec<&str> {
    match (consumer.filter_subject.as_str(), consumer.filter_subjects.as_slice()) {
        ("", []) => vec![">"],
        ("", some) => some.iter().map(String::as_str).collect(),
        (one, _) => vec![one],
    }
}

/// The message, where the client cannot read it.
fn pulled(found: &Info, raw: RawMessage) -> Option<Pulled> {
    let block = STANDARD.decode(raw.headers.unwrap_or_default()).ok()?;
    let headers = headers(&block)?;
    let body = STANDARD.decode(raw.payload).ok()?;
    let (stream, consumer, sequence) = (&found.stream_name, &found.name, raw.sequence);
    let time = raw.time.timestamp_nanos_opt().unwrap_or_default();
    // By its place in the stream the server knows what is answered; a number of the
    // consumer's has to be one that it has given.
    let number = found.delivered.consumer_sequence;
    let reply = format!("$JS.ACK.{stream}.{consumer}.2.{sequence}.{number}.{time}.0");
    Some(Pulled {
        unread: Some(sequence),
        ..Pulled::of(&raw.subject, headers, body, reply.into())
    })
}

/// The headers of a block that the client cannot read; nothing of one that it can.
fn headers(block: &[u8]) -> Option<Vec<(String, Value)>> {
    if block.is_empty() || str::from_utf8(block).is_ok_and(is_readable) {
        return None;
    }
    let lines = block
        .split(|byte| *byte == b'\n')
        .skip(1)
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty());
    let header = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at_checked(colon).unwrap_or((line, &[]));
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        (String::from_utf8_lossy(name).into_owned(), Value::of_bytes(value))
    };
    Some(lines.map(header).collect())
}

/// As the client reads a block: a status, then headers, each with the lines that go on
/// with it.
fn is_readable(block: &str) -> bool {
    let mut lines = block.lines();
    let status =
        lines.next().and_then(|line| line.strip_prefix("NATS/1.0")).map(str::trim);
    let status =
        status.map(|status| status.split_once(' ').map_or(status, |(status, _)| status));
    let is_status =
        |status: &str| status.is_empty() || matches!(status.parse(), Ok(100..=999_u16));
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_graphic());
    let mut goes_on = false;
    let is_header = |line: &str| {
        if goes_on && line.starts_with(char::is_whitespace) {
            return true;
        }
        goes_on = !line.is_empty();
        line.is_empty() || line.split_once(':').is_some_and(|(name, _)| is_name(name))
    };
    status.is_some_and(is_status) && lines.all(is_header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_can_read_is_left_to_it() {
        for block in [
            "",
            "NATS/1.0\r\n\r\n",
            "NATS/1.0\r\nce-id: 1\r\n\r\n",
            "NATS/1.0 503 gone\r\na:b\r\n c\r\n\r\n",
        ] {
            assert_eq!(headers(block.as_bytes()), None, "{block:?}");
        }
    }

    #[test]
    fn what_it_cannot_is_read_as_far_as_it_goes() {
        let text =
            |name: &str, value: &str| (name.to_owned(), Value::Text(value.to_owned()));
        for (block, wanted) in [
            (
                &b"NATS/1.0\r\nmy header: x\r\nce-id: 1\r\n\r\n"[..],
                vec![text("my header", "x"), text("ce-id", "1")],
            ),
            (b"NATS/1.0\r\n a: b\r\n\r\n", vec![text("a", "b")]),
            (
                b"NATS/1.0\r\na: b\r\n\r\n c: d\r\n\r\n",
                vec![text("a", "b"), text("c", "d")],
            ),
            (b"NATS/1.0\r\nno colon\r\n\r\n", vec![text("no colon", "")]),
            (b"NATS/1.0 status\r\na: b\r\n\r\n", vec![text("a", "b")]),
            (
                b"NATS/1.0\r\na: \xff\r\n\r\n",
                vec![("a".to_owned(), Value::Other("\u{fffd}".to_owned()))],
            ),
            (b"HTTP/1.1\r\na: b\r\n\r\n", vec![text("a", "b")]),
            (b"\xff", vec![]),
        ] {
            assert_eq!(
                headers(block),
                Some(wanted),
                "{:?}",
                String::from_utf8_lossy(block)
            );
        }
    }
}
