//! The order of a key at its consumer: which event waits for the one before it, for how
//! long, and what follows then. Decided apart from the statements that find and store.

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

/// What an error says was being done.
pub(crate) const TAKING_UP: &str = "taking held events up";

/// What the row of a held event says of an attempt that was none, before the error.
const UNCOUNTED: &str = "an attempt was taken back: ";

/// How soon after its attempt was counted a held event is taken up again, where nothing
/// came of that: while its handler runs, its row is locked.
pub(crate) const LEASE: TimeDelta = TimeDelta::seconds(10);

/// How long the broker is asked to keep an event that the inbox has no room to hold.
pub(crate) const NO_ROOM: Duration = Duration::from_secs(5);

/// Events of one ordering key are handled in the order in which they were sent, whatever
/// the broker does with them, and however many consumers share the inbox.
///
/// The outbox names to each event the one of its key and source that was confirmed before
/// it. An event that comes early is held: stored in the inbox, acked, and handled right
/// after the one that it names. One that fails then is tried again by the worker itself,
/// as the inbox's [`retry_policy`](InboxConfig::retry_policy) says. A message that names
/// no other event (of another producer, or the first of its key) is handled as it comes.
///
/// Every consumer of the inbox is to be such a worker, and is to receive every event of a
/// key: of those that it does not receive, it waits in vain.
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

/// What becomes of an event whose patience has ended: the one before it has not come, or
/// was not delivered again after it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnMissing {
    /// It is handled without the one before it, and counted as
    /// [`overdue`](super::worker::Summary::overdue).
    #[default]
    GoOn,
    /// It is a dead letter, with the reason.
    DeadLetter,
}

impl Default for ByKey {
    /// 10,000 events held, an hour's patience, then on without the one before; a dead
    /// letter blocks its key.
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
    /// How many events the inbox holds. Where it has no more room, the broker keeps them,
    /// and delivers them again.
    pub const fn hold(self, hold: usize) -> Self {
        Self { hold, ..self }
    }

    /// How long an event waits for the one before it, and at least as long as that one is
    /// retried.
    pub const fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// What a dead letter of this inbox does to the later events of its key: they wait
    /// until a person has redriven or discarded it, or go on without it.
    pub const fn on_dead_letter(self, on_dead_letter: OnDeadLetter) -> Self {
        Self { on_dead_letter, ..self }
    }

    /// What follows where the patience has ended.
    pub const fn on_missing(self, on_missing: OnMissing) -> Self {
        Self { on_missing, ..self }
    }

    /// How many events the inbox holds.
    pub(crate) const fn room(&self) -> usize {
        self.hold
    }

    /// Whether the settings can hold what they promise.
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

    /// Whether an inbox can hold what the settings promise.
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

/// The event that one names as the one before it.
pub(crate) fn after(event: &Facts<RawEvent>) -> Option<&str> {
    let after = event.tags().get(KEY_AFTER)?.as_str();
    Some(after).filter(|after| !after.is_empty() && *after != event.id().to_string())
}

/// What the inbox has of the event before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing.
    Missing,
    /// It failed, and waits for its broker.
    Retrying,
    /// The inbox holds it as well.
    Held,
    /// It is a dead letter.
    Dead,
    /// It was handled, or a person discarded it.
    Done,
}

impl Before {
    /// What the row of an event says, and whether the inbox holds it.
    pub(crate) fn of(status: &str, is_held: bool) -> Self {
        match status.parse() {
            Ok(DeliveryStatus::Retrying) if is_held => Self::Held,
            Ok(DeliveryStatus::Retrying) => Self::Retrying,
            Ok(DeliveryStatus::Failed) => Self::Dead,
            _ => Self::Done,
        }
    }
}

/// Whether the turn of an event has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Now,
    /// It has not, and nothing is known that it could wait for any longer.
    Overdue(OnMissing),
    NotYet,
}

/// Whether the turn of an event has come that has waited so long. Without an order it
/// always has: the setting was taken away.
pub(crate) fn turn(order: Option<&ByKey>, before: Before, waited: Duration) -> Turn {
    let Some(order) = order else { return Turn::Now };
    match (before, order.on_dead_letter) {
        (Before::Done, _) | (Before::Dead, OnDeadLetter::Skip) => Turn::Now,
        // Each of these comes to an end of its own.
        (Before::Held, _) | (Before::Dead, OnDeadLetter::Block) => Turn::NotYet,
        (Before::Missing | Before::Retrying, _) if waited < order.patience => {
            Turn::NotYet
        }
        (Before::Missing | Before::Retrying, _) => Turn::Overdue(order.on_missing),
    }
}

/// Whether the turn of a row of `inbox_event AS held` has come, in SQL.
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

/// When an event that waits is looked at again, though nobody has said that it is due.
pub(crate) fn looked_at(order: Option<&ByKey>, now: DateTime<Utc>) -> DateTime<Utc> {
    let patience = order.map_or(Duration::from_secs(60), |order| order.patience);
    let patience = TimeDelta::from_std(patience).unwrap_or(TimeDelta::MAX);
    now.checked_add_signed(patience).unwrap_or(now)
}

/// What becomes of a delivery that is not handled now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldBack {
    /// The inbox holds it.
    Held,
    /// The inbox has no room for it.
    NoRoom,
}

/// The row of an event that is held; nothing where it is none that can be stored.
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
        // It has an attempt left, whatever its sender says; the inbox has its own policy.
        retry_policy: RetryPolicy::DEFAULT,
        ..as_sent(event).ok()?.to_record()
    };
    Some(Row::of_record(record))
}

/// A held event that is looked at.
pub(crate) struct Looked {
    pub(crate) row: Row,
    /// What the inbox has of the one before it, where it waits for one.
    pub(crate) before: Option<Before>,
    pub(crate) received_at: DateTime<Utc>,
    /// Whether this process owes it an attempt, which was counted and was none.
    pub(crate) is_owed: bool,
}

/// What follows of a held event.
#[derive(Debug)]
pub(crate) enum Step {
    /// Run its handler.
    Handle { event: Envelope<Acknowledged>, is_overdue: bool },
    /// Store it as a dead letter.
    Bury(Failing),
    /// Look at it again at this moment.
    Wait(DateTime<Utc>),
}

/// Decides what follows of a held event.
///
/// # Errors
///
/// The row is no event, in words.
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

/// The row of a held event whose attempt begins: it stays where the attempt never ends.
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

/// Whether this attempt of a held event is still the last that was begun.
pub(crate) fn is_begun(row: &Row, attempts: u32) -> bool {
    row.status == DeliveryStatus::Retrying.as_str()
        && row.attempts == i64::from(attempts)
        && never_ended(row)
}

/// The row of a held event whose begun attempt was none, for an error that is no fault of
/// the event: the next attempt is this one again. Nothing where another worker has taken
/// the event up since.
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

/// What came of the held events that a worker has looked at.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TakenUp {
    pub(crate) processed: u64,
    pub(crate) retrying: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) overdue: u64,
    /// Whether there was no time for all that are due.
    pub(crate) has_more: bool,
    /// Whether the inbox holds any event.
    pub(crate) holds: bool,
}

impl TakenUp {
    /// Whether anything became of any.
    pub(crate) const fn any(&self) -> bool {
        self.processed > 0 || self.retrying > 0 || self.dead_lettered > 0
    }

    /// Counts a row that is no event, and is a dead letter now.
    pub(crate) const fn add_unreadable(&mut self) {
        self.dead_lettered = self.dead_lettered.saturating_add(1);
    }

    /// Counts what became of one.
    pub(crate) fn add<A>(&mut self, handled: &super::Handled<A>, is_overdue: bool) {
        use super::Handled;
        let count = match handled {
            Handled::Processed(_) => &mut self.processed,
            Handled::RetryLater(_) => &mut self.retrying,
            Handled::DeadLettered(_) => &mut self.dead_lettered,
            Handled::Duplicate(_) | Handled::Held(_) => return,
        };
        *count = count.saturating_add(1);
        self.overdue = self.overdue.saturating_add(u64::from(is_overdue));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// The attempt that follows of a held event whose last one ended so, with a budget of
    /// three; nothing where it is buried.
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

    /// Protects the budget of a held event from what is no fault of it.
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
