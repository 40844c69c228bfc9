//! The calendar of the demonstration, in which hours are short.

use std::time::Duration;

use chrono::{DateTime, Utc};
use integration_automation_patterns::workflow::{Calendar, EveryHour};

/// An hour of the table passes in so much time, and no deadline sooner than that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShortHours(pub(crate) Duration);

impl Calendar for ShortHours {
    fn due(&self, from: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
        let hours = span.as_secs_f64() / 3600.0;
        EveryHour.due(from, self.0.mul_f64(hours.max(1.0)))
    }
}
