//! `Forestalled`: what an inbox answers when an event is to have no effect any more, and
//! what it stores of that.

use chrono::{DateTime, TimeDelta, Utc};

use super::InboxConfig;
use super::entry::LastAttempt;

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
    /// a delivery of it is acked and has no effect, as long as the inbox remembers it,
    /// for the [`dedup_window`](InboxConfig::dedup_window) from now.
    NeverWill,
    /// The event is older than the [`dedup_window`](InboxConfig::dedup_window), and the
    /// inbox has nothing of it: it may have been processed and purged.
    Forgotten,
}

/// Who gave a forestalled event up, in the words that people read. A person may have the
/// same name: the row is known by its [`LastAttempt`].
pub(crate) const BY: &str = "forestall";

/// What the inbox stores of an event that it forestalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) last_attempt: LastAttempt,
    /// Why, in the words that people read.
    pub(crate) reason: &'static str,
}

impl Mark {
    /// Of an event that had no effect, as the inbox can tell.
    pub(crate) const NEVER_WILL: Self = Self {
        last_attempt: LastAttempt::Forestalled,
        reason: "it was forestalled before it was processed, and is to have no effect any \
                 more",
    };

    /// Of one that may have had an effect.
    const FORGOTTEN: Self = Self {
        last_attempt: LastAttempt::Forgotten,
        reason: "it was forestalled when it was older than the inbox remembers, and may \
                 have been processed and purged before",
    };

    /// Of an event that the inbox has nothing of.
    pub(crate) fn of_unheard(
        asked_at: DateTime<Utc>,
        now: DateTime<Utc>,
        config: &InboxConfig,
    ) -> Self {
        let window = TimeDelta::from_std(config.dedup_window()).unwrap_or(TimeDelta::MAX);
        match asked_at.checked_add_signed(window) {
            Some(forgotten_at) if forgotten_at <= now => Self::FORGOTTEN,
            _ => Self::NEVER_WILL,
        }
    }
}

/// The answer, from the row as it is after an event was forestalled: whether it is
/// processed, and the column of its last attempt.
pub(crate) fn answer(is_processed: bool, last_attempt: Option<&str>) -> Forestalled {
    match (is_processed, LastAttempt::read(last_attempt)) {
        (true, _) => Forestalled::WasDone,
        (false, LastAttempt::Forgotten) => Forestalled::Forgotten,
        (false, _) => Forestalled::NeverWill,
    }
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
        let asked = |at| {
            let mark = Mark::of_unheard(at, now, &config);
            answer(false, mark.last_attempt.as_str())
        };
        let told = |age: TimeDelta| asked(now - age);
        assert_eq!(told(TimeDelta::days(7)), Forestalled::Forgotten);
        assert_eq!(
            told(TimeDelta::days(7) - TimeDelta::microseconds(1)),
            Forestalled::NeverWill
        );
        assert_eq!(told(TimeDelta::days(-1)), Forestalled::NeverWill, "a clock is ahead");
        assert_eq!(asked(DateTime::<Utc>::MIN_UTC), Forestalled::Forgotten);
        let forgotten = LastAttempt::Forgotten.as_str();
        assert_eq!(answer(true, forgotten), Forestalled::WasDone);
    }
}
