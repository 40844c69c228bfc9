//! How long an adapter may be told to wait: never so briefly that nothing can be done,
//! and never without an end.

use std::time::Duration;

use super::ConfigError;

/// The longest that anything here takes.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Refuses a wait in which nothing can be done, and one that nobody sees the end of.
pub(super) fn check_wait(
    what: &'static str,
    wait: Duration,
    shortest: Duration,
) -> Result<(), ConfigError> {
    if (shortest..=LONGEST_WAIT).contains(&wait) {
        return Ok(());
    }
    Err(ConfigError::new(
        what,
        format!("between {shortest:?} and a year"),
        format!("{wait:?}"),
    ))
}
