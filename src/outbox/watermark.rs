//! The watermark: where a claim begins its scan of what is due.
//!
//! A scan that begins at the oldest entry steps over everything that claims leave behind:
//! events of paused types and, in PostgreSQL, dead entries while a session holds an old
//! snapshot. If these are many, claims begin where the last ones ended, and scan
//! everything only now and then.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

/// A full scan that steps over more entries than this is expensive.
const MANY: i64 = 4_000;

/// How often a full scan is measured while it is cheap.
const MEASURED: Duration = Duration::from_millis(100);

/// Expensive full scans take at most one part in this many of a relay's time, unless the
/// longest pause between them is over.
const ONE_IN: u32 = 20;
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The shortest rest between claims that find nothing: if they fail, a full scan stays
/// due, and the relay must not spin.
const SHORTEST_REST: Duration = Duration::from_millis(100);

/// How long after its enqueue a transaction may commit without having to wait for a full
/// scan.
const MARGIN: TimeDelta = TimeDelta::milliseconds(250);

/// How far the claims of one relay have come.
#[derive(Debug, Default)]
pub(crate) struct Watermark(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The moment when the last claimed event was due.
    reached: Option<DateTime<Utc>>,
    /// When the last full scan was, by the database's clock.
    swept: Option<DateTime<Utc>>,
    /// Whether it was expensive.
    is_dear: bool,
    measured: Option<Instant>,
    /// When the next full scan is, while they are expensive.
    whole_at: Option<Instant>,
    /// The event types that the last claim left alone.
    except: Vec<String>,
}

/// Where one claim begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// At the oldest entry; measured, or not.
    Whole { measured: bool },
    /// At these moments, among events that are due, and among leases.
    From { due: DateTime<Utc>, leases: DateTime<Utc> },
}

/// The measured cost of a full scan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// The entries that it stepped over for nothing.
    pub(crate) steps: i64,
    pub(crate) took: Duration,
    /// When it was, by the database's clock.
    pub(crate) at: DateTime<Utc>,
}

impl Watermark {
    /// Where the next claim begins.
    pub(crate) fn next(&self, except: &[String]) -> Look {
        let mut state = self.state();
        let changed = state.except != except;
        if changed {
            state.except = except.to_vec();
        }
        let from = |at: Option<DateTime<Utc>>| {
            // Earlier ones are no moments that PostgreSQL need know.
            at?.checked_sub_signed(MARGIN).filter(|at| *at > DateTime::UNIX_EPOCH)
        };
        match (from(state.reached), from(state.swept)) {
            (Some(due), Some(leases))
                if state.is_dear && !changed && state.until_whole() > Duration::ZERO =>
            {
                Look::From { due, leases }
            }
            _ => {
                let is_time = state.measured.is_none_or(|at| at.elapsed() >= MEASURED);
                Look::Whole { measured: state.is_dear || is_time }
            }
        }
    }

    /// Claims have come this far.
    pub(crate) fn reached(&self, at: Option<DateTime<Utc>>) {
        let mut state = self.state();
        state.reached = state.reached.max(at);
    }

    /// An event that claims may have passed is due again.
    pub(crate) fn back_to(&self, at: Option<DateTime<Utc>>) {
        let mut state = self.state();
        if let Some(at) = at {
            state.reached = state.reached.map(|reached| reached.min(at));
        }
    }

    /// Events are due again, since an unknown time.
    pub(crate) fn back_to_all(&self) {
        self.state().whole_at = None;
    }

    /// A full scan is over.
    pub(crate) fn looked(&self, cost: Cost) {
        let mut state = self.state();
        let now = Instant::now();
        (state.is_dear, state.measured, state.swept) =
            (cost.steps > MANY, Some(now), Some(cost.at));
        state.whole_at =
            now.checked_add(cost.took.saturating_mul(ONE_IN).min(LONGEST_PAUSE));
    }

    /// How long a relay may rest before the next full scan is due.
    pub(crate) fn rest(&self) -> Option<Duration> {
        let state = self.state();
        state.is_dear.then(|| state.until_whole().max(SHORTEST_REST))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn until_whole(&self) -> Duration {
        self.whole_at
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000_i64.saturating_add(seconds), 0)
            .unwrap_or_default()
    }

    fn cost(steps: i64) -> Cost {
        Cost { steps, took: Duration::from_secs(60), at: at(50) }
    }

    #[test]
    fn a_claim_looks_at_everything_while_that_is_cheap() {
        let watermark = Watermark::default();
        assert_eq!(watermark.next(&[]), Look::Whole { measured: true });
        watermark.reached(Some(at(100)));
        watermark.looked(cost(MANY));
        assert!(matches!(watermark.next(&[]), Look::Whole { .. }));
        assert_eq!(watermark.rest(), None);
    }

    #[test]
    fn where_it_is_dear_a_claim_begins_where_the_last_came_to() {
        let watermark = Watermark::default();
        watermark.reached(Some(at(100)));
        watermark.looked(cost(MANY + 1));
        let from = |due| Look::From { due: due - MARGIN, leases: at(50) - MARGIN };
        assert_eq!(watermark.next(&[]), from(at(100)));
        watermark.reached(Some(at(110)));
        watermark.reached(None);
        assert_eq!(watermark.next(&[]), from(at(110)));
        watermark.back_to(Some(at(90)));
        watermark.back_to(Some(at(95)));
        assert_eq!(watermark.next(&[]), from(at(90)));
        assert!(
            watermark
                .rest()
                .is_some_and(|rest| rest > Duration::ZERO && rest <= LONGEST_PAUSE)
        );

        let paused = ["crm.lead.created".to_owned()];
        assert_eq!(
            watermark.next(&paused),
            Look::Whole { measured: true },
            "types that are taken again may be older"
        );
        assert_eq!(watermark.next(&paused), from(at(90)));
        watermark.back_to_all();
        assert_eq!(watermark.next(&paused), Look::Whole { measured: true });
        assert!(
            watermark.rest() >= Some(SHORTEST_REST),
            "where that look fails, the next one is not at once"
        );
    }

    #[test]
    fn a_moment_before_the_epoch_is_no_place_to_begin() {
        let watermark = Watermark::default();
        watermark.reached(Some(DateTime::<Utc>::MIN_UTC));
        watermark.looked(cost(MANY + 1));
        assert!(matches!(watermark.next(&[]), Look::Whole { .. }));
    }
}
