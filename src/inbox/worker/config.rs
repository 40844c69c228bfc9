//! The settings of a worker, and the check that refuses those that cannot work.

use std::time::Duration;

use crate::ConfigError;
use crate::inbox::order::ByKey;

/// How a worker works. Everything has a default.
///
/// ```
/// use integration_automation_patterns::inbox::worker::WorkerConfig;
/// use std::time::Duration;
///
/// let minute = Duration::from_secs(60);
/// let config = WorkerConfig::default().shutdown_timeout(minute).check()?;
/// let refused = config.lanes(0).check().unwrap_err();
/// assert_eq!((refused.setting(), refused.found()), ("lanes", Some("0")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "settings do nothing before a worker has them"]
pub struct WorkerConfig {
    pub(crate) lanes: Option<usize>,
    pub(crate) batch: Option<usize>,
    pub(crate) handler_timeout: Option<Duration>,
    pub(crate) order: Option<ByKey>,
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
            batch: None,
            handler_timeout: None,
            order: None,
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

    /// How many events may share a transaction: 100 on SQLite, 50 on PostgreSQL, which
    /// takes no more than 64. Each handler has a savepoint of its own, so that a failure
    /// undoes that handler's writes alone. With 1, each event has its own transaction.
    pub const fn batch(self, batch: usize) -> Self {
        Self { batch: Some(batch), ..self }
    }

    /// How long one handler may take before it is dropped and the attempt fails: 20 s by
    /// default. A worker refuses a consumer whose broker waits less long for the ack
    /// ([`ack_wait`](crate::broker::Consumer::ack_wait)). SQLite refuses this setting: a
    /// handler blocks its thread there, and cannot be stopped.
    pub const fn handler_timeout(self, handler_timeout: Duration) -> Self {
        Self { handler_timeout: Some(handler_timeout), ..self }
    }

    /// Keeps the order of each ordering key: an event that overtakes its predecessor
    /// waits for it in the inbox. Without this setting, the order is the broker's.
    pub fn order(self, order: ByKey) -> Self {
        Self { order: Some(order), ..self }
    }

    /// How long a purge, or a check whether the database is back, may take before the
    /// worker tries again.
    pub const fn store_timeout(self, store_timeout: Duration) -> Self {
        Self { store_timeout, ..self }
    }

    /// How long an ack or nack may take before the worker goes on without it, and the
    /// event comes again.
    pub const fn ack_timeout(self, ack_timeout: Duration) -> Self {
        Self { ack_timeout, ..self }
    }

    /// [`run_until_idle`](super::Worker::run_until_idle) ends after this time without a
    /// delivery.
    pub const fn poll_interval(self, poll_interval: Duration) -> Self {
        Self { poll_interval, ..self }
    }

    /// How often the worker purges events that are older than the inbox remembers.
    pub const fn purge_interval(self, purge_interval: Duration) -> Self {
        Self { purge_interval, ..self }
    }

    /// How long a stopping worker waits for its handlers. The events of those that take
    /// longer come again.
    pub const fn shutdown_timeout(self, shutdown_timeout: Duration) -> Self {
        Self { shutdown_timeout, ..self }
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], with the setting that cannot work and its bound.
    pub fn check(self) -> Result<Self, ConfigError> {
        if self.lanes == Some(0) {
            let wanted = "at least 1: a worker without a lane handles no event";
            return Err(ConfigError::new("lanes", wanted, "0"));
        }
        if self.batch == Some(0) {
            let wanted = "at least 1: a transaction for no event handles none";
            return Err(ConfigError::new("batch", wanted, "0"));
        }
        if let Some(order) = &self.order {
            order.check()?;
        }
        for (what, duration) in [
            ("handler_timeout", self.handler_timeout.unwrap_or(LONGEST)),
            ("store_timeout", self.store_timeout),
            ("ack_timeout", self.ack_timeout),
            ("poll_interval", self.poll_interval),
            ("purge_interval", self.purge_interval),
        ] {
            if duration.is_zero() || duration > LONGEST {
                let wanted = "more than 0s, and at most a day";
                return Err(ConfigError::new(what, wanted, format!("{duration:?}")));
            }
        }
        Ok(self)
    }
}

const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a delivery is stored before its broker has waited too long for the ack: a
/// transaction begins no other handler after `transaction`, and the last may take
/// `handler`.
///
/// # Errors
///
/// [`ConfigError`], with the time that is needed and the one that the broker waits.
pub(crate) fn fits(
    ack_wait: Option<Duration>,
    transaction: Duration,
    handler: Duration,
) -> Result<(), ConfigError> {
    let needed = transaction.saturating_add(handler);
    match ack_wait.filter(|ack_wait| *ack_wait < needed) {
        None => Ok(()),
        Some(found) => {
            let wanted = format!(
                "at least {needed:?}, in which a transaction ({transaction:?}) and the \
                 handler_timeout of its last event ({handler:?}) end: or the broker \
                 delivers again what is still handled"
            );
            let setting = "ack_wait of the consumer";
            Err(ConfigError::new(setting, wanted, format!("{found:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_waits_for_the_whole_transaction_and_for_its_last_handler() {
        let (second, more) = (Duration::from_secs(1), Duration::from_millis(1001));
        let millisecond = Duration::from_millis(1);
        let refused = fits(Some(second), millisecond, second).map_err(|e| e.to_string());
        let words = "the ack_wait of the consumer: expected at least 1.001s, in which a \
                     transaction (1ms) and the handler_timeout of its last event (1s) \
                     end: or the broker delivers again what is still handled, found \
                     \"1s\"";
        assert_eq!(refused, Err(words.to_owned()));
        assert_eq!(fits(Some(more), millisecond, second), Ok(()));
        assert_eq!(fits(None, Duration::MAX, Duration::MAX), Ok(()));
    }
}
