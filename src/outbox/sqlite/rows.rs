//! The rows of the outbox in SQLite, read and written: what relay and people have in common.

use chrono::{DateTime, Utc};
use rusqlite::{Transaction, params};

use super::super::change::{Change, History};
use super::super::columns::{EVENT_COLUMNS, Row};
use super::super::{ClaimOrder, KeyAfterFailure, Lease, Token};
use crate::DeliveryStatus;
use crate::audit::Action;
use crate::envelope::UUID_TEXT;
use crate::sqlite::{micros, read_row};

/// What is due, unless an earlier event of its key is under way.
pub(super) fn find_due(
    transaction: &Transaction<'_>,
    order: &ClaimOrder,
    now: DateTime<Utc>,
) -> rusqlite::Result<Vec<Row>> {
    let blocking = match order.after_failure {
        KeyAfterFailure::Block => "'pending', 'dispatched', 'retrying', 'failed'",
        KeyAfterFailure::PassBy => "'pending', 'dispatched', 'retrying'",
    };
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM outbox_event AS due \
         WHERE status IN ('pending', 'retrying') AND due_at <= ?1 AND (ordering_key IS NULL OR NOT EXISTS (\
           SELECT 1 FROM outbox_event AS earlier \
           WHERE earlier.ordering_key = due.ordering_key AND earlier.sequence < due.sequence \
           AND earlier.status IN ('pending', 'dispatched', 'retrying', 'failed') \
           AND earlier.status IN ({blocking}))) \
         ORDER BY due_at, sequence LIMIT ?2"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let rows = statement.query_map(params![micros(now), limit_of(order)], read_row)?;
    rows.collect()
}

/// A claim, as its rows hold it.
pub(super) struct Hold<'a> {
    pub(super) token: &'a str,
    pub(super) worker: &'a str,
    pub(super) since: i64,
    pub(super) until: i64,
}

/// Takes rows that are due, and counts their attempt.
///
/// That they were found by a statement before this one does not matter, since nobody else writes meanwhile; one statement
/// for both, with `RETURNING`, copies every row twice.
pub(super) fn dispatch(transaction: &Transaction<'_>, rows: &mut [Row], hold: &Hold<'_>) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "UPDATE outbox_event SET status = 'dispatched', attempts = attempts + 1, token = ?1, claimed_by = ?2, \
         claimed_at = ?3, first_sent_at = coalesce(first_sent_at, ?3), due_at = ?4 WHERE sequence = ?5",
    )?;
    for row in rows {
        statement.execute(params![hold.token, hold.worker, hold.since, hold.until, row.sequence])?;
        row.status = DeliveryStatus::Dispatched.as_str().to_owned();
        row.attempts = row.attempts.saturating_add(1);
    }
    Ok(())
}

pub(super) fn limit_of(order: &ClaimOrder) -> i64 {
    i64::try_from(order.limit).unwrap_or(i64::MAX)
}

/// An event whose lease has ended: the row, its claim's token, and who held it.
pub(super) type Expired = (Row, Option<Token>, Option<String>);

pub(super) fn find_expired(
    transaction: &Transaction<'_>,
    now: DateTime<Utc>,
    limit: i64,
) -> rusqlite::Result<Vec<Expired>> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS}, token, claimed_by FROM outbox_event \
         WHERE status = 'dispatched' AND due_at <= ?1 ORDER BY due_at LIMIT ?2"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let rows = statement.query_map(params![micros(now), limit], |row| {
        let token: Option<String> = row.get("token")?;
        Ok((read_row(row)?, token.and_then(|token| token.parse().ok()), row.get("claimed_by")?))
    })?;
    rows.collect()
}

/// Writes what became of a claimed event, if the claim still holds; says whether it did.
///
/// `held_at` is the moment at which the lease must not have ended.
pub(super) fn settle(
    transaction: &Transaction<'_>,
    (sequence, token): (i64, Option<Token>),
    change: &Change,
    now: DateTime<Utc>,
    held_at: Option<DateTime<Utc>>,
) -> rusqlite::Result<bool> {
    let mut buffer = UUID_TEXT;
    let token = token.as_ref().map(|token| &*token.hyphenated().encode_lower(&mut buffer));
    let (done_at, held_at) = (change.is_done().then(|| micros(now)), held_at.map(micros));
    let failure = change.failure.as_ref();
    let changed = if change.says_nothing() {
        transaction
            .prepare_cached(
                "UPDATE outbox_event SET status = ?1, due_at = NULL, done_at = ?2, token = NULL \
                 WHERE sequence = ?3 AND token IS ?4 AND status = 'dispatched' AND (?5 IS NULL OR due_at > ?5)",
            )?
            .execute(params![change.status.as_str(), done_at, sequence, token, held_at])?
    } else {
        transaction
            .prepare_cached(
                "UPDATE outbox_event SET status = ?1, tags = coalesce(?2, tags), failure_class = coalesce(?3, \
                 failure_class), failure_reason = coalesce(?4, failure_reason), failed_at = coalesce(?5, failed_at), \
                 due_at = ?6, done_at = ?7, token = NULL \
                 WHERE sequence = ?8 AND token IS ?9 AND status = 'dispatched' AND (?10 IS NULL OR due_at > ?10)",
            )?
            .execute(params![
                change.status.as_str(),
                change.tags,
                failure.map(|failure| &failure.what),
                failure.map(|failure| &failure.reason),
                failure.map(|failure| micros(failure.at)),
                change.due_at.map(tick),
                done_at,
                sequence,
                token,
                held_at,
            ])?
    };
    if changed == 1
        && let Some(history) = &change.history
    {
        let at = change.failure.as_ref().map_or(now, |failure| failure.at);
        remember(transaction, sequence, history, at)?;
    }
    Ok(changed == 1)
}

/// The tick of SQLite's clock in which a moment lies: it counts in milliseconds, and what is due in one is due at its
/// beginning.
fn tick(moment: DateTime<Utc>) -> i64 {
    moment.timestamp_millis().saturating_mul(1000)
}

/// Takes a claim back whose event was not sent; says whether the claim still held.
pub(super) fn give_back(
    transaction: &Transaction<'_>,
    lease: &Lease,
    reason: &str,
    now: DateTime<Utc>,
) -> rusqlite::Result<bool> {
    let changed = transaction
        .prepare_cached(
            "UPDATE outbox_event SET status = CASE attempts WHEN 1 THEN 'pending' ELSE 'retrying' END, \
             attempts = attempts - 1, due_at = ?1, token = NULL \
             WHERE sequence = ?2 AND token = ?3 AND status = 'dispatched' AND due_at > ?1",
        )?
        .execute(params![micros(now), lease.sequence, lease.token.to_string()])?;
    if changed == 1 {
        let history = History { action: Action::Release, reason: reason.to_owned(), by: None };
        remember(transaction, lease.sequence, &history, now)?;
    }
    Ok(changed == 1)
}

/// Adds to the history what the row is about to forget.
pub(super) fn remember(
    transaction: &Transaction<'_>,
    sequence: i64,
    history: &History,
    at: DateTime<Utc>,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO outbox_history (event, action, at, by, status, attempts, reason, claimed_at, claimed_by) \
             SELECT sequence, ?2, ?3, coalesce(?4, claimed_by), status, attempts, ?5, claimed_at, claimed_by \
             FROM outbox_event WHERE sequence = ?1",
        )?
        .execute(params![sequence, history.action.as_str(), micros(at), history.by, history.reason])?;
    Ok(())
}

/// Makes a dead letter of a row that is no valid event, so that it stops nobody else.
pub(super) fn quarantine(
    transaction: &Transaction<'_>,
    sequence: i64,
    why: &str,
    now: DateTime<Utc>,
) -> rusqlite::Result<()> {
    let reason = format!("the stored row is no valid event: {why}");
    transaction
        .prepare_cached(
            "UPDATE outbox_event SET status = 'failed', attempts = max(attempts, 1), failure_class = 'permanent', \
             failure_reason = ?2, failed_at = ?3, due_at = NULL, token = NULL WHERE sequence = ?1",
        )?
        .execute(params![sequence, reason, micros(now)])?;
    remember(transaction, sequence, &History { action: Action::Reject, reason, by: None }, now)
}
