//! `ByKey`: the setting that keeps the order of each key, and `OnMissing`.

use std::time::Duration;

use crate::ConfigError;
use crate::inbox::InboxConfig;
use crate::outbox::OnDeadLetter;
use crate::outbox::chain::NAMED_FOR_DAYS;

/// Handles the events of one ordering key in the order in which they were sent,
/// whatever the broker does with them, and however many consumers share the inbox.
///
/// Each event names its predecessor: the last event of its key and source that the
/// broker confirmed before it. An event that comes early is held: the inbox stores it,
/// the worker acks it, and handles it right after its predecessor. If it fails then,
/// the worker itself tries it again, by the inbox's
/// [`retry_policy`](InboxConfig::retry_policy). A message that names no predecessor
/// (from another producer, or the first of its key) is handled as it comes.
///
/// Every consumer of the inbox must be a worker with this order, and the inbox must
/// receive every event of a key: for a predecessor that never comes, an event waits
/// until its patience ends.
///
/// ```
/// use integration_automation_patterns::inbox::worker::{ByKey, OnMissing, WorkerConfig};
/// use std::time::Duration;
///
/// let strict = ByKey::default()
///     .patience(Duration::from_secs(4 * 60 * 60))
///     .on_missing(OnMissing::DeadLetter);
/// let config = WorkerConfig::default().order(strict).check()?;
/// let nothing = WorkerConfig::default().order(ByKey::default().hold(0));
/// assert_eq!(nothing.check().unwrap_err().setting(), "hold");
/// # assert_ne!(config, WorkerConfig::default());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an order does nothing before a worker has it"]
pub struct ByKey {
    pub(super) hold: usize,
    pub(super) patience: Duration,
    pub(super) on_dead_letter: OnDeadLetter,
    pub(super) on_missing: OnMissing,
}

/// What the worker does with an event whose [patience](ByKey::patience) has ended: its
/// predecessor has not come, or failed and was not delivered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnMissing {
    /// It handles the event without its predecessor, and counts it as
    /// [`overdue`](crate::inbox::worker::Summary::overdue).
    #[default]
    GoOn,
    /// It makes the event a dead letter, with the reason.
    DeadLetter,
}

impl Default for ByKey {
    /// Holds 10,000 events, each for up to an hour, and then goes on without the
    /// predecessor; a dead letter blocks its key.
    fn default() -> Self {
        Self {
            hold: 10_000,
            patience: Duration::from_secs(60 * 60),
            on_dead_letter: OnDeadLetter::Block,
            on_missing: OnMissing::GoOn,
        }
    }
}

impl ByKey {
    /// The most events that the inbox holds. When it is full, the broker keeps the
    /// others, and delivers them again.
    pub const fn hold(self, hold: usize) -> Self {
        Self { hold, ..self }
    }

    /// How long an event waits for its predecessor: at least as long as the inbox
    /// retries one, and at most 30 days.
    pub const fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// What a dead letter of this inbox does to the later events of its key: they wait
    /// until a person redrives or discards it, or they go on without it.
    pub const fn on_dead_letter(self, on_dead_letter: OnDeadLetter) -> Self {
        Self { on_dead_letter, ..self }
    }

    /// What the worker does when the patience of an event ends.
    pub const fn on_missing(self, on_missing: OnMissing) -> Self {
        Self { on_missing, ..self }
    }

    /// Refuses settings that cannot work.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
        if self.hold == 0 {
            let wanted = "at least 1: an early event has to be held somewhere";
            return Err(ConfigError::new("hold", wanted, "0"));
        }
        if self.patience.is_zero() || self.patience > LONGEST {
            let wanted = "more than 0s, and at most 30 days";
            let found = format!("{:?}", self.patience);
            return Err(ConfigError::new("patience", wanted, found));
        }
        Ok(())
    }

    /// Refuses an inbox with which these settings cannot work.
    pub(crate) fn check_inbox(&self, inbox: &InboxConfig) -> Result<(), ConfigError> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let named = DAY.saturating_mul(NAMED_FOR_DAYS.saturating_add(1));
        if inbox.dedup_window() <= named {
            let wanted = "longer than 4 days, for which an outbox names an event to the \
                          next of its key (an inbox that has forgotten it waits for it)";
            let found = format!("{:?}", inbox.dedup_window());
            return Err(ConfigError::new("dedup_window", wanted, found));
        }
        let horizon = inbox.policy().horizon();
        if self.patience < horizon {
            let wanted = format!(
                "at least {horizon:?}, for which the inbox retries (an event that is \
                 retried is not missing)"
            );
            let found = format!("{:?}", self.patience);
            return Err(ConfigError::new("patience", wanted, found));
        }
        Ok(())
    }
}
