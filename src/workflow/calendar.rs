//! `Calendar`: when a span of working time that begins now has passed.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Which hours count, for deadlines that people must keep.
///
/// A deadline is computed when the wait begins, and stored as a moment. The library has
/// no holidays and no time zones: implement it over the calendar that your company keeps.
///
/// ```
/// use std::time::Duration;
///
/// use chrono::{DateTime, Utc};
/// use integration_automation_patterns::workflow::{Calendar, EveryHour};
///
/// /// Weekends do not count.
/// struct Weekdays;
///
/// impl Calendar for Weekdays {
///     fn due(&self, from: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
///         // A real one walks day by day.
///         from + span + Duration::from_secs(2 * 86_400)
///     }
/// }
///
/// let friday: DateTime<Utc> = "2026-01-09T16:00:00Z".parse()?;
/// let monday: DateTime<Utc> = "2026-01-12T16:00:00Z".parse()?;
/// let day = Duration::from_secs(86_400);
/// assert_eq!(Weekdays.due(friday, day), monday);
/// assert_eq!(EveryHour.due(friday, day), friday + day);
/// # Ok::<(), chrono::ParseError>(())
/// ```
pub trait Calendar {
    /// When the span that begins at `from` has passed. A moment before `from` counts as
    /// `from`.
    fn due(&self, from: DateTime<Utc>, span: Duration) -> DateTime<Utc>;
}

/// The calendar in which every hour counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct EveryHour;

impl Calendar for EveryHour {
    /// A span beyond the end of time ends there.
    fn due(&self, from: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
        let span = TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
        from.checked_add_signed(span).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}
