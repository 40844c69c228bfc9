//! `FileBroker`: a broker in a SQLite file, for crash tests without a server. It confirms
//! what is on disk, and delivers again whatever was not acked; it keeps on disk which
//! messages it has delivered before.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{OptionalExtension, params};

use crate::broker::{
    Ack, Broker, BrokerError, Capabilities, Consumer, Delivery, DeliveryOrder, Lag,
    RetryWait,
};
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

    /// The receiving side, from the first message that was not acked.
    pub fn listen(&self) -> FileListener {
        FileListener { shared: self.shared.clone(), last: 0, rewind: Rewind::default() }
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
        sent.await.map(drop).map_err(store_failed)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_message_size: None,
            duplicate_window: Some(Duration::ZERO),
            order: Some(DeliveryOrder::Unordered),
            marks_redeliveries: Some(true),
            retry_waits_at: Some(RetryWait::Consumer),
        }
    }
}

fn store_failed(error: StoreError) -> BrokerError {
    BrokerError::transient(reason(&error))
}

/// A broker in a file: the receiving side.
#[derive(Debug)]
pub struct FileListener {
    shared: Shared,
    last: i64,
    rewind: Rewind,
}

/// When the consumer goes back, and to which message: those after it come again too, in
/// order.
type Rewind = Arc<Mutex<Vec<(Instant, i64)>>>;

impl FileListener {
    fn rewind(&mut self) {
        let mut rewind = self.rewind.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        for (_, sequence) in rewind.extract_if(.., |(due, _)| *due <= now) {
            self.last = self.last.min(sequence.saturating_sub(1));
        }
    }
}

impl Consumer for FileListener {
    type Acker = FileAcker;

    async fn next(&mut self) -> Result<Option<Delivery<FileAcker>>, BrokerError> {
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
            let Some((row, delivered)) = found.await.map_err(store_failed)? else {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            if !delivered {
                let sequence = row.sequence;
                let noted = self.shared.write("receiving an event", move |transaction| {
                    let sql =
                        "UPDATE broker_message SET delivered = TRUE WHERE sequence = ?1";
                    transaction.prepare_cached(sql)?.execute([sequence])
                });
                noted.await.map_err(store_failed)?;
            }
            self.last = row.sequence;
            let (shared, rewind) = (self.shared.clone(), Arc::clone(&self.rewind));
            let acker =
                FileAcker { shared, rewind, sequence: row.sequence, settled: false };
            let read = row.read().map_err(BrokerError::permanent)?;
            let AnyEnvelope::Pending(event) = read else {
                return Err(BrokerError::permanent("a message is a pending event"));
            };
            return Ok(Some(Delivery::new(event, acker).redelivered(delivered)));
        }
    }

    async fn lag(&mut self) -> Result<Vec<Lag>, BrokerError> {
        let counted = self.shared.look("counting the messages", |connection| {
            connection.query_row("SELECT count(*) FROM broker_message", [], |row| {
                row.get::<_, i64>(0)
            })
        });
        let counted = counted.await.map_err(store_failed)?;
        Ok(vec![Lag::new("broker_message", u64::try_from(counted).unwrap_or_default())])
    }
}

/// Acks or nacks a message in the file.
#[derive(Debug)]
pub struct FileAcker {
    shared: Shared,
    rewind: Rewind,
    sequence: i64,
    settled: bool,
}

impl FileAcker {
    fn again(&self, after: Duration) {
        if let Some(due) = Instant::now().checked_add(after) {
            self.rewind
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((due, self.sequence));
        }
    }
}

/// Dropped, the message comes again at once: no later one of its key passes it.
impl Drop for FileAcker {
    fn drop(&mut self) {
        if !self.settled {
            self.again(Duration::ZERO);
        }
    }
}

impl Ack for FileAcker {
    async fn ack(mut self) -> Result<(), BrokerError> {
        let sequence = self.sequence;
        let gone = self.shared.write("acking a message", move |transaction| {
            transaction
                .execute("DELETE FROM broker_message WHERE sequence = ?1", [sequence])
        });
        gone.await.map_err(store_failed)?;
        self.settled = true;
        Ok(())
    }

    async fn nack(mut self, after: Duration) -> Result<(), BrokerError> {
        self.settled = true;
        self.again(after);
        Ok(())
    }
}
