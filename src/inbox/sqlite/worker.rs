//! The worker on a SQLite file: handlers block, off the threads of the runtime.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::batch::process_all;
use super::held::take_up;
use super::{PART, purge, redrive};
use crate::broker::{Consumer, Delivery};
use crate::inbox::batch::{LONGEST, Settled};
use crate::inbox::handler_error::caught;
use crate::inbox::intake::RECEIVING;
use crate::inbox::order::{ByKey, TAKING_UP, TakenUp};
use crate::inbox::worker::{
    self, End, Handlers, Inbox, Kinds, Named, On, Otherwise, Received, Versions,
    WorkerConfig, WorkerError, accepting, fits, unhandled,
};
use crate::inbox::{HandlerError, InboxConfig};
use crate::state::Acknowledged;
use crate::store::StoreError;
use crate::store::doing::REDRIVING;
use crate::store::error::Doing;
use crate::store::sqlite::Shared;
use crate::{AnyEnvelope, ConfigError, Decision, DeliveryStatus, Envelope};

/// Handles the events of one consumer in the inbox of a SQLite file.
///
/// ```
/// # #[cfg(feature = "serde")] {
/// use integration_automation_patterns::broker::{Broker, in_process};
/// use integration_automation_patterns::inbox::worker::WorkerConfig;
/// use integration_automation_patterns::inbox::{InboxConfig, sqlite};
/// use integration_automation_patterns::{Envelope, Event, RawEvent, RetryPolicy};
/// use std::time::Duration;
///
/// #[derive(serde::Deserialize)]
/// struct LeadCreated {
///     name: String,
/// }
/// impl Event for LeadCreated {
///     const TYPE: &'static str = "crm.lead.created";
/// }
///
/// # let folder = std::env::temp_dir().join(format!("worker-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("erp.db");
/// # let table = "CREATE TABLE customer (name TEXT)";
/// # rusqlite::Connection::open(&path)?.execute_batch(table)?;
/// # let mut runtime = tokio::runtime::Builder::new_current_thread();
/// # runtime.enable_time().build()?.block_on(async {
/// let handlers = sqlite::handlers().on::<LeadCreated>().effect(|transaction, lead| {
///     transaction.execute("INSERT INTO customer VALUES (?1)", [&lead.payload.name])?;
///     Ok(())
/// });
/// let week = Duration::from_secs(7 * 24 * 60 * 60);
/// let inbox = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
/// let (broker, listener) = in_process(16);
/// let config = WorkerConfig::default();
/// let worker = sqlite::Worker::open(&path, inbox, listener, handlers, config)?;
///
/// let lead = RawEvent::new("crm.lead.created", br#"{"name":"Ada"}"#);
/// let event = Envelope::builder("crm", lead).build()?.dispatch();
/// let (sent, summary) = tokio::join!(
///     async {
///         let sent = broker.send(&event).await;
///         drop(broker);
///         sent
///     },
///     worker.run(std::future::pending::<()>()), // here, until the broker is gone
/// );
/// assert!(sent.is_ok());
/// assert_eq!(summary.processed, 1);
/// # drop(worker);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Worker<C, L> = worker::Worker<File<L>, C>;

/// The handlers of a [`Worker`], to be named one after another.
pub const fn handlers() -> Handlers<Sqlite, End> {
    Handlers::new(End)
}

/// The database of these handlers.
#[derive(Debug, Clone, Copy)]
pub struct Sqlite;

/// A handler that blocks.
pub trait Handle: Kinds + Send + Sync + 'static {
    /// The outcome of the handler; `None` if no handler takes the event.
    #[doc(hidden)]
    fn handle(
        &self,
        transaction: &Transaction<'_>,
        event: &Envelope<Acknowledged>,
    ) -> Option<Result<(), HandlerError>>;
}

impl Handle for End {
    fn handle(
        &self,
        _: &Transaction<'_>,
        _: &Envelope<Acknowledged>,
    ) -> Option<Result<(), HandlerError>> {
        None
    }
}

impl<E, F, V, L> Handle for On<E, F, V, L>
where
    E: 'static,
    F: Fn(&Transaction<'_>, Received<'_, E>) -> Result<(), HandlerError>,
    F: Send + Sync + 'static,
    V: Kinds + Send + Sync + 'static,
    L: Handle,
{
    fn handle(
        &self,
        transaction: &Transaction<'_>,
        event: &Envelope<Acknowledged>,
    ) -> Option<Result<(), HandlerError>> {
        match self.read(event) {
            Some(Ok(payload)) => {
                Some((self.effect)(transaction, Received { payload, event }))
            }
            Some(Err(unreadable)) => Some(Err(unreadable.into())),
            None => self.rest.handle(transaction, event),
        }
    }
}

impl<F, L> Handle for Otherwise<F, L>
where
    F: Fn(&Transaction<'_>, &Envelope<Acknowledged>) -> Result<(), HandlerError>,
    F: Send + Sync + 'static,
    L: Handle,
{
    fn handle(
        &self,
        transaction: &Transaction<'_>,
        event: &Envelope<Acknowledged>,
    ) -> Option<Result<(), HandlerError>> {
        let handled = self.rest.handle(transaction, event);
        handled.or_else(|| Some((self.effect)(transaction, event)))
    }
}

impl<E, V, L> Named<Sqlite, E, V, L> {
    /// The handler of this event: it writes in the transaction that remembers the event,
    /// and may block.
    pub fn effect<F>(self, effect: F) -> Handlers<Sqlite, On<E, F, V, L>>
    where
        V: Versions<E>,
        F: Fn(&Transaction<'_>, Received<'_, E>) -> Result<(), HandlerError>,
        F: Send + Sync + 'static,
    {
        self.handled_by(effect)
    }
}

impl<L> Handlers<Sqlite, L> {
    /// Sets the handler of every event that no other handler names, unreadable messages
    /// included. Without it, such an event becomes a dead letter, or is [left to another
    /// consumer](InboxConfig::leave_unknown).
    pub fn otherwise<F>(self, effect: F) -> Handlers<Sqlite, Otherwise<F, L>>
    where
        F: Fn(&Transaction<'_>, &Envelope<Acknowledged>) -> Result<(), HandlerError>,
        F: Send + Sync + 'static,
    {
        Handlers::new(Otherwise { effect, rest: self.list })
    }
}

/// A SQLite file with an inbox and its handlers.
pub struct File<L> {
    shared: Shared,
    parts: Arc<Parts<L>>,
}

/// What handles an event, and by which rules.
pub(super) struct Parts<L> {
    pub(super) handlers: L,
    pub(super) config: InboxConfig,
    pub(super) order: Option<ByKey>,
}

impl<C: Consumer, L: Handle> Worker<C, L>
where
    C::Acker: 'static,
{
    /// Opens the file, which is made where it is missing, and the table of its inbox too.
    /// The inbox takes in what the handlers name.
    ///
    /// # Errors
    ///
    /// [`WorkerError`]: settings or handlers that cannot hold what a worker promises,
    /// what the database answers, and a table that a newer version of this crate has
    /// made.
    pub fn open(
        path: impl AsRef<Path>,
        inbox: InboxConfig,
        consumer: C,
        handlers: Handlers<Sqlite, L>,
        config: WorkerConfig,
    ) -> Result<Self, WorkerError> {
        let config = config.check()?;
        if let Some(lanes) = config.lanes.filter(|lanes| *lanes > 1) {
            let wanted = "1 on SQLite, which has one writer";
            return Err(ConfigError::new("lanes", wanted, lanes.to_string()).into());
        }
        if let Some(time) = config.handler_timeout {
            let wanted = "none on SQLite, where a handler blocks its thread and cannot \
                          be stopped";
            let found = format!("{time:?}");
            return Err(ConfigError::new("handler_timeout", wanted, found).into());
        }
        fits(consumer.ack_wait(), LONGEST, Duration::ZERO)?;
        if let Some(order) = &config.order {
            order.check_inbox(&inbox)?;
        }
        let parts = Arc::new(Parts {
            config: accepting(inbox, &handlers.list)?,
            handlers: handlers.list,
            order: config.order.clone(),
        });
        let shared = Shared::open(path.as_ref(), &PART)?;
        Ok(Self::new(File { shared, parts }, consumer, config))
    }
}

fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// The handler of an event.
pub(super) fn run(
    handlers: &impl Handle,
    transaction: &Transaction<'_>,
    event: &Envelope<Acknowledged>,
) -> Result<(), HandlerError> {
    handlers.handle(transaction, event).unwrap_or_else(|| Err(unhandled(event)))
}

impl<L: Handle> Inbox for File<L> {
    const LANES: usize = 1;

    const BATCH: usize = 100;

    async fn process_all<A: Send + 'static>(
        &self,
        deliveries: Vec<Delivery<A>>,
    ) -> Vec<Settled<A>> {
        let parts = Arc::clone(&self.parts);
        let work = move |connection: &mut Connection| {
            process_all(connection, deliveries, &parts, LONGEST)
        };
        let settled = self.shared.work(RECEIVING, work).await;
        settled.unwrap_or_else(|error| vec![(0, Err(error))])
    }

    async fn redrive(
        &self,
        event: AnyEnvelope,
        decision: Decision,
    ) -> Result<Option<DeliveryStatus>, StoreError> {
        let parts = Arc::clone(&self.parts);
        let work = move |connection: &mut Connection| {
            let Parts { handlers, config, .. } = &*parts;
            let transaction = begin(connection).doing(REDRIVING)?;
            let Some(fresh) = redrive(transaction, &event, decision, config)? else {
                return Ok(None);
            };
            let handle = || run(handlers, fresh.transaction(), fresh.event());
            match fresh.in_span(|| caught(handle)) {
                Ok(()) => fresh.commit().map(|_| Some(DeliveryStatus::Processed)),
                Err(fault) => fresh.fail(fault).map(|handled| Some(handled.status())),
            }
        };
        self.shared.work(REDRIVING, work).await?
    }

    async fn take_up(&self) -> Result<TakenUp, StoreError> {
        let parts = Arc::clone(&self.parts);
        let work =
            move |connection: &mut Connection| take_up(connection, &parts, LONGEST);
        self.shared.work(TAKING_UP, work).await?
    }

    async fn look(&self) -> Result<(), StoreError> {
        const DOING: &str = "looking whether the database can be written";
        let look = |connection: &mut Connection| begin(connection).map(drop).doing(DOING);
        self.shared.work(DOING, look).await?
    }

    async fn purge(&self, limit: usize) -> Result<u64, StoreError> {
        let parts = Arc::clone(&self.parts);
        let work =
            move |connection: &mut Connection| purge(connection, &parts.config, limit);
        self.shared.work("forgetting old events", work).await?
    }
}

impl<L> fmt::Debug for File<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("shared", &self.shared).finish_non_exhaustive()
    }
}

/// A worker can be a task of a runtime of many threads.
#[cfg(test)]
fn _runs_anywhere<C: Consumer<Acker: 'static>, L: Handle>(
    worker: &Worker<C, L>,
) -> impl Future<Output = worker::Summary> + Send {
    worker.run(std::future::pending::<()>())
}
