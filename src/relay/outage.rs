//! Outages: how long a relay pauses, and when it reports: once for each reason, once a
//! minute, and at the end.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// The shortest and the longest pause after a failure; each pause doubles the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(15);

/// The longest pause that a broker may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

/// How often a relay reports an outage that lasts.
const REPORTED_EVERY: Duration = Duration::from_secs(60);

/// How many new reasons of one outage a relay reports at once.
const REASONS: usize = 8;

/// A failure of something that a relay, a worker or a clerk needs, while it lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outage {
    /// What fails.
    pub kind: OutageKind,
    /// The last reason.
    pub reason: String,
    /// How long it has lasted.
    pub lasted: Duration,
    /// How many tries have failed; concurrent sends count as one.
    pub failures: u64,
}

/// What fails in an outage.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutageKind {
    /// The broker cannot be reached.
    Unreachable,
    /// The broker is reached, but takes no event; a worker's gives none.
    Unavailable,
    /// The broker takes no event of this type.
    Unroutable(String),
    /// The store fails at this work.
    Store(&'static str),
}

impl fmt::Display for OutageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("the broker cannot be reached"),
            Self::Unavailable => f.write_str("the broker takes nothing"),
            Self::Unroutable(event_type) => write!(f, "the broker takes no {event_type}"),
            Self::Store(doing) => write!(f, "the store fails at {doing}"),
        }
    }
}

impl Outage {
    /// What fails, and who pauses for it: relays, workers and clerks of one program share
    /// a log.
    pub(crate) fn describe(&self, who: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {who} pauses, as ")?;
        match (who, &self.kind) {
            (WORKER, OutageKind::Unavailable) => {
                f.write_str("the broker gives nothing")?
            }
            (_, kind) => write!(f, "{kind}")?,
        }
        self.since(f)
    }

    /// How long it has lasted, and why.
    fn since(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, lasted, failures, .. } = self;
        if *failures > 1 {
            write!(f, " for {lasted:.0?} now, in {failures} tries")?;
        }
        write!(f, ": {reason}")
    }
}

/// Who pauses.
pub(super) const RELAY: &str = "relay";
pub(crate) const WORKER: &str = "worker";

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        self.since(f)
    }
}

/// Whether two reasons are the same but for their numbers: the port of each new connection,
/// say, makes no new one.
fn is_the_same(one: &str, other: &str) -> bool {
    let words = |reason: &str| reason.replace(|c: char| c.is_ascii_digit(), "");
    words(one) == words(other)
}

/// A pause that grows from failure to failure.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    level: u32,
    until: Option<Instant>,
}

impl Pause {
    /// Notes another failed try.
    fn longer(&mut self, longest: Duration) {
        let wait = self.wait();
        self.level = self.level.saturating_add(1);
        self.at_least(wait.min(longest));
    }

    /// Prolongs the pause: there was nothing to try with.
    pub(crate) fn again(&mut self) {
        self.at_least(self.wait());
    }

    fn wait(&self) -> Duration {
        let doubled = 1_u32.checked_shl(self.level.min(16)).unwrap_or(u32::MAX);
        FIRST_PAUSE.saturating_mul(doubled).min(LAST_PAUSE)
    }

    /// Lasts at least this long from now.
    fn at_least(&mut self, wait: Duration) {
        self.until = self.until.max(Instant::now().checked_add(wait));
    }

    /// Whether the last try failed.
    pub(crate) const fn is_on(&self) -> bool {
        self.level > 0
    }

    /// When the next try may begin, if that is later than `now`.
    pub(crate) fn ends(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }
}

/// What was reported of the present outage, and when.
#[derive(Debug)]
struct Present {
    outage: Outage,
    since: Instant,
    reported: Instant,
    reasons: Vec<String>,
    /// The number of the last try that failed.
    last: u64,
}

/// Watches one thing that may fail: its pauses, and what is reported of them.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) pause: Pause,
    longest: Duration,
    present: Option<Present>,
}

impl Default for Watch {
    fn default() -> Self {
        Self::with_pauses_up_to(LAST_PAUSE)
    }
}

impl Watch {
    /// Pauses no longer than this between two tries.
    pub(crate) fn with_pauses_up_to(longest: Duration) -> Self {
        Self { pause: Pause::default(), longest: longest.min(LAST_PAUSE), present: None }
    }

    /// The present outage, if there is one.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn outage(&self) -> Option<Outage> {
        let present = self.present.as_ref()?;
        let lasted = Instant::now().saturating_duration_since(present.since);
        Some(Outage { lasted, ..present.outage.clone() })
    }

    /// Notes a failure, and the pause that was asked for. Tries of one number were made
    /// together. Returns the outage if it is to be reported.
    pub(crate) fn failed(
        &mut self,
        number: u64,
        kind: OutageKind,
        reason: &str,
        asked: Option<Duration>,
    ) -> Option<Outage> {
        let now = Instant::now();
        let is_another =
            self.present.as_ref().is_none_or(|present| number > present.last);
        if is_another {
            self.pause.longer(self.longest);
        }
        self.pause.at_least(asked.unwrap_or_default().min(LONGEST_ASKED));
        let Some(present) = &mut self.present else {
            let outage = Outage {
                kind,
                reason: reason.to_owned(),
                lasted: Duration::ZERO,
                failures: 1,
            };
            let reasons = vec![reason.to_owned()];
            self.present = Some(Present {
                outage: outage.clone(),
                since: now,
                reported: now,
                reasons,
                last: number,
            });
            return Some(outage);
        };
        present.last = present.last.max(number);
        let outage = &mut present.outage;
        outage.kind = kind;
        outage.reason.clear();
        outage.reason.push_str(reason);
        outage.lasted = now.saturating_duration_since(present.since);
        outage.failures = outage.failures.saturating_add(u64::from(is_another));
        let is_new = present.reasons.len() < REASONS
            && !present.reasons.iter().any(|reported| is_the_same(reported, reason));
        if !is_new && now.saturating_duration_since(present.reported) < REPORTED_EVERY {
            return None;
        }
        if is_new {
            present.reasons.push(reason.to_owned());
        }
        present.reported = now;
        Some(outage.clone())
    }

    /// Notes a success, and returns the outage that it ends. A try that was made before
    /// the last failed one, or together with it, ends none.
    pub(crate) fn over(&mut self, number: u64) -> Option<Outage> {
        let present = self.present.take_if(|present| number > present.last)?;
        self.pause = Pause::default();
        let lasted = Instant::now().saturating_duration_since(present.since);
        Some(Outage { lasted, ..present.outage })
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
            for _ in 0..3 {
                let outage = watch.failed(
                    number,
                    OutageKind::Unreachable,
                    "connection refused",
                    None,
                );
                told.extend(outage.map(|outage| outage.to_string()));
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(
            told,
            [
                "the broker cannot be reached: connection refused",
                "the broker cannot be reached for 60s now, in 61 tries: \
                 connection refused",
                "the broker cannot be reached for 120s now, in 121 tries: \
                 connection refused",
            ]
        );
        let full = watch
            .failed(130, OutageKind::Unavailable, "an alarm", None)
            .map(|outage| outage.to_string());
        assert_eq!(
            full.as_deref(),
            Some(
                "the broker takes nothing for 130s now, in 131 tries: an \
                 alarm"
            )
        );
        assert_eq!(
            watch.failed(130, OutageKind::Unreachable, "connection refused", None),
            None,
            "told before"
        );
        assert_eq!(watch.over(130), None, "it was on its way with one that failed");
        let ended = watch.over(131).map(|outage| (outage.lasted, outage.failures));
        assert_eq!(ended, Some((Duration::from_secs(130), 131)));
        assert_eq!(watch.over(132), None, "it has ended once");
    }

    /// Protects the log from a line for each try: Artemis names the port of the connection
    /// that it refuses.
    #[tokio::test(start_paused = true)]
    async fn a_reason_that_differs_in_its_numbers_alone_is_no_new_one() {
        let mut watch = Watch::default();
        let mut told = 0;
        for port in 37_520..37_560 {
            let reason = format!("no such user at 127.0.0.1:{port}");
            let outage =
                watch.failed(port, OutageKind::Unreachable, &reason, None).is_some();
            told += u8::from(outage);
        }
        assert_eq!(told, 1);
        let other = watch.failed(37_560, OutageKind::Unreachable, "no route", None);
        assert!(other.is_some(), "another reason");
    }

    /// The two halves of one program have the same log.
    #[tokio::test(start_paused = true)]
    async fn each_line_says_who_pauses_and_in_which_direction() {
        struct By(&'static str, Outage);
        impl fmt::Display for By {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.1.describe(self.0, f)
            }
        }
        let mut watch = Watch::default();
        let outage = watch.failed(1, OutageKind::Unavailable, "no queue", None);
        let told = [RELAY, WORKER].map(|who| {
            outage.clone().map(|outage| By(who, outage).to_string()).unwrap_or_default()
        });
        assert_eq!(
            told,
            [
                "the relay pauses, as the broker takes nothing: no queue",
                "the worker pauses, as the broker gives nothing: no queue",
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_grows_to_its_longest_and_is_as_long_as_the_broker_asks() {
        let mut watch = Watch::default();
        let mut waits = Vec::new();
        let asked = [
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            Some(30),
            Some(1_000_000),
        ];
        for (number, asked) in (0..).zip(asked) {
            let began = Instant::now();
            watch.failed(number, OutageKind::Unreachable, "full", None);
            // On its way with the one before, and told something else.
            watch.failed(
                number,
                OutageKind::Unreachable,
                "full",
                asked.map(Duration::from_secs),
            );
            let ends = watch.pause.ends(began).unwrap_or(began);
            waits.push(ends.duration_since(began).as_millis());
            tokio::time::sleep_until(ends).await;
        }
        assert_eq!(
            waits,
            [50, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 15000, 30_000, 3_600_000]
        );
        let mut short = Watch::with_pauses_up_to(Duration::from_millis(120));
        for number in 0..9 {
            short.failed(number, OutageKind::Store("settling events"), "locked", None);
        }
        let now = Instant::now();
        assert_eq!(
            short.pause.ends(now).map(|ends| ends - now),
            Some(Duration::from_millis(120))
        );
    }
}
