//! Events of one ordering key, kept in order at their consumer: which event waits for
//! its predecessor, how long, and what happens then. The decisions are here; each
//! database's `held.rs` finds and stores.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::InboxConfig;
use super::failing::Failing;
use super::intake::{NEVER_ENDED, following, last_attempt, never_ended};
use crate::broker::as_sent;
use crate::envelope::KEY_AFTER;
use crate::outbox::OnDeadLetter;
use crate::outbox::chain::NAMED_FOR_DAYS;
use crate::reason::reason;
use crate::state::Acknowledged;
use crate::store::{Row, Said, StoreError, storable};
use crate::{
    ConfigError, DeliveryStatus, Envelope, Facts, Failure, FailureClass, RawEvent,
    Record, RetryPolicy,
};

/// What the worker was doing, in the words of its errors.
pub(crate) const TAKING_UP: &str = "taking held events up";

/// How the failure reason of a held event begins, before the error, if its last attempt
/// does not count.
const UNCOUNTED: &str = "an attempt was taken back: ";

/// How long after an attempt was counted a held event is due again, if nothing came of
/// the attempt. While its handler runs, its row is locked.
pub(crate) const LEASE: TimeDelta = TimeDelta::seconds(10);

/// How long the broker waits before it delivers an event again that the inbox has no
/// room to hold.
pub(crate) const NO_ROOM: Duration = Duration::from_secs(5);

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
    hold: usize,
    patience: Duration,
    on_dead_letter: OnDeadLetter,
    on_missing: OnMissing,
}

/// What the worker does with an event whose [patience](ByKey::patience) has ended: its
/// predecessor has not come, or failed and was not delivered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnMissing {
    /// It handles the event without its predecessor, and counts it as
    /// [`overdue`](super::worker::Summary::overdue).
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

    /// How many events the inbox holds.
    pub(crate) const fn room(&self) -> usize {
        self.hold
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

/// The id of the predecessor that an event names. One that names itself has none.
pub(crate) fn after(event: &Facts<RawEvent>) -> Option<&str> {
    let after = event.tags().get(KEY_AFTER)?.as_str();
    Some(after).filter(|after| !after.is_empty() && *after != event.id().to_string())
}

/// What the inbox knows of an event's predecessor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// It has not come.
    Missing,
    /// It failed, and its broker is to deliver it again.
    Retrying,
    /// The inbox holds it as well.
    Held,
    /// It is a dead letter.
    Dead,
    /// It was handled, or a person discarded it.
    Done,
}

impl Before {
    /// Reads the status of its row, and whether the inbox holds it.
    pub(crate) fn of(status: &str, is_held: bool) -> Self {
        match status.parse() {
            Ok(DeliveryStatus::Retrying) if is_held => Self::Held,
            Ok(DeliveryStatus::Retrying) => Self::Retrying,
            Ok(DeliveryStatus::Failed) => Self::Dead,
            _ => Self::Done,
        }
    }
}

/// Whether an event may be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Now,
    /// Its patience has ended, and this is what follows.
    Overdue(OnMissing),
    NotYet,
}

/// Decides whether an event that has waited this long may be handled. Without an order
/// it always may: the setting was removed while the inbox held it.
pub(crate) fn turn(order: Option<&ByKey>, before: Before, waited: Duration) -> Turn {
    let Some(order) = order else { return Turn::Now };
    match (before, order.on_dead_letter) {
        (Before::Done, _) | (Before::Dead, OnDeadLetter::Skip) => Turn::Now,
        // A held predecessor ends by itself, and a dead letter by a person's decision.
        (Before::Held, _) | (Before::Dead, OnDeadLetter::Block) => Turn::NotYet,
        (Before::Missing | Before::Retrying, _) if waited < order.patience => {
            Turn::NotYet
        }
        (Before::Missing | Before::Retrying, _) => Turn::Overdue(order.on_missing),
    }
}

/// The SQL condition that the turn of a row of `inbox_event AS held` has come.
pub(crate) fn turn_sql(order: Option<&ByKey>) -> String {
    let Some(order) = order else { return "TRUE".to_owned() };
    let done = match order.on_dead_letter {
        OnDeadLetter::Block => "'processed', 'skipped'",
        OnDeadLetter::Skip => "'processed', 'skipped', 'failed'",
    };
    format!(
        "EXISTS (SELECT 1 FROM inbox_event AS before \
           WHERE before.source_system = held.source_system \
           AND before.id = held.held_after AND before.status IN ({done}))"
    )
}

/// When the worker looks at a waiting event again, if nothing makes it due before.
pub(crate) fn looked_at(order: Option<&ByKey>, now: DateTime<Utc>) -> DateTime<Utc> {
    let patience = order.map_or(Duration::from_secs(60), |order| order.patience);
    let patience = TimeDelta::from_std(patience).unwrap_or(TimeDelta::MAX);
    now.checked_add_signed(patience).unwrap_or(now)
}

/// What the inbox does with a delivery whose turn has not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldBack {
    /// It holds the event.
    Held,
    /// It has no room for the event.
    NoRoom,
}

/// The row of a held event; `None` if the event cannot be stored.
pub(crate) fn held_row(
    event: &Facts<RawEvent>,
    after: &str,
    at: DateTime<Utc>,
) -> Option<Row> {
    let failure = Failure {
        class: FailureClass::Transient,
        reason: format!("{after} comes before it, of the same ordering key"),
        at,
    };
    let record = Record {
        status: DeliveryStatus::Retrying,
        attempts: 1,
        failure: Some(failure),
        // The sender's policy may leave it no attempt; the inbox applies its own.
        retry_policy: RetryPolicy::DEFAULT,
        ..as_sent(event).ok()?.to_record()
    };
    Some(Row::of_record(record))
}

/// A held event, as the worker finds it.
pub(crate) struct Looked {
    pub(crate) row: Row,
    /// What the inbox knows of its predecessor, if it names one.
    pub(crate) before: Option<Before>,
    pub(crate) received_at: DateTime<Utc>,
    /// Whether its last attempt does not count, and this process could not store that.
    pub(crate) is_owed: bool,
}

/// What the worker does with a held event.
#[derive(Debug)]
pub(crate) enum Step {
    /// Run its handler.
    Handle { event: Envelope<Acknowledged>, is_overdue: bool },
    /// Store it as a dead letter.
    Bury(Failing),
    /// Look at it again at this moment.
    Wait(DateTime<Utc>),
}

/// Decides what the worker does with a held event.
///
/// # Errors
///
/// Why the row is no event, in words.
pub(crate) fn step(
    looked: Looked,
    config: &InboxConfig,
    order: Option<&ByKey>,
    now: DateTime<Utc>,
) -> Result<Step, String> {
    let Looked { row, before, received_at, is_owed } = looked;
    let policy = config.policy();
    let waited = now.signed_duration_since(received_at).to_std().unwrap_or_default();
    let turn = before.map_or(Turn::Now, |before| turn(order, before, waited));
    let missing = match turn {
        Turn::NotYet => return Ok(Step::Wait(looked_at(order, now))),
        Turn::Now | Turn::Overdue(OnMissing::GoOn) => None,
        Turn::Overdue(OnMissing::DeadLetter) => {
            let reason = row.failure.as_ref().map_or("", |failure| &failure.reason);
            Some(format!("{reason}, and was missing after {waited:.0?}"))
        }
    };
    if let Some(reason) = missing {
        return Ok(Step::Bury(Failing::Refused {
            event: last_attempt(row, policy)?,
            reason,
        }));
    }
    let event = if before.is_some() || is_owed || is_uncounted(&row) {
        last_attempt(row, policy)?
    } else {
        match following(row, policy)? {
            Ok(event) => event,
            Err(spent) => return Ok(Step::Bury(Failing::Spent(spent))),
        }
    };
    match config.refusal(&event) {
        Some(refusal) => Ok(match refusal.leave {
            Some(wait) => Step::Wait(
                now.checked_add_signed(TimeDelta::from_std(wait).unwrap_or(LEASE))
                    .unwrap_or(now),
            ),
            None => Step::Bury(Failing::Refused { event, reason: refusal.reason }),
        }),
        None => Ok(Step::Handle { event, is_overdue: turn != Turn::Now }),
    }
}

/// The row of a held event as its attempt begins. It stays so if the attempt never
/// ends.
pub(crate) fn begun_row(event: &Envelope<Acknowledged>, at: DateTime<Utc>) -> Row {
    let failure =
        Failure { class: FailureClass::Transient, reason: NEVER_ENDED.to_owned(), at };
    let record = Record {
        status: DeliveryStatus::Retrying,
        failure: Some(failure),
        ..event.to_record()
    };
    Row::of_record(record)
}

/// Whether the row still shows this attempt of a held event as the last one begun.
pub(crate) fn is_begun(row: &Row, attempts: u32) -> bool {
    row.status == DeliveryStatus::Retrying.as_str()
        && row.attempts == i64::from(attempts)
        && never_ended(row)
}

/// The row of a held event whose attempt ended in an error that is not the event's
/// fault: the next attempt has the same number. `None` if another worker has taken the
/// event up since.
pub(crate) fn uncounted_row(
    found: Option<Row>,
    attempts: u32,
    error: &StoreError,
) -> Option<Row> {
    let row = found.filter(|row| is_begun(row, attempts))?;
    let reason = storable(format!("{UNCOUNTED}{}", reason(error)));
    let failure = row.failure.map(|said| Said { reason, ..said });
    Some(Row { failure, ..row })
}

/// The reason of a handler, which never reads as that of an attempt taken back.
pub(crate) fn handlers_own(reason: String) -> String {
    if reason.starts_with(UNCOUNTED) { format!("the handler: {reason}") } else { reason }
}

fn is_uncounted(row: &Row) -> bool {
    row.failure.as_ref().is_some_and(|said| said.reason.starts_with(UNCOUNTED))
}

/// What a worker did with the held events that were due.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TakenUp {
    pub(crate) processed: u64,
    pub(crate) retrying: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) overdue: u64,
    /// Whether the time was up before all due events were handled.
    pub(crate) has_more: bool,
    /// Whether the inbox holds any event.
    pub(crate) holds: bool,
}

impl TakenUp {
    /// Whether any event was handled, or became a dead letter.
    pub(crate) const fn any(&self) -> bool {
        self.processed > 0 || self.retrying > 0 || self.dead_lettered > 0
    }

    /// Counts a row that is no event, and became a dead letter.
    pub(crate) const fn add_unreadable(&mut self) {
        self.dead_lettered = self.dead_lettered.saturating_add(1);
    }

    /// Counts what came of one event.
    pub(crate) fn add<A>(&mut self, handled: &super::Handled<A>, is_overdue: bool) {
        use super::Handled;
        let count = match handled {
            Handled::Processed(_) => &mut self.processed,
            Handled::RetryLater(_) => &mut self.retrying,
            Handled::DeadLettered(_) => &mut self.dead_lettered,
            Handled::Duplicate(_) | Handled::Forestalled(_) | Handled::Held(_) => return,
        };
        *count = count.saturating_add(1);
        self.overdue = self.overdue.saturating_add(u64::from(is_overdue));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// The number of the next attempt of a held event whose last one ended with this
    /// reason, with a budget of three; `None` if it becomes a dead letter.
    fn next_attempt(attempts: i64, reason: &str, is_owed: bool) -> Option<u32> {
        let lead = RawEvent::new("crm.lead.created", b"{}");
        let event = Envelope::builder("crm", lead).build().unwrap();
        let row = held_row(&event, "evt-000", event.created_at()).unwrap();
        let failure = row.failure.map(|said| Said { reason: reason.to_owned(), ..said });
        let row = Row { attempts, failure, ..row };
        let received_at = event.created_at();
        let looked = Looked { row, before: None, received_at, is_owed };
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        let config = InboxConfig::new(week, RetryPolicy::DEFAULT).unwrap();
        match step(looked, &config, Some(&ByKey::default()), received_at).unwrap() {
            Step::Handle { event, .. } => Some(event.attempts()),
            Step::Bury(_) => None,
            Step::Wait(_) => unreachable!("it waits for nothing"),
        }
    }

    /// Protects the budget from a handler whose words are those of a row taken back.
    #[test]
    fn a_handler_cannot_take_its_attempt_back() {
        let reason = handlers_own(format!("{UNCOUNTED}deadlock detected"));
        assert!(!reason.starts_with(UNCOUNTED) && reason.ends_with("deadlock detected"));
        assert_eq!(handlers_own("timeout".to_owned()), "timeout");
    }

    /// Protects the budget of a held event from errors that are not its fault.
    #[test]
    fn an_attempt_that_was_none_is_made_again() {
        let taken_back = format!("{UNCOUNTED}deadlock detected");
        for (attempts, reason, is_owed, expected) in [
            (1, "locked", false, Some(2)),
            (2, NEVER_ENDED, false, Some(3)),
            (2, NEVER_ENDED, true, Some(2)),
            (2, &taken_back, false, Some(2)),
            (3, NEVER_ENDED, false, None),
            (3, NEVER_ENDED, true, Some(3)),
            (3, &taken_back, false, Some(3)),
        ] {
            let next = next_attempt(attempts, reason, is_owed);
            assert_eq!(next, expected, "{attempts}: {reason:?}, owed: {is_owed}");
        }
    }
}
