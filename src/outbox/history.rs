//! The history of an event, replayed through the lifecycle: it finds rows that no legal
//! walk leads to.

use std::iter::Peekable;
use std::slice::Iter;

use chrono::{DateTime, Utc};

use super::admin::{EventHistory, Finding, HistoryEntry};
use crate::audit::Action;
use crate::store::Row;
use crate::{AnyEnvelope, Decision, DeliveryStatus, Record};

/// The columns of [`Present`].
pub(crate) const PRESENT_COLUMNS: &str = "enqueued_at, due_at, token IS NOT NULL AS has_token, claimed_at, \
     claimed_by, done_at";

/// The columns of [`Past`].
pub(crate) const PAST_COLUMNS: &str =
    "action, at, by, status, attempts, reason, claimed_at, claimed_by";

/// An event as it is stored, with its history.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) row: Row,
    pub(crate) present: Present,
    /// The oldest first.
    pub(crate) past: Vec<Past>,
}

/// What a row says about its present attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Present {
    pub(crate) enqueued_at: DateTime<Utc>,
    pub(crate) due_at: Option<DateTime<Utc>>,
    pub(crate) has_token: bool,
    pub(crate) claimed_at: Option<DateTime<Utc>>,
    pub(crate) claimed_by: Option<String>,
    pub(crate) done_at: Option<DateTime<Utc>>,
}

/// One row of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Past {
    pub(crate) action: String,
    pub(crate) at: DateTime<Utc>,
    pub(crate) by: Option<String>,
    pub(crate) status: String,
    pub(crate) attempts: i64,
    pub(crate) reason: Option<String>,
    pub(crate) claimed_at: Option<DateTime<Utc>>,
    pub(crate) claimed_by: Option<String>,
}

impl Recorded {
    /// The event with all that happened to it.
    ///
    /// # Errors
    ///
    /// Why it is not a valid event or history, in words.
    pub(crate) fn read(self) -> Result<EventHistory, String> {
        let entries = self.entries()?;
        Ok(EventHistory { event: self.row.read()?, entries })
    }

    /// What is wrong, if the lifecycle does not lead along the history to the row, or the
    /// row's columns contradict each other.
    pub(crate) fn verify(self) -> Option<Finding> {
        let event = self.row.id.clone();
        self.check().err().map(|what| Finding { event, what })
    }

    fn check(self) -> Result<(), String> {
        let entries = self.entries()?;
        let record = self.row.into_record()?;
        self.present.agrees_with(record.status)?;
        let replayed = replay(&record, &entries)?.to_record();
        if replayed == record {
            return Ok(());
        }
        let (wanted, found) =
            ((replayed.status, replayed.attempts), (record.status, record.attempts));
        if wanted != found {
            return Err(format!(
                "its history leads to {} with {} attempts, and the row says {} with {}",
                wanted.0, wanted.1, found.0, found.1
            ));
        }
        Err("its history leads to another failure or decision than the row has"
            .to_owned())
    }

    /// Everything that happened to it, oldest first.
    fn entries(&self) -> Result<Vec<HistoryEntry>, String> {
        let mut entries = vec![HistoryEntry {
            at: self.present.enqueued_at,
            action: Action::Create,
            by: None,
            status: DeliveryStatus::Pending,
            attempts: 0,
            reason: None,
        }];
        for past in &self.past {
            let entry = past.entry()?;
            let began = match entry.action {
                Action::Release => Some(entry.attempts.saturating_add(1)),
                Action::Redrive | Action::Discard => None,
                _ => Some(entry.attempts),
            };
            // A row that was quarantined before anybody claimed it has had no attempt.
            if let Some(began) = began.filter(|_| past.claimed_at.is_some()) {
                entries.push(dispatched(
                    past.claimed_at,
                    past.claimed_by.as_ref(),
                    began,
                )?);
            }
            entries.push(entry);
        }
        self.push_present(&mut entries)?;
        Ok(entries)
    }

    /// Adds what only the row records: the attempt under way, or the last one if it
    /// succeeded.
    fn push_present(&self, entries: &mut Vec<HistoryEntry>) -> Result<(), String> {
        use DeliveryStatus::{
            Acknowledged, Dispatched, Failed, Pending, Processed, Retrying, Skipped,
        };
        let (status, present) = (status(&self.row.status)?, &self.present);
        let ended_by = match status {
            Dispatched => None,
            Acknowledged => Some(Action::Acknowledge),
            Processed => Some(Action::Process),
            Skipped if !self.is_given_up() => Some(Action::Skip),
            Pending | Retrying | Failed | Skipped => return Ok(()),
        };
        let attempts = count(self.row.attempts)?;
        let holder = present.claimed_by.as_ref();
        entries.push(dispatched(present.claimed_at, holder, attempts)?);
        if let Some(action) = ended_by {
            let at = present.done_at;
            let at = at.ok_or_else(|| {
                format!("it is {status}, and the row has no time for that")
            })?;
            let by = holder.cloned();
            entries.push(HistoryEntry { at, action, by, status, attempts, reason: None });
        }
        Ok(())
    }
}

impl Recorded {
    /// Whether the event was skipped by a decision, which its history has.
    fn is_given_up(&self) -> bool {
        let discard = Action::Discard.as_str();
        self.row.discarded.is_some()
            || self.past.last().is_some_and(|last| last.action == discard)
    }
}

impl Present {
    /// Whether the row has exactly the due time and the lease that its state calls for.
    fn agrees_with(&self, status: DeliveryStatus) -> Result<(), String> {
        use DeliveryStatus::{Dispatched, Pending, Retrying};
        let is_due = matches!(status, Pending | Retrying | Dispatched);
        if is_due != self.due_at.is_some() {
            let found = if self.due_at.is_some() { "has a time" } else { "has none" };
            return Err(format!(
                "a {status} event {} a time when it is due, and this row {found}",
                if is_due { "has" } else { "has not" }
            ));
        }
        if (status == Dispatched) != self.has_token {
            let found = if self.has_token { "has one" } else { "has none" };
            return Err(format!(
                "only a dispatched event has a lease; this row is {status} and {found}"
            ));
        }
        Ok(())
    }
}

impl Past {
    fn entry(&self) -> Result<HistoryEntry, String> {
        let attempts = count(self.attempts)?;
        let action = self.action.parse::<Action>().map_err(|error| error.to_string())?;
        Ok(HistoryEntry {
            at: self.at,
            action,
            by: self.by.clone(),
            status: status(&self.status)?,
            attempts,
            reason: self.reason.clone(),
        })
    }
}

fn status(text: &str) -> Result<DeliveryStatus, String> {
    text.parse::<DeliveryStatus>().map_err(|error| error.to_string())
}

fn count(attempts: i64) -> Result<u32, String> {
    u32::try_from(attempts).map_err(|_| format!("{attempts} attempts are no count"))
}

/// The beginning of an attempt.
fn dispatched(
    at: Option<DateTime<Utc>>,
    by: Option<&String>,
    attempts: u32,
) -> Result<HistoryEntry, String> {
    let at = at.ok_or("an attempt has no time of its claim")?;
    let (action, status) = (Action::Dispatch, DeliveryStatus::Dispatched);
    Ok(HistoryEntry { at, action, by: by.cloned(), status, attempts, reason: None })
}

/// Replays the history with the verbs of the lifecycle.
fn replay(last: &Record, entries: &[HistoryEntry]) -> Result<AnyEnvelope, String> {
    let mut first = last.clone();
    (first.status, first.attempts, first.discarded) = (DeliveryStatus::Pending, 0, None);
    if entries.iter().any(|entry| entry.action == Action::Redrive)
        || first.redriven.is_none()
    {
        (first.failure, first.redriven) = (None, None);
    }
    let skip_reason =
        last.tags.get("skip_reason").map(String::as_str).unwrap_or_default();
    let mut event = first.rehydrate().map_err(|refused| refused.to_string())?;
    let mut rest = entries.iter().peekable();
    rest.next();
    while let Some(entry) = next_step(&mut rest) {
        event = step(event, entry, skip_reason)?;
        if (event.status(), event.attempts()) != (entry.status, entry.attempts) {
            return Err(format!(
                "after {} it is {} with attempts {}, and the row or its history says {} with {}",
                entry.action,
                event.status(),
                event.attempts(),
                entry.status,
                entry.attempts
            ));
        }
    }
    Ok(event)
}

/// The next entry that moves the event; a released attempt does not.
fn next_step<'a>(
    rest: &mut Peekable<Iter<'a, HistoryEntry>>,
) -> Option<&'a HistoryEntry> {
    loop {
        let entry = rest.next()?;
        if rest.next_if(|next| next.action == Action::Release).is_none() {
            return Some(entry);
        }
    }
}

fn step(
    event: AnyEnvelope,
    entry: &HistoryEntry,
    skip_reason: &str,
) -> Result<AnyEnvelope, String> {
    use AnyEnvelope::{Dispatched, Failed, Pending, Retrying};
    let status = event.status();
    let (at, why) = (entry.at, entry.reason.clone().unwrap_or_default());
    let decision = || {
        let by = entry.by.clone().unwrap_or_default();
        Decision::new_at(by, why.clone(), at).map_err(|error| error.to_string())
    };
    Ok(match (entry.action, event) {
        (Action::Dispatch, Pending(event)) => event.dispatch().into(),
        (Action::Dispatch, Retrying(event)) => event.dispatch().into(),
        (Action::Acknowledge, Dispatched(event)) => event.acknowledge().into(),
        (Action::Process, Dispatched(event)) => event.process().into(),
        (Action::Fail | Action::Expire, Dispatched(event)) => {
            event.fail_at(why, at).into()
        }
        (Action::Reject, Dispatched(event)) => event.reject_at(why, at).into(),
        (Action::Skip, Dispatched(event)) => event.skip(skip_reason).into(),
        (Action::Redrive, Failed(event)) => event.redrive(decision()?).into(),
        // It was recalled.
        (Action::Discard, Pending(event)) => event.skip(why).into(),
        (Action::Discard, Retrying(event)) => event.skip(why).into(),
        (Action::Discard, Failed(event)) => event.discard(decision()?).into(),
        (action, _) => {
            return Err(format!(
                "its history says {action} of an event that is {status}"
            ));
        }
    })
}
