//! Notifications of an outbox, on a connection of their own: PostgreSQL's `NOTIFY` says
//! that a transaction has enqueued something. Where the connection is lost it comes back by
//! itself, and nothing is notified meanwhile.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::connector::{CONNECT_TIMEOUT, Connector};
use super::link;
use super::tables::Place;
use crate::store::error::BoxedError;

/// The waits between two attempts to listen again: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// How often a listener that hears nothing asks whether the server is still there.
const ASK: Duration = Duration::from_secs(60);

/// How long after a notification one looks once more: for transactions that were open at
/// the time, and did not notify themselves, since another one did.
const ECHO: Duration = Duration::from_millis(50);

/// The notifications of one outbox.
#[derive(Debug)]
pub(crate) struct Notifications {
    connector: Connector,
    table: String,
    count: watch::Sender<u64>,
    /// How many there had been when the outbox was last looked at.
    seen: AtomicU64,
    /// When to look once more, after a notification.
    echo: Mutex<Option<Instant>>,
    listener: OnceLock<Listener>,
}

impl Notifications {
    pub(crate) fn new(connector: Connector, place: &Place) -> Self {
        Self {
            connector,
            table: place.name("outbox_event"),
            count: watch::Sender::new(0),
            seen: AtomicU64::new(0),
            echo: Mutex::default(),
            listener: OnceLock::new(),
        }
    }

    /// What follows finds all that was notified so far.
    pub(crate) fn mark_seen(&self) {
        self.seen.store(*self.count.borrow(), Relaxed);
    }

    /// Waits for a notification that is not [seen](Self::mark_seen), and no longer than
    /// `at_most`.
    pub(crate) async fn wait(&self, at_most: Duration) {
        let listen =
            || listen(self.connector.clone(), self.table.clone(), self.count.clone());
        self.listener.get_or_init(|| Listener(tokio::spawn(listen()).abort_handle()));
        let seen = self.seen.load(Relaxed);
        let mut count = self.count.subscribe();
        let echo = *self.echo();
        let at_most = echo.map_or(at_most, |at| {
            at_most.min(at.saturating_duration_since(Instant::now()))
        });
        // The time is over, or there was one; the sender lives as long as this.
        let is_notified =
            timeout(at_most, count.wait_for(|count| *count != seen)).await.is_ok();
        let (mut echo, now) = (self.echo(), Instant::now());
        if is_notified {
            *echo = now.checked_add(ECHO);
        } else {
            echo.take_if(|at| *at <= now);
        }
    }

    /// A wait that is dropped leaves it as it is.
    fn echo(&self) -> MutexGuard<'_, Option<Instant>> {
        self.echo.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that listens, ended with its outbox.
#[derive(Debug)]
struct Listener(AbortHandle);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn listen(connector: Connector, table: String, count: watch::Sender<u64>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let count = count.clone();
        let notify = move || count.send_modify(|count| *count = count.wrapping_add(1));
        if let Ok(mut line) = connector.line("outbox listener", notify.clone()).await
            && matches!(
                timeout(CONNECT_TIMEOUT, subscribe(&line.client, &table)).await,
                Ok(Ok(()))
            )
        {
            pause = FIRST_PAUSE;
            // What was enqueued while nobody listened.
            notify();
            // Ended by an error or not, it is gone.
            while timeout(ASK, &mut line.driver).await.is_err() {
                // A network that went silent looks like one in which nothing happens.
                if !matches!(
                    timeout(CONNECT_TIMEOUT, line.client.batch_execute("")).await,
                    Ok(Ok(()))
                ) {
                    line.driver.abort();
                    break;
                }
            }
        }
        sleep(pause).await;
        pause = pause.saturating_mul(2).min(LAST_PAUSE);
    }
}

/// Listens to the channel of one table, as `outbox_ring` names it.
async fn subscribe(client: &Client, table: &str) -> Result<(), BoxedError> {
    let value: link::Value<'_> = (&table, Type::TEXT);
    let row = client
        .query_typed_one(
            "SELECT format('LISTEN %I', 'outbox_event_' || $1::regclass::oid)",
            &[value],
        )
        .await?;
    Ok(client.batch_execute(row.try_get(0)?).await?)
}
