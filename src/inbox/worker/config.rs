//! How a worker works, checked when it is stated: settings that cannot hold their promise
//! are refused.

use std::fmt;
use std::time::Duration;

use crate::store::StoreError;

/// How a worker works. Everything has a default.
///
/// ```
/// use integration_automation_patterns::inbox::worker::WorkerConfig;
/// use std::time::Duration;
///
/// let config = WorkerConfig::default().shutdown_timeout(Duration::from_secs(30)).check()?;
/// let refused = config.lanes(0).check().unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "lanes >= 1 does not hold: a worker without a lane handles no event"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "settings do nothing before a worker has them"]
pub struct WorkerConfig {
    pub(crate) lanes: Option<usize>,
    pub(crate) handler_timeout: Option<Duration>,
    pub(super) store_timeout: Duration,
    pub(super) ack_timeout: Duration,
    pub(super) poll_interval: Duration,
    pub(super) purge_interval: Duration,
    pub(super) shutdown_timeout: Duration,
}

impl Default for WorkerConfig {
    /// As many lanes as the database takes, 20 s for a handler that waits, 5 s for a
    /// statement and for an answer to the broker, idle after a second, a purge every
    /// minute, 10 s to end.
    fn default() -> Self {
        Self {
            lanes: None,
            handler_timeout: None,
            store_timeout: Duration::from_secs(5),
            ack_timeout: Duration::from_secs(5),
            poll_interval: Duration::from_secs(1),
            purge_interval: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

impl WorkerConfig {
    /// How many events are handled at once: 4 on PostgreSQL, each on a connection of its
    /// own. SQLite has one writer, and refuses more than 1.
    pub const fn lanes(self, lanes: usize) -> Self {
        Self { lanes: Some(lanes), ..self }
    }

    /// How long one handler may take; 20 s where nothing is said. Then it is dropped, and
    /// the attempt has failed. On SQLite a handler blocks its thread and cannot be
    /// stopped, so that this setting is refused there.
    pub const fn handler_timeout(self, handler_timeout: Duration) -> Self {
        Self { handler_timeout: Some(handler_timeout), ..self }
    }

    /// How long a purge, or a look whether the database is back, may take. Then it is
    /// tried again.
    pub const fn store_timeout(self, store_timeout: Duration) -> Self {
        Self { store_timeout, ..self }
    }

    /// How long the broker may take to receive the answer to a delivery. Then the worker
    /// goes on, and the event comes again.
    pub const fn ack_timeout(self, ack_timeout: Duration) -> Self {
        Self { ack_timeout, ..self }
    }

    /// How long nothing must arrive before
    /// [`run_until_idle`](super::Worker::run_until_idle) ends.
    pub const fn poll_interval(self, poll_interval: Duration) -> Self {
        Self { poll_interval, ..self }
    }

    /// How often events are purged that are older than the inbox remembers.
    pub const fn purge_interval(self, purge_interval: Duration) -> Self {
        Self { purge_interval, ..self }
    }

    /// How long a worker that is told to stop waits for its handlers. The events of
    /// handlers that take longer come again.
    pub const fn shutdown_timeout(self, shutdown_timeout: Duration) -> Self {
        Self { shutdown_timeout, ..self }
    }

    /// The settings, where they can hold their promise.
    ///
    /// # Errors
    ///
    /// [`WorkerConfigError`], with the inequality that does not hold.
    pub fn check(self) -> Result<Self, WorkerConfigError> {
        if self.lanes == Some(0) {
            return Err(WorkerConfigError::new(
                "lanes >= 1 does not hold: a worker without a lane handles no event",
            ));
        }
        for (name, duration) in [
            ("handler_timeout", self.handler_timeout.unwrap_or(LONGEST)),
            ("store_timeout", self.store_timeout),
            ("ack_timeout", self.ack_timeout),
            ("poll_interval", self.poll_interval),
            ("purge_interval", self.purge_interval),
        ] {
            if duration.is_zero() || duration > LONGEST {
                return Err(WorkerConfigError::new(format!(
                    "{name} between 0s and a day does not hold: {duration:?}"
                )));
            }
        }
        Ok(self)
    }
}

const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Settings or handlers that cannot hold what a worker promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfigError(String);

impl WorkerConfigError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for WorkerConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WorkerConfigError {}

/// Why there is no worker.
#[derive(Debug)]
#[non_exhaustive]
pub enum WorkerError {
    /// Its settings or its handlers are refused.
    Config(WorkerConfigError),
    /// The database answers with an error.
    Store(StoreError),
}

impl fmt::Display for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WorkerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(_) => None,
            Self::Store(error) => error.source(),
        }
    }
}

impl From<WorkerConfigError> for WorkerError {
    fn from(error: WorkerConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<StoreError> for WorkerError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
