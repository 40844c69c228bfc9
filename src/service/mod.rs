//! A service: the relays, workers and other tasks of one process, which run together until
//! it is stopped.
//!
//! Each part runs as a task of its own, with a [`Stop`]. When the process must stop, or
//! a part fails or panics, the service stops all parts, lets each end in its own time,
//! and reports them together:
//!
//! ```
//! # #[cfg(feature = "sqlite")] {
//! # use integration_automation_patterns::broker::in_process;
//! # use integration_automation_patterns::inbox::worker::WorkerConfig;
//! # use integration_automation_patterns::inbox::{InboxConfig, sqlite as inbox};
//! # use integration_automation_patterns::outbox::sqlite::Outbox;
//! # use integration_automation_patterns::relay::{Relay, RelayConfig};
//! # use integration_automation_patterns::RetryPolicy;
//! # use std::time::Duration;
//! use integration_automation_patterns::service::Service;
//!
//! # let folder = std::env::temp_dir().join(format!("service-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("erp.db");
//! # let mut runtime = tokio::runtime::Builder::new_current_thread();
//! # runtime.enable_all().build()?.block_on(async {
//! # let (broker, listener) = in_process(16);
//! # let relay = Relay::new("relay", Outbox::open(&path)?, broker, RelayConfig::default())?;
//! # let window = Duration::from_secs(7 * 24 * 60 * 60);
//! # let inbox = InboxConfig::new(window, RetryPolicy::DEFAULT)?;
//! # let handlers = inbox::handlers().otherwise(|_, _| Ok(()));
//! # let config = WorkerConfig::default();
//! # let worker = inbox::Worker::open(&path, inbox, listener, handlers, config)?;
//! # let terminated = std::future::ready(());
//! let summary = Service::new()
//!     .part("relay", |stop| relay.run(stop))
//!     .part("worker", |stop| worker.run(stop))
//!     .run(terminated) // `terminated()?`, with the feature `signal`
//!     .await?;
//! assert_eq!(summary.parts.len(), 2);
//! println!("{summary}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # std::fs::remove_dir_all(&folder)?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "signal")]
mod signal;
mod summary;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

use crate::sleep::{after, at};

#[cfg(feature = "signal")]
#[cfg_attr(docsrs, doc(cfg(feature = "signal")))]
pub use self::signal::terminated;
pub use self::summary::{PartEnd, PartSummary, ServiceError, ServiceSummary};

type Running = Pin<Box<dyn Future<Output = PartEnd> + Send>>;

/// The default of [`Service::shutdown_timeout`].
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

/// The parts of a process, which run together. See the [module](self) for an example.
#[must_use = "no part runs before `run` is called"]
pub struct Service {
    parts: Vec<(String, Running)>,
    told: watch::Sender<bool>,
    shutdown_timeout: Duration,
}

impl Default for Service {
    fn default() -> Self {
        Self::new()
    }
}

impl Service {
    /// A service without a part.
    pub fn new() -> Self {
        let told = watch::Sender::new(false);
        Self { parts: Vec::new(), told, shutdown_timeout: SHUTDOWN_TIMEOUT }
    }

    /// Adds a part under the name that the summary shows: a relay's `run`, a worker's
    /// `run`, or any other future that returns `()` or a `Result`. It starts with
    /// [`run`](Self::run), as a task of its own, and must end once its [`Stop`] is
    /// ready.
    ///
    /// A part that ends well by itself leaves the others running.
    pub fn part<R>(
        mut self,
        name: impl Into<String>,
        part: impl FnOnce(Stop) -> R,
    ) -> Self
    where
        R: Future<Output: Into<PartEnd>> + Send + 'static,
    {
        let part = part(Stop::new(self.told.subscribe()));
        self.parts.push((name.into(), Box::pin(async { part.await.into() })));
        self
    }

    /// How long the parts may take to end once the service stops, 30 s by default; then
    /// it aborts the rest. Make it longer than the `shutdown_timeout` of each relay and
    /// worker.
    pub fn shutdown_timeout(self, shutdown_timeout: Duration) -> Self {
        Self { shutdown_timeout, ..self }
    }

    /// Runs all parts until `stop` is ready, whatever its output, or one of them fails
    /// or panics, and then stops the others; or until all have ended by themselves.
    ///
    /// Dropping the future before its end aborts the parts.
    ///
    /// # Errors
    ///
    /// [`ServiceError`], with the summary of all parts, if one of them failed,
    /// panicked, or did not end in time.
    ///
    /// # Panics
    ///
    /// Tokio panics outside a runtime with time enabled.
    pub async fn run<O>(
        self,
        stop: impl Future<Output = O>,
    ) -> Result<ServiceSummary, ServiceError> {
        let mut stop = pin!(stop);
        let (mut running, mut parts) = (JoinSet::new(), Vec::new());
        for (name, part) in self.parts {
            let task = running.spawn(part);
            parts.push(Part { task: task.id(), name, end: None });
        }
        let (mut stops, mut deadline) = (false, None);
        loop {
            let ended = tokio::select! {
                biased;
                _ = &mut stop, if !stops => None,
                () = at(deadline) => break,
                ended = running.join_next_with_id() => match ended {
                    Some(ended) => Some(ended),
                    None => break,
                },
            };
            let goes_on = ended.is_some_and(|ended| note(&mut parts, ended));
            if !goes_on && !stops {
                stops = true;
                self.told.send_replace(true);
                deadline = Some(after(self.shutdown_timeout));
            }
        }
        // What ended at the deadline has not been noted yet.
        while let Some(ended) = running.try_join_next_with_id() {
            note(&mut parts, ended);
        }
        running.abort_all();
        let aborted = || PartEnd::Aborted(self.shutdown_timeout);
        let parts = parts.into_iter().map(|Part { name, end, .. }| PartSummary {
            name,
            end: end.unwrap_or_else(aborted),
        });
        ServiceSummary { parts: parts.collect() }.check()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.parts.iter().map(|(name, _)| name).collect();
        f.debug_struct("Service")
            .field("parts", &names)
            .field("shutdown_timeout", &self.shutdown_timeout)
            .finish()
    }
}

/// A future that is ready once the service stops.
#[must_use = "a part that does not wait for it is aborted"]
pub struct Stop(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Stop {
    fn new(mut told: watch::Receiver<bool>) -> Self {
        Self(Box::pin(async move {
            // The error says that the service is gone, which aborts its parts.
            drop(told.wait_for(|told| *told).await);
        }))
    }
}

impl Future for Stop {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").finish_non_exhaustive()
    }
}

/// A part that runs, or has ended.
struct Part {
    task: Id,
    name: String,
    end: Option<PartEnd>,
}

/// Notes how a part has ended, and says whether the others go on.
fn note(parts: &mut [Part], ended: Result<(Id, PartEnd), JoinError>) -> bool {
    let (task, end) = match ended {
        Ok((task, end)) => (task, end),
        Err(error) => (error.id(), unfinished(error)),
    };
    let goes_on = end.is_well();
    if let Some(part) = parts.iter_mut().find(|part| part.task == task) {
        part.end = Some(end);
    }
    goes_on
}

/// How a task ended that returned nothing.
fn unfinished(error: JoinError) -> PartEnd {
    if error.is_cancelled() {
        return PartEnd::Cancelled;
    }
    let words = |panic: Box<dyn Any + Send>| match panic.downcast::<String>() {
        Ok(words) => *words,
        Err(panic) => {
            (*panic.downcast::<&str>().unwrap_or_else(|_| Box::new(""))).to_owned()
        }
    };
    PartEnd::Panicked(error.try_into_panic().map(words).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Protects an operator from looking for a panic that never was.
    #[tokio::test]
    async fn a_task_that_is_cancelled_has_not_panicked() {
        let mut running = JoinSet::<PartEnd>::new();
        let task = running.spawn(std::future::pending());
        let part = Part { task: task.id(), name: "relay".to_owned(), end: None };
        task.abort();
        let (mut parts, ended) = ([part], running.join_next_with_id().await.unwrap());
        assert!(!note(&mut parts, ended), "the others stop");
        assert!(matches!(parts, [Part { end: Some(PartEnd::Cancelled), .. }]));
    }
}
