//! The relay: from the outbox to the broker, one loop for every database and every
//! broker.
//!
//! It claims due events under a lease (the attempt is stored before the send), sends them
//! concurrently with a timeout for each, renews the leases of slow sends, and settles
//! each event by the outcome of its send. A crash may cause a second delivery, which the
//! consumer's [inbox](crate::inbox) recognizes as a duplicate, but never a loss.

mod config;
#[cfg(all(test, feature = "sqlite"))]
mod idle_test;
mod outage;
mod outcome;
mod run;
#[cfg(all(test, feature = "sqlite"))]
mod stall_test;

use std::fmt;
use std::future::Future;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

pub use self::config::RelayConfig;
pub use self::outage::{Outage, OutageKind};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use self::outage::{WORKER, Watch};
use self::run::Run;
#[doc(no_inline)]
pub use crate::ConfigError;
use crate::EventId;
use crate::audit::AuditTrail;
use crate::broker::Broker;
use crate::outbox::{Finding, LeaseLostError, Store, StoreError};

/// Moves events from one store to one broker. Many relays, in many processes, may share
/// the store.
///
/// # Panics
///
/// Its runs need a tokio runtime with time and, for a server, I/O enabled (`enable_all`):
/// tokio panics otherwise.
///
/// ```
/// # #[cfg(feature = "sqlite")] {
/// # use integration_automation_patterns::outbox::{Admin, sqlite};
/// # use integration_automation_patterns::broker::{Ack, Consumer, in_process};
/// # use integration_automation_patterns::relay::{Relay, RelayConfig};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let outbox = sqlite::Outbox::open(":memory:")?;
/// let (broker, _listener) = in_process(16);
/// let relay = Relay::new("relay-1", outbox, broker, RelayConfig::default())?;
/// let summary = relay.run(std::future::ready(())).await; // until told to stop: here at once
/// assert_eq!(summary.acknowledged, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok(())
/// # }
/// # main().unwrap();
/// # }
/// ```
#[doc(alias("message relay", "CDC", "polling publisher"))]
pub struct Relay<S, B> {
    name: String,
    store: Arc<S>,
    broker: Arc<B>,
    config: RelayConfig,
    on_incident: Arc<dyn Fn(&Incident) + Send + Sync>,
    trail: AuditTrail,
    progress: Arc<Mutex<Summary>>,
}

impl<S: Store, B: Broker> Relay<S, B> {
    /// A relay with this name, which the history of each event that it claims shows.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], if a relay cannot keep its promises with these settings.
    pub fn new(
        name: impl Into<String>,
        store: S,
        broker: B,
        config: RelayConfig,
    ) -> Result<Self, ConfigError> {
        let (name, config) = (name.into(), config.check()?);
        if name.trim().is_empty() {
            let wanted = "one that is not blank: the history of every event that it claims \
                          shows it";
            return Err(ConfigError::new("name of the relay", wanted, name));
        }
        Ok(Self {
            name,
            store: Arc::new(store),
            broker: Arc::new(broker),
            config,
            on_incident: Arc::new(|incident| {
                drop(writeln!(std::io::stderr(), "{incident}"))
            }),
            trail: AuditTrail::silent(),
            progress: Arc::default(),
        })
    }

    /// Runs until `stop` is ready, whatever its output. Then it claims no more, waits for
    /// its sends, and releases what it could not send.
    ///
    /// The run owns what it needs: spawn it as a task, and read
    /// [`progress`](Self::progress) beside it. If the run is dropped before its end, the
    /// events that it holds wait until their leases end, with an attempt spent.
    ///
    /// No error of the store or the broker ends the run: it tries again, at growing
    /// intervals, and calls [`on_incident`](Self::on_incident).
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")] {
    /// # use integration_automation_patterns::outbox::sqlite;
    /// # use integration_automation_patterns::broker::in_process;
    /// # use integration_automation_patterns::relay::{Relay, RelayConfig};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let outbox = sqlite::Outbox::open(":memory:")?;
    /// # let (broker, _listener) = in_process(16);
    /// let relay = Relay::new("relay-1", outbox, broker, RelayConfig::default())?;
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// let running = tokio::spawn(relay.run(stopped)); // or `relay.run(ctrl_c())`
    /// drop(stop);
    /// assert_eq!(running.await?, relay.progress());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// # main().unwrap();
    /// # }
    /// ```
    pub fn run<F: Future + Send>(
        &self,
        stop: F,
    ) -> impl Future<Output = Summary> + Send + use<S, B, F> {
        self.share().drive(stop, false)
    }

    /// Runs until nothing is on its way and nothing is due within one
    /// [poll](RelayConfig::poll_interval), or until `stop` is ready: for a program that
    /// runs now and then. It also returns when the broker takes none of the events that
    /// are left, and releases them.
    ///
    /// Events that wait for a retry, or that another relay holds, are left for the next
    /// run: [`Admin::counts`](crate::outbox::Admin::counts) returns how many they are.
    pub fn run_until_idle<F: Future + Send>(
        &self,
        stop: F,
    ) -> impl Future<Output = Summary> + Send + use<S, B, F> {
        self.share().drive(stop, true)
    }

    /// Polls both concurrently: `stop` may use the same store, and must not be suspended
    /// while the relay waits for that.
    async fn drive(self, stop: impl Future + Send, until_idle: bool) -> Summary {
        let stopped = watch::Sender::new(false);
        // On the heap: it is large, and its caller may have little stack.
        let mut run = Box::pin(Run::new(&self).run(stopped.subscribe(), until_idle));
        tokio::select! {
            summary = &mut run => return summary,
            _ = stop => drop(stopped.send_replace(true)),
        }
        run.await
    }
}

// Without a bound: a store or a broker that is none is refused where the relay is made.
impl<S, B> Relay<S, B> {
    /// Calls `callback` with everything that goes wrong and does not stop the relay. By
    /// default, the relay writes it to standard error.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")] {
    /// # use integration_automation_patterns::outbox::sqlite;
    /// # use integration_automation_patterns::broker::in_process;
    /// use integration_automation_patterns::relay::{Incident, Relay, RelayConfig};
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let outbox = sqlite::Outbox::open(":memory:")?;
    /// # let (broker, _listener) = in_process(16);
    /// let outages = Arc::new(AtomicU64::new(0));
    /// let counter = Arc::clone(&outages);
    /// let relay = Relay::new("relay-1", outbox, broker, RelayConfig::default())?
    ///     .on_incident(move |incident| {
    ///         if let Incident::Outage(_) = incident {
    ///             counter.fetch_add(1, Ordering::Relaxed);
    ///         }
    ///     });
    /// assert_eq!(outages.load(Ordering::Relaxed), 0); // until it runs, and meets one
    /// # drop(relay);
    /// # Ok(())
    /// # }
    /// # main().unwrap();
    /// # }
    /// ```
    #[must_use = "this returns the changed relay; the original is consumed"]
    pub fn on_incident(
        self,
        callback: impl Fn(&Incident) + Send + Sync + 'static,
    ) -> Self {
        Self { on_incident: Arc::new(callback), ..self }
    }

    /// Records every change of state that this relay makes in an audit trail, once it is
    /// stored.
    #[must_use = "this returns the changed relay; the original is consumed"]
    pub fn with_audit_trail(self, trail: AuditTrail) -> Self {
        Self { trail, ..self }
    }

    /// What this relay has done so far, in all its runs. Another task may read it at any
    /// time, for metrics.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")] {
    /// # use integration_automation_patterns::outbox::sqlite;
    /// # use integration_automation_patterns::broker::in_process;
    /// # use integration_automation_patterns::relay::{Relay, RelayConfig};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let outbox = sqlite::Outbox::open(":memory:")?;
    /// # let (broker, _listener) = in_process(16);
    /// let relay = Relay::new("relay-1", outbox, broker, RelayConfig::default())?;
    /// let running = tokio::spawn(relay.run_until_idle(std::future::pending::<()>()));
    /// assert_eq!(relay.progress().failed, 0); // at any time, for metrics
    /// assert_eq!(running.await?, relay.progress());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// # main().unwrap();
    /// # }
    /// ```
    pub fn progress(&self) -> Summary {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts, for one run and for all.
    fn count(
        &self,
        run: &mut Summary,
        counter: fn(&mut Summary) -> &mut u64,
        more: usize,
    ) {
        let mut all = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        for summary in [run, &mut *all] {
            let count = counter(summary);
            *count = count.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
        }
    }

    fn report(&self, incident: &Incident) {
        // A callback that panics must not end the relay.
        let _ = catch_unwind(AssertUnwindSafe(|| (self.on_incident)(incident)));
    }

    /// The same relay, for a run to own.
    fn share(&self) -> Self {
        Self {
            name: self.name.clone(),
            store: Arc::clone(&self.store),
            broker: Arc::clone(&self.broker),
            config: self.config.clone(),
            on_incident: Arc::clone(&self.on_incident),
            trail: self.trail.clone(),
            progress: Arc::clone(&self.progress),
        }
    }
}

impl<S: fmt::Debug, B: fmt::Debug> fmt::Debug for Relay<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("name", &self.name)
            .field("store", &self.store)
            .field("broker", &self.broker)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// What a relay did, in one run or [so far](Relay::progress).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Attempts begun.
    pub claimed: u64,
    /// Events that the broker has confirmed.
    pub acknowledged: u64,
    /// Attempts that failed and have another to follow.
    pub retrying: u64,
    /// Events that became dead letters.
    pub failed: u64,
    /// Events that were released unsent.
    pub released: u64,
    /// Attempts of other relays that failed because their lease ended.
    pub expired: u64,
    /// Leases of this relay that ended before it settled the event or renewed the lease.
    pub leases_lost: u64,
    /// Attempts in which the broker's code panicked: they fail when their lease ends.
    pub panicked: u64,
}

/// What went wrong without stopping the relay.
#[derive(Debug)]
#[non_exhaustive]
pub enum Incident {
    /// The store failed and is retried. Reported once for each new reason, then once a
    /// minute.
    Store(StoreError),
    /// The store did not answer in time and is retried. Reported as often.
    StoreTimeout(&'static str),
    /// The broker takes nothing, or nothing of one type, and the relay pauses. Reported
    /// as often.
    Outage(Outage),
    /// One of these has ended.
    Recovered(Outage),
    /// The lease of a claim ended before this relay settled or renewed it.
    LeaseLost(LeaseLostError),
    /// A row is not a valid event, and is a dead letter now.
    Quarantined(Finding),
    /// The broker's code panicked. The event is claimed again when its lease ends.
    SendPanicked(Option<EventId>),
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => {
                write!(f, "the store failed, and is tried again: {error:#}")
            }
            Self::StoreTimeout(doing) => {
                write!(f, "the store did not answer in time, and is tried again: {doing}")
            }
            Self::Outage(outage) => outage.describe(outage::RELAY, f),
            Self::Recovered(Outage { kind, lasted, failures, .. }) => {
                f.write_str("the relay goes on: ")?;
                match kind {
                    OutageKind::Unreachable => {
                        f.write_str("the broker can be reached again")?
                    }
                    OutageKind::Unavailable => {
                        f.write_str("the broker takes events again")?
                    }
                    OutageKind::Unroutable(event_type) => {
                        write!(f, "the broker takes {event_type} again")?
                    }
                    OutageKind::Store(doing) => {
                        write!(f, "the store answers again at {doing}")?
                    }
                }
                write!(f, ", after {lasted:.0?} and {failures} failed tries")
            }
            Self::LeaseLost(lost) => lost.fmt(f),
            Self::Quarantined(Finding { event, what }) => {
                write!(f, "{event} is no valid event, and a dead letter now: {what}")
            }
            Self::SendPanicked(Some(event)) => {
                write!(f, "the broker's code panicked while it sent {event}")
            }
            Self::SendPanicked(None) => {
                f.write_str("the broker's code panicked while it sent an event")
            }
        }
    }
}
