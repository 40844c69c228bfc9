//! The attempt that is counted before its handler runs, and taken back where it was none.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};

use super::entry::{Entry, LastAttempt};
use super::intake::{Again, Counted, Found, again};
use super::{HandlerError, InboxConfig};
use crate::broker::Delivery;
use crate::store::{Row, StoreError};
use crate::{Decision, Facts, RawEvent, Record};

/// The source system and id under which an inbox knows an event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) source_system: String,
    pub(crate) id: String,
}

impl Key {
    pub(crate) fn of(event: &Facts<RawEvent>) -> Self {
        Self {
            source_system: event.source_system().to_owned(),
            id: event.id().to_string(),
        }
    }

    pub(crate) fn of_row(row: &Row) -> Self {
        Self { source_system: row.source_system.clone(), id: row.id.clone() }
    }
}

/// The attempt that a delivery begins, as far as it is to be counted ahead.
///
/// # Errors
///
/// The stored row is no event.
pub(crate) fn next_attempt<A>(
    delivery: &Delivery<A>,
    before: Option<Entry>,
    config: &InboxConfig,
    counted: Counted,
) -> Result<Option<NextAttempt>, StoreError> {
    let (found, policy) = (Found::of(before.clone()), config.policy());
    let (record, attempts) = match again(found, policy, counted)? {
        Again::First => (delivery.to_record(), 1),
        Again::Attempt(event) => (event.to_record(), event.attempts()),
        Again::Buried(_) | Again::Spent(_) | Again::Duplicate | Again::Forestalled => {
            return Ok(None);
        }
    };
    let record = Record { attempts, retry_policy: policy, ..record };
    let begun = match (before.as_ref().map(|before| before.last_attempt), counted) {
        (Some(LastAttempt::Shared), _) | (Some(LastAttempt::Alone), Counted::Ahead) => {
            LastAttempt::Alone
        }
        _ => LastAttempt::Begun,
    };
    Ok(Some(NextAttempt { record, begun, before }))
}

/// An attempt that is about to be counted.
pub(crate) struct NextAttempt {
    record: Record,
    /// How it is stored that it has begun.
    begun: LastAttempt,
    before: Option<Entry>,
}

impl NextAttempt {
    /// The same in a transaction that it shares.
    pub(crate) fn shared(self) -> Self {
        Self { begun: LastAttempt::Shared, ..self }
    }

    /// Whether none follows if this one never ends.
    pub(crate) fn is_last(&self, at: DateTime<Utc>) -> bool {
        let Record { id, attempts, redriven, created_at, retry_policy, .. } =
            &self.record;
        let started_at = redriven.as_ref().map_or(*created_at, Decision::at);
        retry_policy.next_attempt_at(id, *attempts, started_at, at).is_none()
    }

    /// What to store of it, which stays where the attempt never ends; and how to take it
    /// back.
    pub(crate) fn at(self, at: DateTime<Utc>) -> (Entry, Begun) {
        let Self { record, begun: last_attempt, before } = self;
        let entry = Entry { last_attempt, ..Entry::begun(record, at) };
        let (key, attempts) = (Key::of_row(&entry.row), entry.row.attempts);
        (entry, Begun { key, attempts, last_attempt, before })
    }
}

/// An attempt that was counted before its handler runs.
pub(crate) struct Begun {
    pub(crate) key: Key,
    attempts: i64,
    /// How it is stored that it has begun.
    last_attempt: LastAttempt,
    /// What the inbox had of the event before.
    before: Option<Entry>,
}

/// How a database takes a counted attempt back.
pub(crate) enum TakeBack {
    /// It writes what it had of the event before.
    Write(Box<Entry>),
    /// It had nothing, and removes the row.
    Remove,
    /// The attempt is not the event's last: it leaves the row.
    Leave,
}

impl Begun {
    /// How to take the attempt back, as the row of its event is now.
    pub(crate) fn take_back(&self, now: Option<Entry>) -> TakeBack {
        // Another consumer may have counted it as the event's last, which never ended.
        let is_last = match Found::of(now) {
            Found::Waiting(Entry { row, last_attempt, .. })
            | Found::Dead(Entry { row, last_attempt, .. }) => {
                (row.attempts, last_attempt) == (self.attempts, self.last_attempt)
            }
            _ => false,
        };
        match &self.before {
            _ if !is_last => TakeBack::Leave,
            Some(before) => TakeBack::Write(Box::new(before.clone())),
            None => TakeBack::Remove,
        }
    }
}

/// How the attempt of one delivery is counted, from its beginning to its end. Dropped
/// before that (the database falls silent, and its caller waits no longer), the attempt
/// is owed to its event, unless its handler may be the reason.
pub(crate) struct Tally<'c> {
    config: &'c InboxConfig,
    /// The event, where an earlier attempt of it is counted and was none.
    owed: Option<Key>,
    begun: Option<Begun>,
    /// Whether the attempt stays counted if nothing more is heard of it.
    counts: bool,
}

impl<'c> Tally<'c> {
    /// The tally of a delivery: its attempt is counted where another one is owed to it.
    pub(crate) fn new<A>(delivery: &Delivery<A>, config: &'c InboxConfig) -> Self {
        let owed = config.owed().take(|| Key::of(delivery.facts()));
        Self { config, owed, begun: None, counts: false }
    }

    /// The database is about to count the attempt: its answer may be lost.
    pub(crate) fn begin(&mut self, begun: Begun) {
        self.begun = Some(begun);
    }

    /// The handler runs: it may be what ends the process, or never ends itself.
    pub(crate) const fn handler_begins(&mut self) {
        self.counts = true;
    }

    /// The handler has ended. If its failure counts, it does so even if nobody can store
    /// it: a handler may hold its connection up.
    pub(crate) fn handler_ended(&mut self, handled: &Result<(), HandlerError>) {
        self.counts = handled.as_ref().is_err_and(|error| error.counts);
    }

    pub(crate) fn counted(&self) -> Counted {
        if self.owed.is_some() || self.begun.is_some() {
            Counted::Ahead
        } else {
            Counted::AtItsEnd
        }
    }

    /// What the database is to take back of an attempt that turned out to be none.
    pub(crate) fn to_take_back(&self) -> Option<&Begun> {
        self.begun.as_ref().filter(|_| self.owed.is_none())
    }

    /// The end of the attempt is stored, or the database has taken it back; or neither,
    /// and it is owed to its event.
    pub(crate) fn end(mut self, is_stored: bool) {
        self.counts = is_stored;
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        let begun = || self.begun.take().map(|begun| begun.key);
        if !self.counts
            && let Some(key) = self.owed.take().or_else(begun)
        {
            self.config.owed().add(key);
        }
    }
}

/// The events whose attempt was counted ahead and was none, where the database could not
/// take it back: its connection was lost, or it had no room. When one of them comes
/// again, its attempt is not counted a second time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Owed(Arc<Mutex<BTreeSet<Key>>>);

impl Owed {
    /// How many are kept. Each one beyond costs its event an attempt.
    const MOST: usize = 10_000;

    pub(crate) fn add(&self, event: Key) {
        let mut owed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if owed.len() < Self::MOST {
            owed.insert(event);
        }
    }

    /// Whether an event is among them.
    pub(crate) fn has(&self, event: &Key) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(event)
    }

    /// Takes an event out: the database has stored what was owed to it.
    pub(crate) fn pay(&self, event: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(event);
    }

    /// A counted attempt of an event, to be owed to it if nobody sees its end.
    pub(crate) const fn debt(&self, event: Key) -> Debt<'_> {
        Debt { owed: self, key: Some(event) }
    }

    /// Takes an event out, where it is among them.
    pub(crate) fn take(&self, event: impl FnOnce() -> Key) -> Option<Key> {
        let mut owed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if owed.is_empty() {
            return None;
        }
        owed.take(&event())
    }
}

/// A counted attempt that has not ended. Dropped before it is settled (the worker stops,
/// or the database falls silent), it is owed to its event.
pub(crate) struct Debt<'o> {
    owed: &'o Owed,
    key: Option<Key>,
}

impl Debt<'_> {
    /// The end of the attempt is stored, or that it does not count.
    pub(crate) fn settle(&mut self) {
        self.key = None;
    }

    /// The handler has failed. If that counts, it does so even if nobody can store it: a
    /// handler may hold its connection up.
    pub(crate) fn settle_if(&mut self, counts: bool) {
        if counts {
            self.settle();
        }
    }
}

impl Drop for Debt<'_> {
    fn drop(&mut self) {
        self.key.take().into_iter().for_each(|key| self.owed.add(key));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Envelope, RetryPolicy};

    /// Protects the attempts of an event from a consumer that waits no longer, and from a
    /// handler that holds its connection up.
    #[test]
    fn an_attempt_is_owed_unless_its_handler_spent_it() {
        type Step = fn(&mut Tally<'_>);
        let begun: Step = |_| ();
        let runs: Step = |tally| tally.handler_begins();
        let done: Step = |tally| tally.handler_ended(&Ok(()));
        let failed: Step =
            |tally| tally.handler_ended(&Err(HandlerError::transient("locked")));
        for (steps, owed) in [
            (vec![begun], true),
            (vec![begun, runs], false),
            (vec![begun, runs, done], true),
            (vec![begun, runs, failed], false),
        ] {
            let day = Duration::from_secs(24 * 60 * 60);
            let config = InboxConfig::new(7 * day, RetryPolicy::DEFAULT).unwrap();
            let lead = RawEvent::new("crm.lead.created", b"{}");
            let event = Envelope::builder("crm", lead).build().unwrap();
            let delivery = Delivery::new(event, ());
            let next = next_attempt(&delivery, None, &config, Counted::AtItsEnd);
            let (_, attempt) = next.unwrap().unwrap().at(Utc::now());
            let key = Key::of(delivery.facts());
            let mut tally = Tally::new(&delivery, &config);
            tally.begin(attempt);
            let count = steps.len();
            steps.into_iter().for_each(|step| step(&mut tally));
            drop(tally);
            assert_eq!(config.owed().has(&key), owed, "after {count} steps");

            let tally = Tally::new(&delivery, &config);
            assert_eq!(tally.counted() == Counted::Ahead, owed, "it is given");
            drop(tally);
            assert_eq!(config.owed().has(&key), owed, "and stays owed");
            Tally::new(&delivery, &config).end(true);
            assert!(!config.owed().has(&key), "until an attempt ends");
        }
    }
}
