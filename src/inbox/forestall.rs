//! `Forestalled`: what an inbox answers when an event is to have no effect any more; what
//! it stores of that, and how it knows the row again.

use chrono::{DateTime, TimeDelta, Utc};

use super::InboxConfig;
use crate::store::Row;

/// What an inbox answers when it is asked to forestall an event. The list is complete.
///
/// | answer | the event | what to do |
/// |---|---|---|
/// | [`WasDone`](Self::WasDone) | has had its effect | undo the effect |
/// | [`NeverWill`](Self::NeverWill) | has had none, and never will | nothing |
/// | [`Forgotten`](Self::Forgotten) | may have had one; from now on it has none | ask a person |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that was had is yet to be undone"]
pub enum Forestalled {
    /// The event was processed. Its handler may have refused what the event asked for: an
    /// undo that finds nothing to undo is done.
    WasDone,
    /// The event was not processed, and never will be once this transaction is committed:
    /// a delivery of it is acked and has no effect, as long as the inbox remembers it, for
    /// the [`dedup_window`](InboxConfig::dedup_window) from now.
    NeverWill,
    /// The event is older than the [`dedup_window`](InboxConfig::dedup_window), and the
    /// inbox has nothing of it: it may have been processed and purged.
    Forgotten,
}

/// Who gave the event up, in the row of one that was forestalled.
pub(crate) const BY: &str = "forestall";

/// Why, where the inbox can tell that the event had no effect.
pub(crate) const NEVER_WILL: &str =
    "it was forestalled before it was processed, and is to have no effect any more";

/// Why, where the event may have had one.
const FORGOTTEN: &str = "it was forestalled when it was older than the inbox remembers, \
     and may have been processed and purged before";

/// What the inbox stores of an event that it has nothing of.
pub(crate) fn unheard_of(
    asked_at: DateTime<Utc>,
    now: DateTime<Utc>,
    config: &InboxConfig,
) -> &'static str {
    let window = TimeDelta::from_std(config.dedup_window()).unwrap_or(TimeDelta::MAX);
    match asked_at.checked_add_signed(window) {
        Some(forgotten_at) if forgotten_at <= now => FORGOTTEN,
        _ => NEVER_WILL,
    }
}

/// The answer, from the row as it is after an event was forestalled: whether it is
/// processed, and why it was given up.
pub(crate) fn answer(is_processed: bool, reason: Option<&str>) -> Forestalled {
    match (is_processed, reason) {
        (true, _) => Forestalled::WasDone,
        (false, Some(FORGOTTEN)) => Forestalled::Forgotten,
        (false, _) => Forestalled::NeverWill,
    }
}

/// Whether an event that was given up was forestalled.
pub(crate) fn is_forestalled(row: &Row) -> bool {
    row.discarded.as_ref().is_some_and(|said| said.what == BY)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::RetryPolicy;

    /// Protects from "it was never done" about an event that was done and purged.
    #[test]
    fn an_event_is_forgotten_when_a_purge_may_have_had_it() {
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        let config = InboxConfig::new(week, RetryPolicy::DEFAULT).unwrap();
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let told =
            |age: TimeDelta| answer(false, Some(unheard_of(now - age, now, &config)));
        assert_eq!(told(TimeDelta::days(7)), Forestalled::Forgotten);
        assert_eq!(
            told(TimeDelta::days(7) - TimeDelta::microseconds(1)),
            Forestalled::NeverWill
        );
        assert_eq!(told(TimeDelta::days(-1)), Forestalled::NeverWill, "a clock is ahead");
        let first = DateTime::<Utc>::MIN_UTC;
        assert_eq!(
            answer(false, Some(unheard_of(first, now, &config))),
            Forestalled::Forgotten
        );
        assert_eq!(answer(true, Some(FORGOTTEN)), Forestalled::WasDone);
    }
}
