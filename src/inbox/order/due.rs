//! A held event that is due: what the worker decides about it, and what follows once
//! that is stored.

use chrono::{DateTime, TimeDelta, Utc};

use super::turn::{Before, Turn, looked_at, turn};
use super::{ByKey, OnMissing};
use crate::broker::{Delivery, as_sent};
use crate::inbox::counting::{Debt, Key};
use crate::inbox::entry::{Entry, LastAttempt};
use crate::inbox::failing::{Failing, Outcome};
use crate::inbox::intake::{following, last_attempt};
use crate::inbox::reply::Reply;
use crate::inbox::{Handled, InboxConfig};
use crate::reason::reason;
use crate::state::Acknowledged;
use crate::store::{Said, StoreError, storable};
use crate::trace::EventSpan;
use crate::{DeliveryStatus, Envelope, Facts, RawEvent};

/// How long after an attempt was counted a held event is due again, if nothing came of
/// the attempt. While its handler runs, its row is locked.
const LEASE: TimeDelta = TimeDelta::seconds(10);

/// A held event, as the worker finds it.
pub(crate) struct Looked {
    pub(crate) entry: Entry,
    /// What the inbox knows of its predecessor, if it names one.
    pub(crate) before: Option<Before>,
    pub(crate) received_at: DateTime<Utc>,
}

/// What the worker has decided about a held event.
#[derive(Debug)]
pub(crate) enum Decided {
    /// It looks again at this moment.
    Wait(DateTime<Utc>),
    /// The row is no event, for this reason, and becomes a dead letter.
    Quarantine(String),
    /// The event becomes a dead letter.
    Bury(Box<Outcome>),
    /// Its attempt begins now.
    Begin { event: Envelope<Acknowledged>, is_overdue: bool, at: DateTime<Utc> },
}

/// How a decision changes the row.
pub(crate) enum Change {
    Due(DateTime<Utc>),
    Quarantine(String),
    Write(Box<Entry>),
}

/// What follows a decision.
pub(crate) enum Next<'c> {
    Wait,
    Quarantined,
    Buried(Handled<()>),
    Handle(Begun<'c>),
}

/// An attempt of a held event, which is counted. Dropped before its end, it is owed to
/// the event.
pub(crate) struct Begun<'c> {
    pub(crate) event: Envelope<Acknowledged>,
    pub(crate) reply: Reply<()>,
    pub(crate) is_overdue: bool,
    pub(crate) debt: Debt<'c>,
}

/// Decides about a held event.
pub(crate) fn decide(
    looked: Looked,
    config: &InboxConfig,
    order: Option<&ByKey>,
    at: DateTime<Utc>,
) -> Decided {
    step(looked, config, order, at).unwrap_or_else(Decided::Quarantine)
}

/// The same.
///
/// # Errors
///
/// Why the row is no event, in words.
fn step(
    looked: Looked,
    config: &InboxConfig,
    order: Option<&ByKey>,
    at: DateTime<Utc>,
) -> Result<Decided, String> {
    let Looked { entry, before, received_at } = looked;
    let is_owed = config.owed().has(&Key::of_row(&entry.row));
    let Entry { row, last_attempt: last, .. } = entry;
    let policy = config.policy();
    let waited = at.signed_duration_since(received_at).to_std().unwrap_or_default();
    let turn = before.map_or(Turn::Now, |before| turn(order, before, waited));
    match turn {
        Turn::NotYet => return Ok(Decided::Wait(looked_at(order, at))),
        Turn::Now | Turn::Overdue(OnMissing::GoOn) => {}
        Turn::Overdue(OnMissing::DeadLetter) => {
            let reason = row.failure.as_ref().map_or("", |failure| &failure.reason);
            let reason = format!("{reason}, and was missing after {waited:.0?}");
            let event = last_attempt(row, policy)?;
            let failing = Failing::Refused { event, reason, is_unknown: false };
            return Ok(Decided::bury(failing, at));
        }
    }
    let is_uncounted = is_owed || last == LastAttempt::Uncounted;
    let event = if before.is_some() || is_uncounted {
        last_attempt(row, policy)?
    } else {
        match following(row, policy)? {
            Ok(event) => event,
            Err(spent) => return Ok(Decided::bury(Failing::Spent(spent), at)),
        }
    };
    Ok(match config.refusal(&event) {
        Some(refusal) => match refusal.leave {
            Some(wait) => {
                Decided::Wait(after(at, TimeDelta::from_std(wait).unwrap_or(LEASE)))
            }
            None => Decided::bury(Failing::refused(event, refusal), at),
        },
        None => Decided::Begin { event, is_overdue: turn != Turn::Now, at },
    })
}

fn after(at: DateTime<Utc>, wait: TimeDelta) -> DateTime<Utc> {
    at.checked_add_signed(wait).unwrap_or(at)
}

impl Decided {
    fn bury(failing: Failing, at: DateTime<Utc>) -> Self {
        Self::Bury(Box::new(failing.at(at)))
    }

    /// What is to be stored of it.
    pub(crate) fn change(&self) -> Change {
        match self {
            Self::Wait(until) => Change::Due(*until),
            Self::Quarantine(why) => Change::Quarantine(why.clone()),
            Self::Bury(outcome) => Change::Write(Box::new(outcome.entry())),
            Self::Begin { event, at, .. } => {
                let due_at = Some(after(*at, LEASE));
                let begun = Entry::begun(event.to_record(), *at);
                Change::Write(Box::new(Entry { due_at, ..begun }))
            }
        }
    }

    /// What is owed to the event while nobody knows whether that is committed.
    pub(crate) fn debt<'c>(
        &self,
        key: &Key,
        config: &'c InboxConfig,
    ) -> Option<Debt<'c>> {
        matches!(self, Self::Begin { .. }).then(|| config.owed().debt(key.clone()))
    }

    /// What follows, once that is committed: until then, what was owed stays so.
    pub(crate) fn committed<'c>(self, key: &Key, config: &'c InboxConfig) -> Next<'c> {
        if !matches!(self, Self::Wait(_)) {
            config.owed().pay(key);
        }
        match self {
            Self::Wait(_) => Next::Wait,
            Self::Quarantine(_) => Next::Quarantined,
            Self::Bury(outcome) => {
                let reply = reply(outcome.event(), config);
                Next::Buried(outcome.report(reply))
            }
            Self::Begin { event, is_overdue, .. } => Next::Handle(Begun {
                reply: reply(&event, config),
                debt: config.owed().debt(key.clone()),
                event,
                is_overdue,
            }),
        }
    }
}

/// A reply without a delivery: the worker acked it when the inbox held the event.
fn reply(event: &Facts<RawEvent>, config: &InboxConfig) -> Reply<()> {
    let span = match as_sent(event) {
        Ok(event) => EventSpan::receive(&Delivery::new(event, ())),
        Err(_) => EventSpan::redrive(event),
    };
    Reply::new((), span, config.trail().clone())
}

/// Whether a row still shows this attempt of a held event as begun.
pub(crate) fn is_begun(found: Option<&Entry>, event: &Facts<RawEvent>) -> bool {
    found.is_some_and(|entry| {
        entry.row.status == DeliveryStatus::Retrying.as_str()
            && entry.is_begun(i64::from(event.attempts()))
    })
}

/// The row of a held event whose attempt ended in an error that is not the event's
/// fault: the next attempt has the same number. `None` if another worker has taken the
/// event up since.
pub(crate) fn uncounted(
    found: Option<Entry>,
    attempts: u32,
    error: &StoreError,
) -> Option<Entry> {
    let entry = found.filter(|entry| entry.is_begun(i64::from(attempts)))?;
    let reason = storable(format!("an attempt was taken back: {}", reason(error)));
    let failure = entry.row.failure.map(|said| Said { reason, ..said });
    let row = crate::store::Row { failure, ..entry.row };
    Some(Entry { row, last_attempt: LastAttempt::Uncounted, due_at: None })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::super::early::held_row;
    use super::*;
    use crate::RetryPolicy;
    use crate::inbox::entry::NEVER_ENDED;
    use crate::store::Row;

    fn config() -> InboxConfig {
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        InboxConfig::new(week, RetryPolicy::DEFAULT).unwrap()
    }

    /// A held event whose last attempt, with this number, left this reason.
    fn entry(attempts: i64, reason: &str, last_attempt: LastAttempt) -> Entry {
        let lead = RawEvent::new("crm.lead.created", b"{}");
        let event = Envelope::builder("crm", lead).build().unwrap();
        let at = event.created_at();
        let row = held_row(&event, "evt-000", at).unwrap();
        let failure = row.failure.map(|said| Said { reason: reason.to_owned(), ..said });
        let row = Row { attempts, failure, ..row };
        Entry { row, last_attempt, due_at: Some(at) }
    }

    /// What follows for an event that waits for nothing, with a budget of three attempts.
    fn decided(entry: Entry, config: &InboxConfig) -> Decided {
        let (received_at, order) = (entry.row.created_at, ByKey::default());
        let looked = Looked { entry, before: None, received_at };
        decide(looked, config, Some(&order), received_at)
    }

    /// The number of the next attempt; `None` if the event becomes a dead letter.
    fn next_attempt(entry: Entry, is_owed: bool) -> Option<u32> {
        let config = config();
        if is_owed {
            config.owed().add(Key::of_row(&entry.row));
        }
        match decided(entry, &config) {
            Decided::Begin { event, .. } => Some(event.attempts()),
            Decided::Bury(_) => None,
            other => unreachable!("it waits for nothing: {other:?}"),
        }
    }

    /// Protects the budget of a held event from errors that are not its fault, and from
    /// handlers that say the words of such an error.
    #[test]
    fn an_attempt_that_was_none_is_made_again() {
        use LastAttempt::{Begun, Ended, Uncounted};
        let taken_back = "an attempt was taken back: deadlock detected";
        for (attempts, reason, last, is_owed, expected) in [
            (1, "locked", Ended, false, Some(2)),
            (2, NEVER_ENDED, Begun, false, Some(3)),
            (2, NEVER_ENDED, Begun, true, Some(2)),
            (2, taken_back, Uncounted, false, Some(2)),
            (2, taken_back, Ended, false, Some(3)),
            (3, NEVER_ENDED, Begun, false, None),
            (3, NEVER_ENDED, Begun, true, Some(3)),
            (3, taken_back, Uncounted, false, Some(3)),
            (3, taken_back, Ended, false, None),
        ] {
            let next = next_attempt(entry(attempts, reason, last), is_owed);
            assert_eq!(next, expected, "{attempts}: {reason:?}, {last:?}, {is_owed}");
        }
    }

    /// Protects what is owed until it is stored, and from a worker that is dropped.
    #[test]
    fn what_is_owed_stays_so_until_it_is_given() {
        let (config, entry) = (config(), entry(2, NEVER_ENDED, LastAttempt::Begun));
        let key = Key::of_row(&entry.row);
        config.owed().add(key.clone());
        drop(decided(entry.clone(), &config));
        assert!(config.owed().has(&key), "its commit failed");
        config.owed().pay(&key);
        drop(decided(entry.clone(), &config).debt(&key, &config));
        assert!(config.owed().has(&key), "nobody knows whether its commit did");
        let next = decided(entry.clone(), &config).committed(&key, &config);
        assert!(!config.owed().has(&key), "it is given");
        drop(next);
        assert!(config.owed().has(&key), "the attempt was dropped before its end");
        let Next::Handle(mut begun) = decided(entry, &config).committed(&key, &config)
        else {
            unreachable!("it waits for nothing")
        };
        begun.debt.settle_if(true);
        drop(begun);
        assert!(!config.owed().has(&key), "its handler failed, and that counts");
    }

    /// Protects the row of an event that another worker has taken up since.
    #[test]
    fn only_the_attempt_that_was_begun_is_taken_back() {
        let error = StoreError::new("handling", "deadlock detected");
        let taken_back = uncounted(Some(entry(2, "", LastAttempt::Begun)), 2, &error);
        assert_eq!(
            taken_back.map(|entry| entry.last_attempt),
            Some(LastAttempt::Uncounted)
        );
        assert_eq!(uncounted(Some(entry(3, "", LastAttempt::Begun)), 2, &error), None);
        assert_eq!(uncounted(Some(entry(2, "", LastAttempt::Ended)), 2, &error), None);
        assert_eq!(uncounted(None, 2, &error), None);
    }
}
