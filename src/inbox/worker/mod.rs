//! The worker: from the broker into the inbox, one loop for every database and every
//! broker. It is to a consumer what the [relay](crate::relay) is to a producer.
//!
//! It takes deliveries, reads each as the typed event of its handler, runs the handler in
//! the transaction that remembers the event, and acks the delivery after the commit. It
//! pauses while the database or the broker is away, purges old events, and stops
//! gracefully.
//!
//! | database | a worker | handlers |
//! |---|---|---|
//! | SQLite | `inbox::sqlite::Worker::open` | closures that block, on threads for that |
//! | PostgreSQL | `inbox::postgres::Worker::connect` | asynchronous closures |
//!
//! It handles the events of one ordering key one after another, in the order of their
//! delivery. While one that failed waits for its next delivery, later ones may pass it,
//! unless the worker keeps an [order](WorkerConfig::order).

mod codec;
mod config;
mod error;
mod handlers;
mod kinds;
mod lanes;
mod queue;
mod run;
mod summary;
mod turns;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio::time::Instant;

pub use self::codec::{Codec, Json, Or, Own, Version, Versions, With};
pub use self::config::WorkerConfig;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use self::config::fits;
pub use self::error::WorkerError;
pub(crate) use self::handlers::unhandled;
pub use self::handlers::{End, Handlers, Named, On, Otherwise, Received, Typed};
pub(crate) use self::kinds::accepting;
pub use self::kinds::{Kind, Kinds};
use self::run::Run;
pub use self::summary::{Health, Incident, Summary};
use crate::broker::{Consumer, Delivery};
use crate::inbox::Handled;
#[doc(hidden)]
pub use crate::inbox::order::TakenUp;
pub use crate::inbox::order::{ByKey, OnMissing};
pub use crate::outbox::OnDeadLetter;
use crate::relay::Watch;
use crate::store::StoreError;
use crate::{AnyEnvelope, Decision, DeliveryStatus};

/// The inbox of one database, with its handlers, as a worker drives it. The crate's two
/// databases implement it.
pub trait Inbox: Send + Sync {
    /// How many events it handles at once by default.
    #[doc(hidden)]
    const LANES: usize;

    /// How many events share a transaction by default.
    #[doc(hidden)]
    const BATCH: usize;

    /// Handles deliveries in order, and returns the stored outcome of each with its
    /// place. After an error of the database it drops the rest.
    #[doc(hidden)]
    fn process_all<A: Send + 'static>(
        &self,
        deliveries: Vec<Delivery<A>>,
    ) -> impl Future<Output = Vec<(usize, Result<Handled<A>, StoreError>)>>;

    /// Looks whether the database answers.
    #[doc(hidden)]
    fn look(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Handles a dead letter once more, as a person decided.
    #[doc(hidden)]
    fn redrive(
        &self,
        event: AnyEnvelope,
        decision: Decision,
    ) -> impl Future<Output = Result<Option<DeliveryStatus>, StoreError>>;

    /// Handles the held events that are due.
    #[doc(hidden)]
    fn take_up(&self) -> impl Future<Output = Result<TakenUp, StoreError>>;

    /// Removes up to `limit` events, and returns how many.
    #[doc(hidden)]
    fn purge(&self, limit: usize)
    -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// Handles the events of one consumer in one inbox. Many workers, in many processes, may
/// share the inbox.
///
/// # Panics
///
/// Its runs need a tokio runtime with time and, for a server, I/O enabled (`enable_all`):
/// tokio panics otherwise.
pub struct Worker<I, C> {
    inbox: Arc<I>,
    consumer: Arc<tokio::sync::Mutex<C>>,
    config: WorkerConfig,
    lanes: usize,
    batch: usize,
    watch: Arc<dyn Fn(&Incident) + Send + Sync>,
    state: Arc<Mutex<State>>,
}

/// What is known of a worker at any time.
#[derive(Default)]
struct State {
    tries: u64,
    summary: Summary,
    store: Watch,
    broker: Watch,
    held: Watch,
    purge: Watch,
    /// When each delivery came that is held.
    in_hand: BTreeMap<u64, Instant>,
    last_stored_at: Option<DateTime<Utc>>,
}

impl<I: Inbox, C: Consumer> Worker<I, C>
where
    C::Acker: 'static,
{
    pub(crate) fn new(inbox: I, consumer: C, config: WorkerConfig) -> Self {
        Self {
            inbox: Arc::new(inbox),
            consumer: Arc::new(tokio::sync::Mutex::new(consumer)),
            lanes: config.lanes.unwrap_or(I::LANES),
            batch: config.batch.unwrap_or(I::BATCH),
            config,
            watch: Arc::new(|incident| drop(writeln!(std::io::stderr(), "{incident}"))),
            state: Arc::default(),
        }
    }

    /// Works until `stop` is ready, whatever its output, or the consumer has no more to
    /// deliver. Then it takes no more, waits for its handlers, and gives back what it has
    /// not begun.
    ///
    /// The run owns what it needs, so that it can be a task of its own, and
    /// [`health`](Self::health) be read beside it. Dropped before its end, it leaves what
    /// it handles undone, or done and unanswered: either comes again.
    ///
    /// Nothing that a database or a broker answers ends it: it tries again, ever more
    /// slowly, and reports it to [`on_incident`](Self::on_incident). A second run of the
    /// same worker waits until the first has ended.
    pub fn run<F: Future + Send>(
        &self,
        stop: F,
    ) -> impl Future<Output = Summary> + use<I, C, F> {
        self.share().drive(stop, false)
    }

    /// Works until nothing has arrived for one [poll](WorkerConfig::poll_interval), or
    /// until `stop` is ready: for a program that runs now and then. It returns, too, when
    /// database or broker is away; what it holds then comes again.
    pub fn run_until_idle<F: Future + Send>(
        &self,
        stop: F,
    ) -> impl Future<Output = Summary> + use<I, C, F> {
        self.share().drive(stop, true)
    }

    /// The same worker, for a run to own.
    fn share(&self) -> Self {
        Self {
            inbox: Arc::clone(&self.inbox),
            consumer: Arc::clone(&self.consumer),
            config: self.config.clone(),
            lanes: self.lanes,
            batch: self.batch,
            watch: Arc::clone(&self.watch),
            state: Arc::clone(&self.state),
        }
    }

    /// Both are polled side by side: `stop` may wait for what the worker does.
    async fn drive(self, stop: impl Future + Send, until_idle: bool) -> Summary {
        let stopped = watch::Sender::new(false);
        // On the heap: it is large, and its caller may have little stack.
        let mut turn = Box::pin(Run::new(&self).run(stopped.subscribe(), until_idle));
        tokio::select! {
            summary = &mut turn => return summary,
            _ = stop => drop(stopped.send_replace(true)),
        }
        turn.await
    }

    /// Handles a listed dead letter or stalled event once more, as a person decided. Its
    /// handler runs here, whether or not the worker runs.
    ///
    /// Returns the state of the event: `Processed`, or `Retrying` or `Failed` if the
    /// handler failed again; `None` if there is no such event.
    ///
    /// # Errors
    ///
    /// An error of the database. Then nothing is stored.
    pub async fn redrive(
        &self,
        event: impl Into<AnyEnvelope>,
        decision: Decision,
    ) -> Result<Option<DeliveryStatus>, StoreError> {
        self.inbox.redrive(event.into(), decision).await
    }
}

// Without a bound: a consumer that is none is refused where the worker is opened.
impl<I, C> Worker<I, C> {
    /// Calls `watch` with whatever goes wrong and does not stop the worker: for a log and
    /// for alarms. The default writes it to standard error.
    #[must_use = "this gives the worker back"]
    pub fn on_incident(self, watch: impl Fn(&Incident) + Send + Sync + 'static) -> Self {
        Self { watch: Arc::new(watch), ..self }
    }

    /// What this worker has done so far, in all its runs. Another task may read it at any
    /// time, for metrics.
    pub fn progress(&self) -> Summary {
        self.state().summary
    }

    /// The health of this worker. Another task may read it at any time, for a probe.
    pub fn health(&self) -> Health {
        let state = self.state();
        Health {
            store: state.store.outage(),
            broker: state.broker.outage(),
            held: state.held.outage(),
            purge: state.purge.outage(),
            in_hand: state.in_hand.len(),
            oldest_in_hand: state.in_hand.values().next().map(Instant::elapsed),
            last_stored_at: state.last_stored_at,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a try, larger than that of any before it.
    fn number_of_try(&self) -> u64 {
        let mut state = self.state();
        state.tries = state.tries.saturating_add(1);
        state.tries
    }

    fn report(&self, incident: &Incident) {
        // Who watches must not end what is watched.
        let _ = catch_unwind(AssertUnwindSafe(|| (self.watch)(incident)));
    }
}

impl<I: fmt::Debug, C> fmt::Debug for Worker<I, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("inbox", &self.inbox)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
