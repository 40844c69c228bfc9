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
    looks: u64,
}

impl Rhythm {
    /// Begins, and says when the first look is.
    pub(super) fn begin(poll_interval: Duration, grace: Duration) -> (Self, Instant) {
        let rhythm = Self { poll_interval, grace, database: Watch::default(), looks: 0 };
        (rhythm, after(grace))
    }

    /// Whether the database failed at the last look.
    pub(super) fn is_outage(&self) -> bool {
        self.database.pause.is_on()
    }

    /// The next look, after one that found something due or did not, and what to report.
    pub(super) fn looked(
        &mut self,
        was_due: Result<bool, &StoreError>,
    ) -> (Instant, Option<ClerkIncident>) {
        self.looks = self.looks.saturating_add(1);
        let now = Instant::now();
        let was_due = match was_due {
            Ok(was_due) => was_due,
            Err(error) => {
                let kind = OutageKind::Store(FIRING);
                let outage = self.database.failed(self.looks, kind, &reason(error), None);
                let next = self.database.pause.ends(now).unwrap_or(now);
                return (next, outage.map(ClerkIncident::Outage));
            }
        };
        match self.database.over(self.looks) {
            Some(outage) => (after(self.grace), Some(ClerkIncident::Recovered(outage))),
            None if was_due => (now, None),
            None => (after(self.poll_interval), None),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep_until;

    use super::*;

    /// Protects what has long been done from a clerk that comes before the replies which
    /// waited: at its start, and when its database is back. Each outage is reported once,
    /// and its end.
    #[tokio::test(start_paused = true)]
    async fn replies_come_in_before_a_deadline_is_taken() {
        let (begun, locked) = (Instant::now(), StoreError::new(FIRING, "locked"));
        let (poll, grace) = (Duration::from_secs(1), Duration::from_secs(60));
        let (mut rhythm, mut next) = Rhythm::begin(poll, grace);
        let (mut looks, mut reported) = (Vec::new(), Vec::new());
        let found = [Ok(true), Ok(false), Err(&locked), Err(&locked), Ok(false)];
        for was_due in found.into_iter().chain([Ok(true), Ok(false)]) {
            sleep_until(next).await;
            looks.push((begun.elapsed().as_millis(), rhythm.is_outage()));
            let incident;
            (next, incident) = rhythm.looked(was_due);
            reported.extend(incident.map(|incident| incident.to_string()));
        }
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
                "the store fails at taking an instance whose deadline has passed, and the \
                 clerk pauses: taking an instance whose deadline has passed: locked",
                "the database answers the clerk again, after 150ms and 2 failed tries",
            ]
        );
    }
}
