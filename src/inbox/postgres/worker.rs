//! The worker on PostgreSQL: handlers are asynchronous, each on a connection of its own.

use std::fmt;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, NoTls, Socket, Transaction};

use super::batch::{process_all, silent};
use super::held::take_up;
use super::process::caught;
use super::{install, purge, redrive};
use crate::broker::{Consumer, Delivery};
use crate::inbox::batch::{LONGEST, Settled};
use crate::inbox::intake::RECEIVING;
use crate::inbox::order::{ByKey, TAKING_UP, TakenUp};
use crate::inbox::worker::{
    self, End, Handlers, Inbox, Kinds, Named, On, Otherwise, Received, Versions,
    WorkerConfig, WorkerError, accepting, fits, unhandled,
};
use crate::inbox::{HandlerError, InboxConfig};
use crate::state::Acknowledged;
use crate::store::doing::REDRIVING;
use crate::store::postgres::{self as database, Clients, Connector};
use crate::store::{CHECKING, INSTALLING, StoreError};
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::{AnyEnvelope, ConfigError, Decision, DeliveryStatus, Envelope};

/// Handles the events of one consumer in the inbox of a PostgreSQL database.
///
/// ```no_run
/// # #[cfg(feature = "serde")]
/// # mod example {
/// use integration_automation_patterns::broker::Consumer;
/// use integration_automation_patterns::inbox::worker::WorkerConfig;
/// use integration_automation_patterns::inbox::{InboxConfig, postgres};
/// use integration_automation_patterns::{Event, RetryPolicy};
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
/// async fn work(
///     listener: impl Consumer<Acker: 'static>,
///     stop: impl Future<Output = ()> + Send,
/// ) -> Result<(), Box<dyn std::error::Error>> {
///     let handlers = postgres::handlers().on::<LeadCreated>().effect(async |erp, lead| {
///         let name = &lead.payload.name;
///         erp.execute("INSERT INTO customer VALUES ($1)", &[name]).await?;
///         Ok(())
///     });
///     let week = Duration::from_secs(7 * 24 * 60 * 60);
///     let inbox = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
///     let erp = "host=127.0.0.1 user=erp".parse()?;
///     let config = WorkerConfig::default();
///     let worker = postgres::Worker::connect(erp, inbox, listener, handlers, config);
///     let worker = worker.await?;
///     let summary = worker.run(stop).await;
///     assert_eq!(summary, worker.progress());
///     Ok(())
/// }
/// # }
/// ```
pub type Worker<C, L> = worker::Worker<Database<L>, C>;

/// The handlers of a [`Worker`], to be named one after another.
pub const fn handlers() -> Handlers<Postgres, End> {
    Handlers::new(End)
}

/// The database of these handlers.
#[derive(Debug, Clone, Copy)]
pub struct Postgres;

/// A list of asynchronous handlers.
pub trait Handle: Kinds + Send + Sync {
    /// The outcome of the handler; `None` if no handler takes the event.
    #[doc(hidden)]
    fn handle(
        &self,
        transaction: &Transaction<'_>,
        event: &Envelope<Acknowledged>,
    ) -> impl Future<Output = Option<Result<(), HandlerError>>>;
}

impl Handle for End {
    async fn handle(
        &self,
        _: &Transaction<'_>,
        _: &Envelope<Acknowledged>,
    ) -> Option<Result<(), HandlerError>> {
        None
    }
}

impl<E, F, V, L> Handle for On<E, F, V, L>
where
    F: AsyncFn(&Transaction<'_>, Received<'_, E>) -> Result<(), HandlerError>,
    F: Send + Sync,
    V: Kinds + Send + Sync,
    L: Handle,
{
    async fn handle(
        &self,
        transaction: &Transaction<'_>,
        event: &Envelope<Acknowledged>,
    ) -> Option<Result<(), HandlerError>> {
        match self.read(event) {
            Some(Ok(payload)) => {
                Some((self.effect)(transaction, Received { payload, event }).await)
            }
            Some(Err(unreadable)) => Some(Err(unreadable.into())),
            None => self.rest.handle(transaction, event).await,
        }
    }
}

impl<F, L> Handle for Otherwise<F, L>
where
    F: AsyncFn(&Transaction<'_>, &Envelope<Acknowledged>) -> Result<(), HandlerError>,
    F: Send + Sync,
    L: Handle,
{
    async fn handle(
        &self,
        transaction: &Transaction<'_>,
        event: &Envelope<Acknowledged>,
    ) -> Option<Result<(), HandlerError>> {
        match self.rest.handle(transaction, event).await {
            Some(handled) => Some(handled),
            None => Some((self.effect)(transaction, event).await),
        }
    }
}

impl<E, V, L> Named<Postgres, E, V, L> {
    /// Sets the handler of this event. It writes in the transaction that remembers the
    /// event.
    pub fn effect<F>(self, effect: F) -> Handlers<Postgres, On<E, F, V, L>>
    where
        V: Versions<E>,
        F: AsyncFn(&Transaction<'_>, Received<'_, E>) -> Result<(), HandlerError>,
        F: Send + Sync,
    {
        self.handled_by(effect)
    }
}

impl<L> Handlers<Postgres, L> {
    /// Sets the handler of every event that no other handler names, unreadable messages
    /// included. Without it, such an event becomes a dead letter, or is [left to another
    /// consumer](InboxConfig::leave_unknown).
    pub fn otherwise<F>(self, effect: F) -> Handlers<Postgres, Otherwise<F, L>>
    where
        F: AsyncFn(&Transaction<'_>, &Envelope<Acknowledged>) -> Result<(), HandlerError>,
        F: Send + Sync,
    {
        Handlers::new(Otherwise { effect, rest: self.list })
    }
}

/// How long a handler may take by default.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(20);

/// PostgreSQL shares only so many subtransactions of a session in memory.
const MOST_SAVEPOINTS: usize = 64;

/// How long the inbox's own statements may take beside the handler.
const STATEMENTS: Duration = Duration::from_secs(30);

/// A PostgreSQL database with an inbox and its handlers.
pub struct Database<L> {
    clients: Clients,
    handlers: L,
    pub(super) config: InboxConfig,
    pub(super) order: Option<ByKey>,
    handler_timeout: Duration,
}

impl<C: Consumer, L: Handle> Worker<C, L>
where
    C::Acker: 'static,
{
    /// Connects without TLS, and makes a missing table in the first schema of the search
    /// path. The inbox takes in the events that the handlers name.
    ///
    /// The worker uses a connection for each of its [lanes](WorkerConfig::lanes), one for
    /// purges and one for held events, and connects again after a loss. In
    /// `pg_stat_activity` they are `inbox worker`, unless the configuration sets
    /// `application_name`.
    ///
    /// # Errors
    ///
    /// [`WorkerError`]: settings or handlers with which a worker cannot keep its
    /// promises, a configuration that asks for TLS, an error of the database, or a table
    /// of a newer version of this crate that this version cannot use.
    pub async fn connect(
        database: Config,
        inbox: InboxConfig,
        consumer: C,
        handlers: Handlers<Postgres, L>,
        config: WorkerConfig,
    ) -> Result<Self, WorkerError> {
        database::without_tls(&database)
            .map_err(|error| StoreError::new("connecting", error))?;
        Self::connect_with(database, NoTls, inbox, consumer, handlers, config).await
    }

    /// Connects over TLS. An authority of `tls` must vouch for the server under the
    /// host's name.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); and a server without TLS, or whose certificate is
    /// refused.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub async fn connect_tls(
        database: Config,
        tls: &Tls,
        inbox: InboxConfig,
        consumer: C,
        handlers: Handlers<Postgres, L>,
        config: WorkerConfig,
    ) -> Result<Self, WorkerError> {
        let (database, tls) = database::secured(database, tls)?;
        Self::connect_with(database, tls, inbox, consumer, handlers, config).await
    }

    /// Connects with the TLS of another crate, such as `postgres-native-tls`. If it must
    /// not fall back to plain text, the configuration says `sslmode=require`.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_with<T>(
        database: Config,
        tls: T,
        inbox: InboxConfig,
        consumer: C,
        handlers: Handlers<Postgres, L>,
        config: WorkerConfig,
    ) -> Result<Self, WorkerError>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let config = config.check()?;
        if let Some(batch) = config.batch.filter(|batch| *batch > MOST_SAVEPOINTS) {
            let wanted = "at most 64 on PostgreSQL, which is slow with more savepoints";
            return Err(ConfigError::new("batch", wanted, batch.to_string()).into());
        }
        if let Some(order) = &config.order {
            order.check_inbox(&inbox)?;
        }
        let handler_timeout = config.handler_timeout.unwrap_or(HANDLER_TIMEOUT);
        fits(consumer.ack_wait(), LONGEST, handler_timeout)?;
        let accepted = accepting(inbox, &handlers.list)?;
        let clients = Clients::new(Connector::new(database, tls), "inbox worker");
        let installed = database::within(INSTALLING, async {
            let mut held = clients.hold(CHECKING).await?;
            install(held.client()).await?;
            held.release();
            Ok(())
        });
        installed.await?;
        let database = Database {
            clients,
            handlers: handlers.list,
            config: accepted,
            order: config.order.clone(),
            handler_timeout,
        };
        Ok(Self::new(database, consumer, config))
    }
}

impl<L: Handle> Database<L> {
    async fn redrive_with(
        &self,
        client: &mut Client,
        event: &AnyEnvelope,
        decision: Decision,
    ) -> Result<Option<DeliveryStatus>, StoreError> {
        let begun = client.transaction().await;
        let transaction = begun.map_err(|error| StoreError::new(REDRIVING, error))?;
        let fresh = redrive(transaction, event, decision, &self.config).await?;
        let Some(fresh) = fresh else { return Ok(None) };
        let handle = caught(self.handle(fresh.transaction(), fresh.event()));
        match fresh.instrument(handle).await {
            Ok(()) => {
                let _committed = fresh.commit().await?;
                Ok(Some(DeliveryStatus::Processed))
            }
            Err(fault) => Ok(Some(fresh.fail(fault).await?.status())),
        }
    }

    /// How long a transaction may take, its handlers included.
    pub(super) const fn longest(&self) -> Duration {
        self.handler_timeout.saturating_add(STATEMENTS)
    }

    /// The handler, in the time that it may take.
    pub(super) async fn handle(
        &self,
        transaction: &Transaction<'_>,
        event: &Envelope<Acknowledged>,
    ) -> Result<(), HandlerError> {
        let time = self.handler_timeout;
        match timeout(time, self.handlers.handle(transaction, event)).await {
            Ok(Some(handled)) => handled,
            Ok(None) => Err(unhandled(event)),
            Err(_) => Err(HandlerError::transient(format!(
                "the handler did not end within {time:?}"
            ))),
        }
    }
}

impl<L: Handle> Inbox for Database<L> {
    const LANES: usize = 4;

    const BATCH: usize = 50;

    async fn process_all<A: Send + 'static>(
        &self,
        deliveries: Vec<Delivery<A>>,
    ) -> Vec<Settled<A>> {
        let mut held = match self.clients.hold(RECEIVING).await {
            Ok(held) => held,
            Err(error) => return vec![(0, Err(error))],
        };
        let settled = process_all(held.client(), deliveries, self).await;
        if settled.iter().all(|(_, handled)| handled.is_ok()) {
            held.release();
        }
        settled
    }

    async fn redrive(
        &self,
        event: AnyEnvelope,
        decision: Decision,
    ) -> Result<Option<DeliveryStatus>, StoreError> {
        let mut held = self.clients.hold(REDRIVING).await?;
        let redriven = self.redrive_with(held.client(), &event, decision);
        let status = database::within(REDRIVING, redriven).await?;
        held.release();
        Ok(status)
    }

    async fn take_up(&self) -> Result<TakenUp, StoreError> {
        let mut held = self.clients.hold(TAKING_UP).await?;
        // The last one begins before a transaction has lasted long.
        let time = self.longest().saturating_add(LONGEST);
        let taken = timeout(time, take_up(held.client(), self)).await;
        let taken = taken.unwrap_or_else(|_| Err(silent(TAKING_UP, time)))?;
        held.release();
        Ok(taken)
    }

    async fn look(&self) -> Result<(), StoreError> {
        const DOING: &str = "looking whether the database answers";
        let mut held = self.clients.hold(DOING).await?;
        held.client()
            .batch_execute("SELECT 1")
            .await
            .map_err(|error| StoreError::new(DOING, error))?;
        held.release();
        Ok(())
    }

    async fn purge(&self, limit: usize) -> Result<u64, StoreError> {
        let mut held = self.clients.hold("forgetting old events").await?;
        let gone = purge(held.client(), &self.config, limit).await?;
        held.release();
        Ok(gone)
    }
}

impl<L> fmt::Debug for Database<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("clients", &self.clients).finish_non_exhaustive()
    }
}
