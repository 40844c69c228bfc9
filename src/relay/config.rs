//! The settings of a relay, and the check that refuses those that cannot work.

use std::time::Duration;

use crate::ConfigError;
use crate::outbox::OnDeadLetter;

/// How a relay works. Everything has a default.
///
/// ```
/// use integration_automation_patterns::relay::RelayConfig;
/// use std::time::Duration;
///
/// let config = RelayConfig::default()
///     .in_flight(20)
///     .send_timeout(Duration::from_secs(60))
///     .check()?;
/// let refused = config.lease(Duration::from_secs(10)).check().unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "the lease: expected at least 6 x store_timeout, which is 30s (a lease is renewed \
///      every third of it, and two renewals must fit in), found \"10s\""
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a configuration does nothing until it is passed to `Relay::new`"]
pub struct RelayConfig {
    pub(super) lease: Duration,
    pub(super) send_timeout: Duration,
    pub(super) store_timeout: Duration,
    pub(super) poll_interval: Duration,
    pub(super) shutdown_timeout: Duration,
    pub(super) in_flight: usize,
    pub(super) on_dead_letter: OnDeadLetter,
}

impl Default for RelayConfig {
    /// A lease of 30 s, 10 s for a send, 5 s for a statement, a look every second, 10 s
    /// to end, and 100 in flight.
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            send_timeout: Duration::from_secs(10),
            store_timeout: Duration::from_secs(5),
            poll_interval: Duration::from_secs(1),
            shutdown_timeout: Duration::from_secs(10),
            in_flight: 100,
            on_dead_letter: OnDeadLetter::default(),
        }
    }
}

impl RelayConfig {
    /// How long a claim holds. After a crash of the relay, its events become due again
    /// when their leases end. A relay renews the lease of a slow send after every third
    /// of it, so that a send may take longer.
    #[doc(alias = "visibility timeout")]
    pub const fn lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// How long one send may take, its confirmation included, before the attempt fails.
    pub const fn send_timeout(self, send_timeout: Duration) -> Self {
        Self { send_timeout, ..self }
    }

    /// How long one call of the store may take before the relay tries again.
    pub const fn store_timeout(self, store_timeout: Duration) -> Self {
        Self { store_timeout, ..self }
    }

    /// How often the relay asks the store when nothing hints at an event.
    pub const fn poll_interval(self, poll_interval: Duration) -> Self {
        Self { poll_interval, ..self }
    }

    /// How long a stopping relay waits for its sends. It releases the events of those
    /// that take longer, and their attempts do not count.
    #[doc(alias = "graceful shutdown")]
    pub const fn shutdown_timeout(self, shutdown_timeout: Duration) -> Self {
        Self { shutdown_timeout, ..self }
    }

    /// How many events may be on their way at once. The relay claims no more than it can
    /// send.
    #[doc(alias("concurrency", "batch size"))]
    pub const fn in_flight(self, in_flight: usize) -> Self {
        Self { in_flight, ..self }
    }

    /// What an event that failed for good does to the later ones of its ordering key.
    pub const fn on_dead_letter(self, on_dead_letter: OnDeadLetter) -> Self {
        Self { on_dead_letter, ..self }
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], with the setting that cannot work and its bound.
    pub fn check(self) -> Result<Self, ConfigError> {
        if self.in_flight == 0 {
            let wanted = "at least 1: a relay with room for no event sends none";
            return Err(ConfigError::new("in_flight", wanted, "0"));
        }
        let refused = |what, wanted: &str, found: Duration| {
            Err(ConfigError::new(what, wanted, format!("{found:?}")))
        };
        for (what, duration) in
            [("send_timeout", self.send_timeout), ("store_timeout", self.store_timeout)]
        {
            if duration.is_zero() {
                let wanted = "more than 0s: otherwise there is time for nothing";
                return refused(what, wanted, duration);
            }
        }
        for (what, duration) in
            [("poll_interval", self.poll_interval), ("lease", self.lease)]
        {
            if !(SHORTEST..=LONGEST).contains(&duration) {
                let wanted = "between 1ms and a day: an event waits that long after a \
                              crash, or after a hint that was missed";
                return refused(what, wanted, duration);
            }
        }
        let needed = self.store_timeout.saturating_mul(6);
        if self.lease < needed {
            let wanted = format!(
                "at least 6 x store_timeout, which is {needed:?} (a lease is renewed \
                 every third of it, and two renewals must fit in)"
            );
            return refused("lease", &wanted, self.lease);
        }
        Ok(self)
    }
}

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
