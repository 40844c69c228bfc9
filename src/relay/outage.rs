//! An outage: how long a relay pauses for it, and what it tells of it, which is a line for each reason, one a minute, and one
//! at its end.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// The waits after a failure of broker or store: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(15);

/// The longest pause that a broker is granted which asks for one: it is looked at once an hour all the same.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

/// How often an outage that lasts is told of.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// How many reasons of one outage are told at once, each when it is new.
const REASONS: usize = 8;

/// Something that a relay needs and does not get: the broker, what it takes of one event type, or the store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outage {
    /// The type of event that the broker takes none of; nothing where it is out of reach.
    pub event_type: Option<String>,
    /// What was said last.
    pub reason: String,
    /// How long it has lasted: nothing when it is told of for the first time.
    pub lasted: Duration,
    /// How many tries have failed.
    pub failures: u64,
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.event_type {
            Some(event_type) => write!(f, "the broker takes no {event_type}")?,
            None => f.write_str("the broker cannot be reached")?,
        }
        if self.failures <= 1 {
            return write!(f, ", and the relay pauses: {}", self.reason);
        }
        write!(f, " for {:.0?} now, in {} tries: {}", self.lasted, self.failures, self.reason)
    }
}

/// A pause that grows from failure to failure.
#[derive(Debug, Default)]
pub(super) struct Pause {
    level: u32,
    until: Option<Instant>,
}

impl Pause {
    /// One more failure, after which whoever is asked has asked for a pause of his own, or not.
    pub(super) fn longer(&mut self, asked: Option<Duration>) {
        let doubled = 1_u32.checked_shl(self.level.min(16)).unwrap_or(u32::MAX);
        let wait =
            FIRST_PAUSE.saturating_mul(doubled).min(LAST_PAUSE).max(asked.unwrap_or_default().min(LONGEST_ASKED));
        // Failures of events that were on their way together are one.
        if self.until.is_none_or(|until| until <= Instant::now()) {
            self.level = self.level.saturating_add(1);
            self.until = Instant::now().checked_add(wait);
        }
    }

    pub(super) fn over(&mut self) {
        *self = Self::default();
    }

    /// Whether the last try failed.
    pub(super) const fn is_on(&self) -> bool {
        self.level > 0
    }

    /// When the next try may be made, where that is not now.
    pub(super) fn ends(&self) -> Option<Instant> {
        self.until.filter(|until| *until > Instant::now())
    }
}

/// An outage that is on, and what was told of it, and when.
#[derive(Debug)]
struct Present {
    outage: Outage,
    since: Instant,
    told: Instant,
    reasons: Vec<String>,
    /// The last try that failed, in the order in which they were made.
    last: u64,
}

/// The pauses for one thing, and what is told of them.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) pause: Pause,
    present: Option<Present>,
}

impl Watch {
    /// One more failure, of a try that was made together with those of its number. The outage, where it is to be told of.
    pub(super) fn failed(
        &mut self,
        number: u64,
        event_type: Option<&str>,
        reason: &str,
        asked: Option<Duration>,
    ) -> Option<Outage> {
        self.pause.longer(asked);
        let now = Instant::now();
        let Some(present) = &mut self.present else {
            let outage = Outage {
                event_type: event_type.map(str::to_owned),
                reason: reason.to_owned(),
                lasted: Duration::ZERO,
                failures: 1,
            };
            let reasons = vec![reason.to_owned()];
            self.present = Some(Present { outage: outage.clone(), since: now, told: now, reasons, last: number });
            return Some(outage);
        };
        present.last = present.last.max(number);
        let outage = &mut present.outage;
        outage.reason.clear();
        outage.reason.push_str(reason);
        outage.lasted = now.saturating_duration_since(present.since);
        outage.failures = outage.failures.saturating_add(1);
        let is_new = present.reasons.len() < REASONS && !present.reasons.iter().any(|told| told == reason);
        if !is_new && now.saturating_duration_since(present.told) < TOLD_EVERY {
            return None;
        }
        if is_new {
            present.reasons.push(reason.to_owned());
        }
        present.told = now;
        Some(outage.clone())
    }

    /// A try went well. The outage that has ended, where one was on: not by a try that was made before the last that failed,
    /// or together with it.
    pub(super) fn over(&mut self, number: u64) -> Option<Outage> {
        if self.present.as_ref().is_some_and(|present| number <= present.last) {
            return None;
        }
        self.pause.over();
        let Present { outage, since, .. } = self.present.take()?;
        Some(Outage { lasted: Instant::now().saturating_duration_since(since), ..outage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_told_of_with_each_reason_once_a_minute_and_at_its_end() {
        let mut watch = Watch::default();
        let mut told = Vec::new();
        for number in 0..130 {
            told.extend(watch.failed(number, None, "connection refused", None).map(|outage| outage.to_string()));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(
            told,
            [
                "the broker cannot be reached, and the relay pauses: connection refused",
                "the broker cannot be reached for 60s now, in 61 tries: connection refused",
                "the broker cannot be reached for 120s now, in 121 tries: connection refused",
            ]
        );
        let reset = watch.failed(130, None, "connection reset", None).map(|outage| outage.to_string());
        assert_eq!(reset.as_deref(), Some("the broker cannot be reached for 130s now, in 131 tries: connection reset"));
        assert_eq!(watch.failed(130, None, "connection refused", None), None, "told before");
        assert_eq!(watch.over(130), None, "it was on its way with one that failed");
        assert_eq!(
            watch.over(131).map(|outage| (outage.lasted, outage.failures)),
            Some((Duration::from_secs(130), 132))
        );
        assert_eq!(watch.over(132), None, "it has ended once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_grows_to_its_longest_and_is_as_long_as_the_broker_asks() {
        let mut pause = Pause::default();
        let mut waits = Vec::new();
        for asked in [None, None, None, None, None, None, None, None, None, None, Some(30), Some(1_000_000)] {
            pause.longer(asked.map(Duration::from_secs));
            let began = Instant::now();
            pause.longer(None); // on its way with the one before
            let ends = pause.ends().unwrap_or(began);
            waits.push(ends.duration_since(began).as_millis());
            tokio::time::sleep_until(ends).await;
        }
        assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 15000, 30_000, 3_600_000]);
    }
}
