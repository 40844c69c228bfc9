//! How a relay works, checked when it is stated: settings that cannot hold their promise are refused.

use std::fmt;
use std::time::Duration;

use crate::outbox::KeyAfterFailure;

/// How a relay works. Everything has a default.
///
/// ```
/// use integration_automation_patterns::relay::Settings;
/// use std::time::Duration;
///
/// let settings = Settings::default().in_flight(20).send_timeout(Duration::from_secs(60)).check()?;
/// let refused = settings.lease(Duration::from_secs(10)).check().unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "lease >= 6 x store_timeout does not hold: 10s < 6 x 5s (a lease is renewed every third of it, and two renewals \
///      must fit in)"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "settings do nothing before a relay has them"]
pub struct Settings {
    pub(super) lease: Duration,
    pub(super) send_timeout: Duration,
    pub(super) store_timeout: Duration,
    pub(super) poll: Duration,
    pub(super) grace: Duration,
    pub(super) in_flight: usize,
    pub(super) after_failure: KeyAfterFailure,
}

impl Default for Settings {
    /// A lease of 30 s, 10 s for a send, 5 s for a statement, a look every second, 10 s to end, and 100 in flight.
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            send_timeout: Duration::from_secs(10),
            store_timeout: Duration::from_secs(5),
            poll: Duration::from_secs(1),
            grace: Duration::from_secs(10),
            in_flight: 100,
            after_failure: KeyAfterFailure::default(),
        }
    }
}

impl Settings {
    /// How long a claim holds: after a crash, the events of a relay are given out again no sooner. It is renewed every
    /// third of it while a send goes on, so that a send may take longer.
    pub const fn lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// How long one send may take, its confirmation included. Then the attempt has failed.
    pub const fn send_timeout(self, send_timeout: Duration) -> Self {
        Self { send_timeout, ..self }
    }

    /// How long one call of the store may take. Then it is tried again.
    pub const fn store_timeout(self, store_timeout: Duration) -> Self {
        Self { store_timeout, ..self }
    }

    /// How often the store is asked when nothing hints at an event.
    pub const fn poll(self, poll: Duration) -> Self {
        Self { poll, ..self }
    }

    /// How long a relay that is told to stop waits for its sends. The events of sends that take longer go back, and
    /// their attempt is not counted.
    pub const fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// How many events may be on their way at once. No more are claimed than can be sent at once.
    pub const fn in_flight(self, in_flight: usize) -> Self {
        Self { in_flight, ..self }
    }

    /// What an event that failed for good does to the later ones of its ordering key.
    pub const fn after_failure(self, after_failure: KeyAfterFailure) -> Self {
        Self { after_failure, ..self }
    }

    /// The settings, where they can hold their promise.
    ///
    /// # Errors
    ///
    /// [`Unkeepable`], with the inequality that does not hold.
    pub fn check(self) -> Result<Self, Unkeepable> {
        let needed = self.store_timeout.saturating_mul(6);
        if self.in_flight == 0 {
            return Err(Unkeepable(
                "in_flight >= 1 does not hold: a relay with room for no event sends none".to_owned(),
            ));
        }
        for (name, duration) in
            [("send_timeout", self.send_timeout), ("store_timeout", self.store_timeout), ("poll", self.poll)]
        {
            if duration.is_zero() {
                return Err(Unkeepable(format!("{name} > 0s does not hold: there is time for nothing")));
            }
        }
        if self.poll.min(self.lease) < Duration::from_millis(1) || self.lease > LONGEST || self.poll > LONGEST {
            return Err(Unkeepable(format!(
                "poll and lease between 1ms and a day does not hold: poll {:?}, lease {:?} (a crash holds its events that \
                 long, and a missed hint too)",
                self.poll, self.lease
            )));
        }
        if self.lease < needed {
            return Err(Unkeepable(format!(
                "lease >= 6 x store_timeout does not hold: {:?} < 6 x {:?} (a lease is renewed every third of it, and two \
                 renewals must fit in)",
                self.lease, self.store_timeout
            )));
        }
        Ok(self)
    }
}

const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Settings that cannot hold what a relay promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unkeepable(pub(super) String);

impl fmt::Display for Unkeepable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unkeepable {}
