//! The books of an outbox: the moments of an event put together from row and history, and
//! replayed through the lifecycle, so that a row which no walk led to is found.

use chrono::{DateTime, Utc};

use super::admin::HistoryEntry;
use crate::audit::Action;
use crate::store::Row;
use crate::{AnyEnvelope, Decision, DeliveryStatus, Record};

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

/// All that happened to an event, the oldest first.
pub(crate) fn moments(
    row: &Row,
    present: &Present,
    past: &[Past],
) -> Result<Vec<HistoryEntry>, String> {
    let status =
        |text: &str| text.parse::<DeliveryStatus>().map_err(|error| error.to_string());
    let count = |attempts: i64| {
        u32::try_from(attempts).map_err(|_| format!("{attempts} attempts are no count"))
    };
    let dispatch = |at: Option<DateTime<Utc>>, by: &Option<String>, attempts: u32| {
        let at = at.ok_or("an attempt has no time of its claim")?;
        let (action, status) = (Action::Dispatch, DeliveryStatus::Dispatched);
        Ok::<_, String>(HistoryEntry {
            at,
            action,
            by: by.clone(),
            status,
            attempts,
            reason: None,
        })
    };
    let mut moments = vec![HistoryEntry {
        at: present.enqueued_at,
        action: Action::Create,
        by: None,
        status: DeliveryStatus::Pending,
        attempts: 0,
        reason: None,
    }];
    for entry in past {
        let attempts = count(entry.attempts)?;
        let action = entry.action.parse::<Action>().map_err(|error| error.to_string())?;
        let began = match action {
            Action::Release => Some(attempts.saturating_add(1)),
            Action::Redrive | Action::Discard => None,
            _ => Some(attempts),
        };
        // A row that was quarantined before anybody claimed it has had no attempt.
        if let Some(began) = began.filter(|_| entry.claimed_at.is_some()) {
            moments.push(dispatch(entry.claimed_at, &entry.claimed_by, began)?);
        }
        moments.push(HistoryEntry {
            at: entry.at,
            action,
            by: entry.by.clone(),
            status: status(&entry.status)?,
            attempts,
            reason: entry.reason.clone(),
        });
    }
    let now = status(&row.status)?;
    let last = |action: Action| {
        let at = present
            .done_at
            .ok_or_else(|| format!("it is {now}, and the row has no time for that"))?;
        let by = present.claimed_by.clone();
        Ok::<_, String>(HistoryEntry {
            at,
            action,
            by,
            status: now,
            attempts: count(row.attempts)?,
            reason: None,
        })
    };
    use DeliveryStatus::{
        Acknowledged, Dispatched, Failed, Pending, Processed, Retrying, Skipped,
    };
    match now {
        Dispatched => moments.push(dispatch(
            present.claimed_at,
            &present.claimed_by,
            count(row.attempts)?,
        )?),
        Acknowledged | Processed => {
            moments.push(dispatch(
                present.claimed_at,
                &present.claimed_by,
                count(row.attempts)?,
            )?);
            moments.push(last(if now == Acknowledged {
                Action::Acknowledge
            } else {
                Action::Process
            })?);
        }
        Skipped if row.discarded.is_none() => {
            moments.push(dispatch(
                present.claimed_at,
                &present.claimed_by,
                count(row.attempts)?,
            )?);
            moments.push(last(Action::Skip)?);
        }
        Pending | Retrying | Failed | Skipped => {}
    }
    Ok(moments)
}

/// Whether the lifecycle leads along these moments to this row, and the row's own columns
/// agree.
pub(crate) fn balance(row: Row, present: &Present, past: &[Past]) -> Result<(), String> {
    use DeliveryStatus::{Dispatched, Pending, Retrying};
    let moments = moments(&row, present, past)?;
    let record = row.into_record()?;
    let status = record.status;
    let is_due = matches!(status, Pending | Retrying | Dispatched);
    if is_due != present.due_at.is_some() {
        let found = if present.due_at.is_some() { "has a time" } else { "has none" };
        return Err(format!(
            "a {status} event {} a time when it is due, and this row {found}",
            if is_due { "has" } else { "has not" }
        ));
    }
    if (status == Dispatched) != present.has_token {
        let found = if present.has_token { "has one" } else { "has none" };
        return Err(format!(
            "only a dispatched event has a lease; this row is {status} and {found}"
        ));
    }
    let replayed = replay(&record, &moments)?.to_record();
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
    Err("its history leads to another failure or decision than the row has".to_owned())
}

/// The event as its moments make it, by the verbs of the lifecycle.
fn replay(last: &Record, moments: &[HistoryEntry]) -> Result<AnyEnvelope, String> {
    let mut first = last.clone();
    (first.status, first.attempts, first.discarded) = (DeliveryStatus::Pending, 0, None);
    if moments.iter().any(|moment| moment.action == Action::Redrive)
        || first.redriven.is_none()
    {
        (first.failure, first.redriven) = (None, None);
    }
    let mut event = first.rehydrate().map_err(|refused| refused.to_string())?;
    let mut rest = moments.iter().skip(1).peekable();
    while let Some(moment) = rest.next() {
        // An attempt that was taken back was none.
        if rest.next_if(|next| next.action == Action::Release).is_some() {
            continue;
        }
        let status = event.status();
        let (at, why) = (moment.at, moment.reason.clone().unwrap_or_default());
        let decision = || {
            let by = moment.by.clone().unwrap_or_default();
            Decision::new_at(by, why.clone(), at).map_err(|error| error.to_string())
        };
        event = match (moment.action, event) {
            (Action::Dispatch, AnyEnvelope::Pending(event)) => event.dispatch().into(),
            (Action::Dispatch, AnyEnvelope::Retrying(event)) => event.dispatch().into(),
            (Action::Acknowledge, AnyEnvelope::Dispatched(event)) => {
                event.acknowledge().into()
            }
            (Action::Process, AnyEnvelope::Dispatched(event)) => event.process().into(),
            (Action::Fail | Action::Expire, AnyEnvelope::Dispatched(event)) => {
                event.fail_at(why, at).into()
            }
            (Action::Reject, AnyEnvelope::Dispatched(event)) => {
                event.reject_at(why, at).into()
            }
            (Action::Skip, AnyEnvelope::Dispatched(event)) => event
                .skip(last.tags.get("skip_reason").cloned().unwrap_or_default())
                .into(),
            (Action::Redrive, AnyEnvelope::Failed(event)) => {
                event.redrive(decision()?).into()
            }
            (Action::Discard, AnyEnvelope::Failed(event)) => {
                event.discard(decision()?).into()
            }
            (action, _) => {
                return Err(format!(
                    "its history says {action} of an event that is {status}"
                ));
            }
        };
        if (event.status(), event.attempts()) != (moment.status, moment.attempts) {
            return Err(format!(
                "after {} it is {} with {} attempts, and its history says {} with {}",
                moment.action,
                event.status(),
                event.attempts(),
                moment.status,
                moment.attempts
            ));
        }
    }
    Ok(event)
}
