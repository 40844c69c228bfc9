//! The rows of the outbox in SQLite, read and written: what relay and people have in
//! common.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, StatementStatus, Transaction, params};

use crate::DeliveryStatus;
use crate::audit::Action;
use crate::envelope::UUID_TEXT;
use crate::outbox::admin::listing::quarantine_reason;
use crate::outbox::blocked::{MANY_BLOCKED, stands_before};
use crate::outbox::chain::NAMED_FOR_DAYS;
use crate::outbox::change::{Change, Entry, Trace};
use crate::outbox::claim::{Lease, Token};
use crate::outbox::store::ClaimOrder;
use crate::store::sqlite::{at_most, maybe_moment, maybe_text, micros, now, read_row};
use crate::store::{EVENT_COLUMN_COUNT, EVENT_COLUMNS, LAST_DUE, Row, place};

/// The last moment that the column of what is due may hold.
const LAST: i64 = LAST_DUE.timestamp_micros();

/// A later moment, in microseconds, or the last.
pub(super) fn after(moment: DateTime<Utc>, span: Duration) -> i64 {
    micros(moment)
        .saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
        .min(LAST)
}

/// A due event.
pub(super) struct Due {
    pub(super) row: Row,
    /// The event before it, of its key and source.
    pub(super) after: Option<String>,
}

/// What a claim has found.
pub(super) struct Found {
    /// The events to send.
    pub(super) due: Vec<Due>,
    /// The sequence numbers of those, met before that, for which an earlier event of
    /// their key is under way.
    pub(super) blocked: Vec<i64>,
    /// The moment before which nothing is due that it has not met.
    pub(super) reached: Option<DateTime<Utc>>,
    /// About how many entries it has stepped over.
    pub(super) steps: i64,
}

/// About how many steps SQLite's machine takes to step over an entry.
const STEPS_EACH: i64 = 8;

/// Where the time when an event is due stands in what [`find_due`] reads: a name would be
/// looked for in each row.
const DUE_AT: usize = EVENT_COLUMN_COUNT.saturating_add(1);

/// Where the event before it stands there.
const KEY_AFTER: usize = DUE_AT.saturating_add(1);

/// What is due, since a moment or at all.
pub(super) fn find_due(
    transaction: &Transaction<'_>,
    order: &ClaimOrder,
    from: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> rusqlite::Result<Found> {
    let except = match order.except.is_empty() {
        true => "?3 = '[]'",
        false => "event_type NOT IN (SELECT value FROM json_each(?3))",
    };
    let since = if from.is_some() { "due_at >= ?4" } else { "?4 IS NULL" };
    let only = if order.only.is_some() { "event_type = ?5" } else { "?5 IS NULL" };
    let sql = format!(
        "SELECT {EVENT_COLUMNS}, ordering_key IS NOT NULL AND EXISTS (\
           SELECT 1 FROM outbox_event AS earlier WHERE {}) AS is_blocked, due_at, \
         CASE WHEN ordering_key IS NOT NULL THEN {KEY_BEFORE} END FROM outbox_event AS event \
         WHERE status IN ('pending', 'retrying') AND blocked = 0 AND due_at <= ?1 AND {since} AND {except} AND {only} \
         ORDER BY due_at, sequence LIMIT ?2",
        stands_before(order.on_dead_letter)
    );
    let (room, limit) = (order.limit, order.limit.saturating_add(MANY_BLOCKED));
    let mut statement = transaction.prepare_cached(&sql)?;
    let except = serde_json::Value::from(order.except.clone()).to_string();
    let mut rows = statement.query(params![
        micros(now),
        at_most(limit),
        except,
        from.map(micros),
        order.only,
        day(now).saturating_sub(i64::from(NAMED_FOR_DAYS)),
    ])?;
    let (mut due, mut blocked, mut last) = (Vec::new(), Vec::new(), None);
    while due.len() < room
        && let Some(row) = rows.next()?
    {
        last = maybe_moment(row.get(DUE_AT)?);
        if row.get(EVENT_COLUMN_COUNT)? {
            blocked.push(row.get(const { place("sequence") })?);
        } else {
            due.push(Due { row: read_row(row)?, after: maybe_text(row, KEY_AFTER)? });
        }
    }
    drop(rows);
    let is_full = due.len() >= room || due.len().saturating_add(blocked.len()) >= limit;
    let steps = i64::from(statement.reset_status(StatementStatus::VmStep))
        .saturating_div(STEPS_EACH);
    Ok(Found { due, blocked, reached: if is_full { last } else { Some(now) }, steps })
}

/// Puts blocked events aside, until an event of their key is over.
pub(super) fn put_aside(
    transaction: &Transaction<'_>,
    blocked: &[i64],
) -> rusqlite::Result<()> {
    if blocked.is_empty() {
        return Ok(());
    }
    transaction
        .prepare_cached(
            "UPDATE OR FAIL outbox_event SET blocked = 1 WHERE sequence IN (SELECT value FROM json_each(?1))",
        )?
        .execute([json(blocked.iter().copied())])
        .map(drop)
}

/// Numbers as one value of a statement that works on many rows. Such a statement is
/// `OR FAIL`, and leaves it to the transaction to take back what it has done: otherwise
/// SQLite keeps a copy of every page for it.
pub(super) fn json(numbers: impl Iterator<Item = i64>) -> String {
    let mut list = String::from("[");
    for number in numbers {
        if list.len() > 1 {
            list.push(',');
        }
        list.push_str(&number.to_string());
    }
    list.push(']');
    list
}

/// Lets the next event of a key be looked at again, and says when it was due, where it
/// had been put aside.
pub(super) fn free(
    connection: &Connection,
    key: &str,
) -> rusqlite::Result<Option<DateTime<Utc>>> {
    let due_at = connection
        .prepare_cached(
            "UPDATE outbox_event SET blocked = 0 WHERE blocked = 1 AND sequence = (\
               SELECT sequence FROM outbox_event WHERE ordering_key = ?1 \
               AND status IN ('pending', 'dispatched', 'retrying', 'failed') AND status <> 'failed' \
               ORDER BY sequence LIMIT 1) RETURNING due_at",
        )?
        .query_row([key], |row| row.get(0))
        .optional()?;
    Ok(maybe_moment(due_at.flatten()))
}

/// A claim, as its rows hold it.
pub(super) struct Hold<'a> {
    pub(super) token: &'a str,
    pub(super) worker: &'a str,
    pub(super) since: i64,
    pub(super) until: i64,
}

/// What the column holds at the most. Plain SQL may have written it, and one such row
/// must not stop the others.
const MOST_ATTEMPTS: i64 = 4_294_967_294;

/// Takes rows that are due, and counts their attempt.
///
/// That they were found by a statement before this one does not matter, since nobody else
/// writes meanwhile; one statement for both, with `RETURNING`, copies every row twice.
pub(super) fn dispatch(
    transaction: &Transaction<'_>,
    due: &mut [Due],
    hold: &Hold<'_>,
) -> rusqlite::Result<()> {
    let sequences = json(due.iter().map(|due| due.row.sequence));
    let sql = format!(
        "UPDATE OR FAIL outbox_event SET status = 'dispatched', attempts = max(1, min(attempts + 1, {MOST_ATTEMPTS})), \
         token = ?1, claimed_by = ?2, claimed_at = ?3, first_sent_at = coalesce(first_sent_at, ?3), due_at = ?4 \
         WHERE sequence IN (SELECT value FROM json_each(?5))"
    );
    transaction.prepare_cached(&sql)?.execute(params![
        hold.token,
        hold.worker,
        hold.since,
        hold.until,
        sequences
    ])?;
    for Due { row, .. } in due {
        row.status = DeliveryStatus::Dispatched.as_str().to_owned();
        row.attempts = row.attempts.saturating_add(1).clamp(1, MOST_ATTEMPTS);
    }
    Ok(())
}

/// Lets leases that have not ended last so long from now, and says of each whether it
/// does.
pub(super) fn renew(
    transaction: &Transaction<'_>,
    leases: &[Lease],
    lease: Duration,
) -> rusqlite::Result<Vec<bool>> {
    let now = now(transaction)?;
    let (since, until) = (micros(now), after(now, lease));
    let mut statement = transaction.prepare_cached(
        "UPDATE outbox_event SET due_at = ?1 \
         WHERE sequence = ?2 AND token = ?3 AND status = 'dispatched' AND due_at > ?4",
    )?;
    let renew = |one: &Lease| {
        let values = params![until, one.sequence, one.token.to_string(), since];
        Ok(statement.execute(values)? == 1)
    };
    leases.iter().map(renew).collect()
}

/// An event whose lease has ended: the row, its claim's token as it is written there, and
/// who held it.
pub(super) type Expired = (Row, Option<Vec<u8>>, Option<String>);

pub(super) fn find_expired(
    transaction: &Transaction<'_>,
    now: DateTime<Utc>,
    limit: usize,
) -> rusqlite::Result<Vec<Expired>> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS}, token, claimed_by FROM outbox_event \
         WHERE status = 'dispatched' AND due_at <= ?1 ORDER BY due_at LIMIT ?2"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let rows = statement.query_map(params![micros(now), at_most(limit)], |row| {
        let token = row.get_ref("token")?.as_bytes_or_null()?.map(<[u8]>::to_vec);
        Ok((read_row(row)?, token, maybe_text(row, "claimed_by")?))
    })?;
    rows.collect()
}

/// The lease under which a settlement writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fence {
    /// One that has not ended, of its holder.
    Held,
    /// One that has.
    Ended,
}

/// Writes what became of a claimed event, if the claim still holds; says whether it did.
pub(super) fn settle(
    transaction: &Transaction<'_>,
    (sequence, token): (i64, Option<&[u8]>),
    change: &Change,
    now: DateTime<Utc>,
    fence: Fence,
) -> rusqlite::Result<bool> {
    let token = token.map(|token| ToSqlOutput::Borrowed(ValueRef::Text(token)));
    let done_at = change.is_done().then(|| micros(now));
    let held_at = (fence == Fence::Held).then(|| micros(now));
    let failure = change.failure.as_ref();
    let changed = transaction
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
        ])?;
    if changed == 1
        && let Some(history) = &change.history
    {
        let at = change.failure.as_ref().map_or(now, |failure| failure.at);
        add_history(transaction, sequence, history, at)?;
    }
    Ok(changed == 1)
}

/// Writes that a broker has confirmed the events of one claim, if none of their leases
/// has ended; says whether it did.
pub(super) fn acknowledge_all(
    transaction: &Transaction<'_>,
    token: Token,
    sequences: &[i64],
    now: DateTime<Utc>,
) -> rusqlite::Result<bool> {
    let mut buffer = UUID_TEXT;
    let token = &*token.hyphenated().encode_lower(&mut buffer);
    let (now, list) = (micros(now), json(sequences.iter().copied()));
    let held: i64 = transaction
        .prepare_cached(
            "SELECT count(*) FROM outbox_event WHERE sequence IN (SELECT value FROM json_each(?1)) \
             AND token = ?2 AND status = 'dispatched' AND due_at > ?3",
        )?
        .query_row(params![list, token, now], |row| row.get(0))?;
    if usize::try_from(held) != Ok(sequences.len()) {
        return Ok(false);
    }
    transaction
        .prepare_cached(
            "UPDATE OR FAIL outbox_event SET status = 'acknowledged', due_at = NULL, done_at = ?1, token = NULL \
             WHERE sequence IN (SELECT value FROM json_each(?2))",
        )?
        .execute(params![now, list])?;
    Ok(true)
}

/// The last confirmed event of the same key and source, where it is before `event` and
/// was confirmed since the day of the sixth value.
const KEY_BEFORE: &str = "(SELECT id FROM outbox_chain AS key \
     WHERE key.ordering_key = event.ordering_key AND key.source_system = event.source_system \
     AND key.sequence < event.sequence AND key.confirmed_on >= ?6)";

/// Lets each of these confirmed events be the one before the next of its key.
pub(super) fn chain(
    transaction: &Transaction<'_>,
    confirmed: impl Iterator<Item = i64>,
    now: DateTime<Utc>,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO outbox_chain (ordering_key, source_system, sequence, id, confirmed_on) \
             SELECT ordering_key, source_system, sequence, id, ?2 FROM outbox_event \
             WHERE sequence IN (SELECT value FROM json_each(?1)) AND ordering_key IS NOT NULL \
             ON CONFLICT DO UPDATE SET sequence = excluded.sequence, id = excluded.id, \
             confirmed_on = excluded.confirmed_on WHERE excluded.sequence > outbox_chain.sequence",
        )?
        .execute(params![json(confirmed), day(now)])
        .map(drop)
}

/// Forgets the keys that nothing was confirmed of for so long that no claim names it.
pub(super) fn forget_keys(
    transaction: &Transaction<'_>,
    now: DateTime<Utc>,
    limit: usize,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "DELETE FROM outbox_chain WHERE (ordering_key, source_system) IN (\
             SELECT ordering_key, source_system FROM outbox_chain WHERE confirmed_on < ?1 LIMIT ?2)",
        )?
        .execute(params![
            day(now).saturating_sub(i64::from(NAMED_FOR_DAYS)),
            at_most(limit)
        ])
        .map(drop)
}

/// The day of a moment, counted from 1970.
fn day(moment: DateTime<Utc>) -> i64 {
    const SECONDS: i64 = 24 * 60 * 60;
    moment.timestamp().div_euclid(SECONDS)
}

/// The tick of SQLite's clock in which a moment lies: it counts in milliseconds, and what
/// is due in one is due at its beginning.
fn tick(moment: DateTime<Utc>) -> i64 {
    moment.timestamp_millis().saturating_mul(1000)
}

/// Takes a claim back whose event was not sent; says whether the claim still held.
pub(super) fn release(
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
        let history =
            Entry { action: Action::Release, reason: reason.to_owned(), by: None };
        add_history(transaction, lease.sequence, &history, now)?;
    }
    Ok(changed == 1)
}

/// Whether an earlier call has stored a settlement.
pub(super) fn stored_before(
    transaction: &Transaction<'_>,
    lease: &Lease,
    trace: Trace,
) -> rusqlite::Result<bool> {
    let (status, action) = trace.columns();
    transaction
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM outbox_event WHERE sequence = ?1 AND claimed_at = ?2 AND status = ?3 \
               AND discarded_at IS NULL) \
             OR EXISTS (SELECT 1 FROM outbox_history WHERE event = ?1 AND claimed_at = ?2 AND action = ?4)",
        )?
        .query_row(params![lease.sequence, micros(lease.claimed_at), status, action], |row| row.get(0))
}

/// Adds to the history what the row is about to forget.
pub(super) fn add_history(
    connection: &Connection,
    sequence: i64,
    history: &Entry,
    at: DateTime<Utc>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO outbox_history (event, action, at, by, status, attempts, reason, claimed_at, claimed_by) \
             SELECT sequence, ?2, ?3, coalesce(?4, claimed_by), status, attempts, ?5, claimed_at, claimed_by \
             FROM outbox_event WHERE sequence = ?1",
        )?
        .execute(params![sequence, history.action.as_str(), micros(at), history.by, history.reason])?;
    Ok(())
}

/// Makes a dead letter of a row that is no valid event, so that it stops nobody else; the
/// answer as of [`free`].
pub(super) fn quarantine(
    transaction: &Transaction<'_>,
    (sequence, key): (i64, Option<&str>),
    why: &str,
    now: DateTime<Utc>,
) -> rusqlite::Result<Option<DateTime<Utc>>> {
    let reason = quarantine_reason(why);
    transaction
        .prepare_cached(
            "UPDATE outbox_event SET status = 'failed', attempts = max(attempts, 1), failure_class = 'permanent', \
             failure_reason = ?2, failed_at = ?3, due_at = NULL, token = NULL WHERE sequence = ?1",
        )?
        .execute(params![sequence, reason, micros(now)])?;
    let freed = key.map_or(Ok(None), |key| free(transaction, key))?;
    add_history(
        transaction,
        sequence,
        &Entry { action: Action::Reject, reason, by: None },
        now,
    )?;
    Ok(freed)
}
