//! `FileBroker`: a broker in a SQLite file, for crash tests without a server. It confirms
//! what is on disk, and delivers again whatever was not confirmed; it remembers on disk
//! what it has delivered before.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{OptionalExtension, params};

use crate::broker::{Ack, Broker, BrokerError, Consumer, Delivery, Lag};
use crate::reason::reason;
use crate::state::Dispatched;
use crate::store::sqlite::{Shared, micros, read_row};
use crate::store::{Part, Row, StoreError};
use crate::{AnyEnvelope, Envelope};

const PART: Part = Part {
    name: "broker",
    versions: &[
        "CREATE TABLE broker_message (sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, \
                 event_type TEXT NOT NULL, source_system TEXT NOT NULL, schema_version TEXT NOT NULL, \
                 correlation_id TEXT, payload BLOB NOT NULL, tags TEXT NOT NULL, ordering_key TEXT, \
                 created_at INTEGER NOT NULL, delivered INTEGER NOT NULL DEFAULT FALSE) STRICT",
    ],
};

/// A broker in a file, for one consumer: the sending side.
#[derive(Debug, Clone)]
pub struct FileBroker {
    shared: Shared,
}

impl FileBroker {
    /// Opens the file, which is made where it is missing.
    ///
    /// # Errors
    ///
    /// What the database answers.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self { shared: Shared::open(path.as_ref(), &PART)? })
    }

    /// The receiving side, from the first message that was not confirmed.
    pub fn consumer(&self) -> FileConsumer {
        FileConsumer { shared: self.shared.clone(), last: 0, rewind: Rewind::default() }
    }
}

impl Broker for FileBroker {
    const SYSTEM: &'static str = "file";

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        let row = Row::of_record(event.to_record());
        let sent = self.shared.write("sending an event", move |transaction| {
            transaction
                .prepare_cached(
                    "INSERT INTO broker_message (id, event_type, source_system, schema_version, correlation_id, \
                     payload, tags, ordering_key, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )?
                .execute(params![
                    row.id,
                    row.event_type,
                    row.source_system,
                    row.schema_version,
                    row.correlation_id,
                    row.payload,
                    row.tags,
                    row.ordering_key,
                    micros(row.created_at),
                ])
        });
        sent.await.map(drop).map_err(unanswered)
    }
}

fn unanswered(error: StoreError) -> BrokerError {
    BrokerError::transient(reason(&error))
}

/// A broker in a file: the receiving side.
#[derive(Debug)]
pub struct FileConsumer {
    shared: Shared,
    last: i64,
    rewind: Rewind,
}

/// From when on the consumer begins again at which messages: what stands after one comes
/// again too, in its order.
type Rewind = Arc<Mutex<Vec<(Instant, i64)>>>;

impl FileConsumer {
    fn rewind(&mut self) {
        let mut rewind = self.rewind.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        for (_, sequence) in rewind.extract_if(.., |(due, _)| *due <= now) {
            self.last = self.last.min(sequence.saturating_sub(1));
        }
    }
}

impl Consumer for FileConsumer {
    type Acker = Message;

    async fn next(&mut self) -> Result<Option<Delivery<Message>>, BrokerError> {
        loop {
            self.rewind();
            let after = self.last;
            let found = self.shared.look("receiving an event", move |connection| {
                connection
                    .prepare_cached(
                        "SELECT sequence, id, event_type, source_system, schema_version, correlation_id, payload, tags, \
                         ordering_key, '3 exponential 30s 3600s', created_at, 'pending', 0, NULL, NULL, NULL, NULL, \
                         NULL, NULL, NULL, NULL, NULL, delivered FROM broker_message WHERE sequence > ?1 \
                         ORDER BY sequence LIMIT 1",
                    )?
                    .query_row([after], |row| {
                        Ok((read_row(row)?, row.get::<_, bool>("delivered")?))
                    })
                    .optional()
            });
            let Some((row, delivered)) = found.await.map_err(unanswered)? else {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            if !delivered {
                let sequence = row.sequence;
                let told = self.shared.write("receiving an event", move |transaction| {
                    let sql =
                        "UPDATE broker_message SET delivered = TRUE WHERE sequence = ?1";
                    transaction.prepare_cached(sql)?.execute([sequence])
                });
                told.await.map_err(unanswered)?;
            }
            self.last = row.sequence;
            let (shared, rewind) = (self.shared.clone(), Arc::clone(&self.rewind));
            let message =
                Message { shared, rewind, sequence: row.sequence, answered: false };
            let read = row.read().map_err(BrokerError::permanent)?;
            let AnyEnvelope::Pending(event) = read else {
                return Err(BrokerError::permanent("a message is a pending event"));
            };
            return Ok(Some(Delivery::new(event, message).redelivered(delivered)));
        }
    }

    async fn lag(&mut self) -> Result<Vec<Lag>, BrokerError> {
        let counted = self.shared.look("counting the messages", |connection| {
            connection.query_row("SELECT count(*) FROM broker_message", [], |row| {
                row.get::<_, i64>(0)
            })
        });
        let counted =
            counted.await.map_err(|error| BrokerError::transient(error.to_string()))?;
        Ok(vec![Lag::new("broker_message", u64::try_from(counted).unwrap_or_default())])
    }
}

/// A message in the file, until it is confirmed.
#[derive(Debug)]
pub struct Message {
    shared: Shared,
    rewind: Rewind,
    sequence: i64,
    answered: bool,
}

impl Message {
    fn again(&self, after: Duration) {
        if let Some(due) = Instant::now().checked_add(after) {
            self.rewind
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((due, self.sequence));
        }
    }
}

/// Without an answer it comes again.
impl Drop for Message {
    fn drop(&mut self) {
        if !self.answered {
            self.again(Duration::ZERO);
        }
    }
}

impl Ack for Message {
    async fn ack(mut self) -> Result<(), BrokerError> {
        let sequence = self.sequence;
        let gone = self.shared.write("confirming a message", move |transaction| {
            transaction
                .execute("DELETE FROM broker_message WHERE sequence = ?1", [sequence])
        });
        gone.await.map_err(unanswered)?;
        self.answered = true;
        Ok(())
    }

    async fn nack(mut self, after: Duration) -> Result<(), BrokerError> {
        self.answered = true;
        self.again(after);
        Ok(())
    }
}
