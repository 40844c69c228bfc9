//! When a clerk looks at its database again, and what it reports of it.

use std::time::Duration;

use tokio::time::Instant;

use super::FIRING;
use super::turn::ClerkIncident;
use crate::reason::reason;
use crate::relay::{OutageKind, Watch};
use crate::sleep::after;
use crate::store::StoreError;

/// The looks of one run.
pub(super) struct Rhythm {
    poll_interval: Duration,
    grace: Duration,
    database: Watch,
    /// Whether the database has answered since it last failed, and the grace runs.
    answers: bool,
    looks: u64,
}

impl Rhythm {
    /// Begins, and says when the first look is.
    pub(super) fn begin(poll_interval: Duration, grace: Duration) -> (Self, Instant) {
        let (database, answers, looks) = (Watch::default(), false, 0);
        (Self { poll_interval, grace, database, answers, looks }, after(grace))
    }

    /// Whether the next look asks no more of the database than an answer: it failed at the
    /// last one.
    pub(super) fn asks_for_an_answer(&self) -> bool {
        self.database.pause.is_on() && !self.answers
    }

    /// The next look, after one that found something due or did not, and what to report.
    pub(super) fn looked(
        &mut self,
        was_due: Result<bool, &StoreError>,
    ) -> (Instant, Option<ClerkIncident>) {
        self.looks = self.looks.saturating_add(1);
        let (now, asked) = (Instant::now(), self.asks_for_an_answer());
        self.answers = asked && was_due.is_ok();
        match was_due {
            Err(error) => {
                let kind = OutageKind::Store(FIRING);
                let outage = self.database.failed(self.looks, kind, &reason(error), None);
                let next = self.database.pause.ends(now).unwrap_or(now);
                (next, outage.map(ClerkIncident::Outage))
            }
            // It answers, but may refuse the next turn for the same reason as the last.
            Ok(_) if asked => (after(self.grace_after_outage()), None),
            Ok(was_due) => {
                let over = self.database.over(self.looks).map(ClerkIncident::Recovered);
                (if was_due { now } else { after(self.poll_interval) }, over)
            }
        }
    }

    /// Nothing has piled up where the database was only busy once.
    fn grace_after_outage(&self) -> Duration {
        let tries = self.database.outage().map_or(0, |outage| outage.failures);
        if tries > 1 { self.grace } else { self.poll_interval.min(self.grace) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep_until;

    use super::*;

    /// The moments of the looks in ms, whether each asks for an answer alone, and what is
    /// reported.
    async fn looks<'a>(
        found: impl IntoIterator<Item = Result<bool, &'a StoreError>>,
    ) -> (Vec<(u128, bool)>, Vec<String>) {
        let begun = Instant::now();
        let (poll, grace) = (Duration::from_secs(1), Duration::from_secs(60));
        let (mut rhythm, mut next) = Rhythm::begin(poll, grace);
        let (mut looks, mut reported) = (Vec::new(), Vec::new());
        for was_due in found {
            sleep_until(next).await;
            looks.push((begun.elapsed().as_millis(), rhythm.asks_for_an_answer()));
            let incident;
            (next, incident) = rhythm.looked(was_due);
            reported.extend(incident.map(|incident| incident.to_string()));
        }
        (looks, reported)
    }

    /// Protects what has long been done from a clerk that comes before the replies which
    /// waited: at its start, and when its database is back. Each outage is reported once,
    /// and its end.
    #[tokio::test(start_paused = true)]
    async fn replies_come_in_before_a_deadline_is_taken() {
        let locked = StoreError::new(FIRING, "locked");
        let found = [Ok(true), Ok(false), Err(&locked), Err(&locked), Ok(false)];
        let (looks, reported) =
            looks(found.into_iter().chain([Ok(true), Ok(false)])).await;
        assert_eq!(
            looks,
            [
                (60_000, false),
                (60_000, false),
                (61_000, false),
                (61_050, true),
                (61_150, true),
                (121_150, false),
                (121_150, false),
            ]
        );
        assert_eq!(
            reported,
            [
                "the clerk pauses, as the store fails at taking an instance whose deadline \
                 has passed: taking an instance whose deadline has passed: locked",
                "the clerk goes on: the store answers again at taking an instance whose \
                 deadline has passed, after 60s and 2 failed tries",
            ]
        );
    }

    /// Protects from an end that is reported again and again of a database that answers and
    /// takes nothing, such as a full disk.
    #[tokio::test(start_paused = true)]
    async fn a_database_that_answers_and_takes_nothing_is_one_outage() {
        let full = StoreError::new(FIRING, "disk full");
        let found = [Err(&full), Err(&full), Ok(false)];
        let found = found.into_iter().chain([Err(&full), Ok(false)].repeat(3));
        let (looks, reported) = looks(found).await;
        assert_eq!(reported.len(), 4, "one line a minute: {reported:?}");
        assert!(reported.iter().all(|line| line.starts_with("the clerk pauses")));
        let moments = looks.iter().map(|(at, _)| at);
        let waits: Vec<_> =
            moments.clone().skip(1).zip(moments).map(|(next, at)| next - at).collect();
        assert_eq!(waits, [50, 100, 60_000, 200, 60_000, 400, 60_000, 800]);
    }

    /// Protects all other deadlines from one busy moment.
    #[tokio::test(start_paused = true)]
    async fn one_busy_moment_costs_no_grace() {
        let busy = StoreError::new(FIRING, "busy");
        let (looks, _) = looks([Ok(false), Err(&busy), Ok(false), Ok(true)]).await;
        let moments: Vec<_> = looks.into_iter().map(|(at, _)| at).collect();
        assert_eq!(moments, [60_000, 61_000, 61_050, 62_050]);
    }
}
