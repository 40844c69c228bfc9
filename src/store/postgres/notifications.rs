//! A connection of its own, which rings when a transaction has enqueued something. Where
//! it is lost it comes back by itself, and meanwhile nobody hears anything.

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
use super::tables::Place;
use super::{BoxedError, link};

/// The waits between two attempts to listen again: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// How often a listener that hears nothing asks whether the server is still there.
const ASK: Duration = Duration::from_secs(60);

/// How long after a ring somebody looks once more: for transactions that were open when
/// it rang, and did not ring themselves, for the bell was in use.
const ECHO: Duration = Duration::from_millis(50);

/// A bell of one outbox.
#[derive(Debug)]
pub(crate) struct Notifications {
    connector: Connector,
    table: String,
    rung: watch::Sender<u64>,
    /// How often it had rung when somebody last looked.
    seen: AtomicU64,
    /// When somebody is to look once more, after a ring.
    echo: Mutex<Option<Instant>>,
    listener: OnceLock<Listener>,
}

impl Notifications {
    pub(crate) fn new(connector: Connector, place: &Place) -> Self {
        Self {
            connector,
            table: place.name("outbox_event"),
            rung: watch::Sender::new(0),
            seen: AtomicU64::new(0),
            echo: Mutex::default(),
            listener: OnceLock::new(),
        }
    }

    /// What has rung so far is heeded by what follows.
    pub(crate) fn heed(&self) {
        self.seen.store(*self.rung.borrow(), Relaxed);
    }

    /// Waits until it has rung since somebody last heeded it, and no longer than
    /// `at_most`.
    pub(crate) async fn wait(&self, at_most: Duration) {
        let listen =
            || listen(self.connector.clone(), self.table.clone(), self.rung.clone());
        self.listener.get_or_init(|| Listener(tokio::spawn(listen()).abort_handle()));
        let seen = self.seen.load(Relaxed);
        let mut rung = self.rung.subscribe();
        let echo = *self.echo();
        let at_most = echo.map_or(at_most, |at| {
            at_most.min(at.saturating_duration_since(Instant::now()))
        });
        // The time is over, or it has rung; the sender lives as long as this.
        let is_rung = timeout(at_most, rung.wait_for(|rung| *rung != seen)).await.is_ok();
        let (mut echo, now) = (self.echo(), Instant::now());
        if is_rung {
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

/// The task that listens, ended with its bell.
#[derive(Debug)]
struct Listener(AbortHandle);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn listen(connector: Connector, table: String, rung: watch::Sender<u64>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let bell = rung.clone();
        let ring = move || bell.send_modify(|count| *count = count.wrapping_add(1));
        if let Ok(mut line) = connector.line("outbox listener", ring.clone()).await
            && matches!(
                timeout(CONNECT_TIMEOUT, subscribe(&line.client, &table)).await,
                Ok(Ok(()))
            )
        {
            pause = FIRST_PAUSE;
            // What was enqueued while nobody listened.
            ring();
            // Ended by an error or not, it is gone.
            while timeout(ASK, &mut line.driver).await.is_err() {
                // A network that went silent is told from one in which nothing happens.
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
