//! The rows of the outbox in PostgreSQL, read and written: what relay and people have in
//! common.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row as SqlRow};

use crate::DeliveryStatus;
use crate::audit::Action;
use crate::outbox::admin::listing::quarantine_reason;
use crate::outbox::blocked::stands_before;
use crate::outbox::chain::NAMED_FOR_DAYS;
use crate::outbox::change::{Change, Trace};
use crate::outbox::claim::{HeldLease, Lease, Token};
use crate::outbox::store::OnDeadLetter;
use crate::store::postgres::{Link, at, maybe_at, micros, read_row};
use crate::store::{EVENT_COLUMNS, Row};

/// An event whose lease has ended: the row, its claim's token, who held it, and the time
/// now.
pub(super) type Expired = (Row, Option<Token>, Option<String>, DateTime<Utc>);

/// The events, of so many at the most, whose lease has ended, at a moment or later.
pub(super) fn expired_sql() -> String {
    format!(
        "SELECT {EVENT_COLUMNS}, token, claimed_by, statement_timestamp() AS now FROM outbox_event \
         WHERE status = 'dispatched' AND due_at <= statement_timestamp() \
         AND due_at >= coalesce($2::timestamptz, '-infinity') ORDER BY due_at LIMIT $1::bigint \
         FOR UPDATE SKIP LOCKED"
    )
}

pub(super) fn read_expired(row: &SqlRow) -> Result<Expired, Error> {
    Ok((
        read_row(row)?,
        row.try_get("token")?,
        row.try_get("claimed_by")?,
        at(row, "now")?,
    ))
}

/// The events that are due, since one value of the statement or later, and that no claim
/// has put aside, of other types than a second value names, and of the one type that a
/// third names, if it does.
fn due([except, from, only]: [&str; 3]) -> String {
    format!(
        "status IN ('pending', 'retrying') AND NOT blocked AND due_at <= statement_timestamp() \
         AND due_at >= coalesce({from}::timestamptz, '-infinity') AND event_type <> ALL ({except}::text[]) \
         AND event_type = coalesce({only}::text, event_type) \
         ORDER BY due_at, sequence LIMIT $1::bigint FOR UPDATE SKIP LOCKED"
    )
}

/// Takes what is due and not blocked, and says when the last of it was due. The choice is
/// made once, and first, whatever the planner thinks: an array is a value. What is chosen
/// is locked, and so stays in its place. (Who has written the highest number of attempts
/// stops nobody: the event is refused by its policy.)
pub(super) fn claim_sql(on_dead_letter: OnDeadLetter) -> String {
    let (due, earlier) = (due(["$5", "$6", "$7"]), stands_before(on_dead_letter));
    format!(
        "WITH due AS (\
           SELECT place, due_at FROM (\
             SELECT ctid AS place, sequence, ordering_key, due_at FROM outbox_event WHERE {due}) AS event \
           WHERE ordering_key IS NULL OR NOT EXISTS (SELECT 1 FROM outbox_event AS earlier WHERE {earlier})\
         ) \
         UPDATE outbox_event SET status = 'dispatched', attempts = least(attempts, {MOST_ATTEMPTS} - 1) + 1, token = $2, \
         claimed_by = $3, claimed_at = statement_timestamp(), \
         first_sent_at = coalesce(first_sent_at, statement_timestamp()), \
         due_at = statement_timestamp() + $4::bigint * interval '1 microsecond' \
         WHERE ctid = ANY (ARRAY(SELECT place FROM due)) \
         RETURNING {EVENT_COLUMNS}, claimed_at, (SELECT max(due_at) FROM due) AS reached, \
         CASE WHEN ordering_key IS NOT NULL THEN (\
           SELECT id FROM outbox_chain AS key WHERE key.ordering_key = outbox_event.ordering_key \
           AND key.source_system = outbox_event.source_system AND key.sequence < outbox_event.sequence \
           AND key.confirmed_on >= {TODAY} - {NAMED_FOR_DAYS}) END AS key_after"
    )
}

/// The day of the database.
const TODAY: &str = "(statement_timestamp() AT TIME ZONE 'UTC')::date";

/// Lets each confirmed event among those of a query be the one before the next of its
/// key. Two relays may have events of some keys at once, and so take them in one order.
fn chain(confirmed: &str) -> String {
    format!(
        "INSERT INTO outbox_chain (ordering_key, source_system, sequence, id, confirmed_on) \
         SELECT DISTINCT ON (ordering_key, source_system) ordering_key, source_system, sequence, id, {TODAY} \
         FROM {confirmed} WHERE ordering_key IS NOT NULL AND status = 'acknowledged' \
         ORDER BY ordering_key, source_system, sequence DESC \
         ON CONFLICT (ordering_key, source_system) DO UPDATE SET sequence = excluded.sequence, id = excluded.id, \
         confirmed_on = excluded.confirmed_on WHERE excluded.sequence > outbox_chain.sequence"
    )
}

/// Forgets the keys that nothing was confirmed of for so long that no claim names it.
pub(super) fn forget_keys_sql() -> String {
    format!(
        "DELETE FROM outbox_chain WHERE ctid = ANY (ARRAY(\
           SELECT ctid FROM outbox_chain WHERE confirmed_on < {TODAY} - {NAMED_FOR_DAYS} \
           LIMIT $1::bigint FOR UPDATE SKIP LOCKED))"
    )
}

/// What a count of attempts can be.
const MOST_ATTEMPTS: u32 = u32::MAX;

/// Puts events aside that are due and blocked. The one in their way is locked: who is
/// about to end it has to wait, and then finds what is put aside. (Where it is locked
/// already it may be ending, and a later claim looks again.)
pub(super) fn put_aside_sql(on_dead_letter: OnDeadLetter) -> String {
    let (due, earlier) = (due(["$2", "$3", "$4"]), stands_before(on_dead_letter));
    format!(
        "UPDATE outbox_event SET blocked = true WHERE sequence = ANY (ARRAY(\
           SELECT event.sequence FROM (SELECT sequence, ordering_key FROM outbox_event WHERE {due}) AS event, \
           LATERAL (SELECT FROM outbox_event AS earlier WHERE {earlier} LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS first)) \
         RETURNING sequence"
    )
}

/// Lets the next event of each of some keys be looked at again, and says when the first
/// of them was due. It is a statement of its own, after the one that ended the earlier
/// events: it must see what was put aside while that one waited. (The update names no
/// `blocked`: the planner would read the index of all that is put aside, where it should
/// look each row up.)
pub(super) const FREE: &str = "WITH next AS (\
       SELECT next.* FROM unnest($1::text[]) AS freed (key), LATERAL (\
         SELECT sequence, blocked, due_at FROM outbox_event WHERE ordering_key = freed.key \
         AND status IN ('pending', 'dispatched', 'retrying', 'failed') AND status <> 'failed' \
         ORDER BY sequence LIMIT 1) AS next\
     ), let_go AS (\
       UPDATE outbox_event SET blocked = false WHERE sequence = ANY (ARRAY(\
         SELECT sequence FROM next WHERE blocked ORDER BY sequence))\
     ) SELECT min(due_at) AS due_at FROM next";

/// When the first of what a statement let go was due.
pub(super) fn freed(rows: &[SqlRow]) -> Result<Option<DateTime<Utc>>, Error> {
    Ok(rows.first().map(|row| maybe_at(row, "due_at")).transpose()?.flatten())
}

/// Lets the first event that is put aside of each key be looked at again, where nothing
/// is in its way: of so many keys after one of them. Says which the last was, where there
/// may be more, and when the first of what it let go was due.
pub(super) fn sweep_blocked_sql(on_dead_letter: OnDeadLetter) -> String {
    let earlier = stands_before(on_dead_letter);
    format!(
        "WITH RECURSIVE keys (key, place) AS (\
           SELECT (SELECT min(ordering_key) FROM outbox_event WHERE blocked AND ordering_key > $1::text), 1::bigint UNION ALL \
           SELECT (SELECT min(ordering_key) FROM outbox_event WHERE blocked AND ordering_key > keys.key), place + 1 \
           FROM keys WHERE keys.key IS NOT NULL AND place < $2::bigint\
         ), let_go AS (\
           UPDATE outbox_event SET blocked = false WHERE sequence = ANY (ARRAY(\
             SELECT sequence FROM outbox_event WHERE blocked IS NOT FALSE AND sequence = ANY (ARRAY(\
               SELECT event.sequence FROM keys, LATERAL (\
                 SELECT sequence, ordering_key FROM outbox_event WHERE blocked AND ordering_key = keys.key \
                 ORDER BY sequence LIMIT 1) AS event \
               WHERE NOT EXISTS (SELECT 1 FROM outbox_event AS earlier WHERE {earlier}))) FOR UPDATE SKIP LOCKED)) \
           RETURNING due_at\
         ) SELECT (SELECT key FROM keys WHERE place = $2) AS last, (SELECT min(due_at) FROM let_go) AS due_at"
    )
}

/// That the row of an event is dispatched, in words which do not match the index of all
/// leases: with it, the planner reads that index once for each event of a batch, where it
/// should look each row up by its number.
pub(super) const DISPATCHED: &str = "event.status IN ('dispatched', '')";

/// What becomes of claimed events, as the arrays of one statement.
#[derive(Debug, Default)]
pub(super) struct Changes<'a> {
    sequence: Vec<i64>,
    token: Vec<Option<Token>>,
    status: Vec<&'static str>,
    done: Vec<bool>,
    tags: Vec<Option<&'a str>>,
    failure_class: Vec<Option<&'a str>>,
    failure_reason: Vec<Option<&'a str>>,
    failed_at: Vec<Option<DateTime<Utc>>>,
    due_at: Vec<Option<DateTime<Utc>>>,
    action: Vec<Option<&'static str>>,
    reason: Vec<Option<&'a str>>,
    by: Vec<Option<&'a str>>,
    /// The ordering keys that go on without one of them.
    pub(super) frees: Vec<&'a str>,
}

impl<'a> Changes<'a> {
    pub(super) fn push(
        &mut self,
        sequence: i64,
        token: Option<Token>,
        change: &'a Change,
    ) {
        let (failure, history) = (change.failure.as_ref(), change.history.as_ref());
        self.sequence.push(sequence);
        self.token.push(token);
        self.status.push(change.status.as_str());
        self.done.push(change.is_done());
        self.tags.push(change.tags.as_deref());
        self.failure_class.push(failure.map(|failure| failure.what.as_str()));
        self.failure_reason.push(failure.map(|failure| failure.reason.as_str()));
        self.failed_at.push(failure.map(|failure| failure.at));
        self.due_at.push(change.due_at);
        self.action.push(history.map(|history| history.action.as_str()));
        self.reason.push(history.map(|history| history.reason.as_str()));
        self.by.push(history.and_then(|history| history.by.as_deref()));
        self.frees.extend(change.frees.as_deref());
    }
}

/// The leases under which a settlement writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fence {
    /// Those that have not ended, of their holder: the transaction begins with it.
    Held,
    /// Those that have, in the transaction that has found and locked them.
    Ended,
}

/// Writes what became of claimed events, of those whose claim still holds, and names
/// these.
pub(super) async fn settle(
    link: &mut Link,
    changes: &Changes<'_>,
    fence: Fence,
) -> Result<HashSet<i64>, Error> {
    if fence == Fence::Held && changes.status.iter().all(|status| *status == ACKNOWLEDGED)
    {
        return acknowledge_all(link, changes).await;
    }
    let values: [&(dyn ToSql + Sync); 13] = [
        &changes.sequence,
        &changes.token,
        &changes.status,
        &changes.done,
        &changes.tags,
        &changes.failure_class,
        &changes.failure_reason,
        &changes.failed_at,
        &changes.due_at,
        &changes.action,
        &changes.reason,
        &changes.by,
        &(fence == Fence::Held),
    ];
    let sql = format!(
        "WITH settled AS (\
           UPDATE outbox_event AS event SET status = step.status, tags = coalesce(step.tags::jsonb, event.tags), \
           failure_class = coalesce(step.failure_class, event.failure_class), \
           failure_reason = coalesce(step.failure_reason, event.failure_reason), \
           failed_at = coalesce(step.failed_at, event.failed_at), due_at = step.due_at, \
           done_at = CASE WHEN step.done THEN clock_timestamp() END, token = NULL \
           FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::boolean[], $5::text[], $6::text[], $7::text[], \
             $8::timestamptz[], $9::timestamptz[], $10::text[], $11::text[], $12::text[]) AS step (sequence, token, \
             status, done, tags, failure_class, failure_reason, failed_at, due_at, action, reason, by) \
           WHERE event.sequence = step.sequence AND event.token IS NOT DISTINCT FROM step.token \
           AND {DISPATCHED} AND (NOT $13::boolean OR event.due_at > clock_timestamp()) \
           RETURNING event.*, step.action, step.reason, step.by, step.failed_at AS at\
         ), chained AS (\
           {}\
         ), recorded AS (\
           INSERT INTO outbox_history (event, action, at, by, status, attempts, reason, claimed_at, claimed_by) \
           SELECT sequence, action, coalesce(at, clock_timestamp()), coalesce(by, claimed_by), status, attempts, \
           reason, claimed_at, claimed_by FROM settled WHERE action IS NOT NULL\
         ) SELECT sequence FROM settled",
        chain("settled")
    );
    sequences(&match fence {
        Fence::Held => link.begin(&sql, &values).await?,
        Fence::Ended => link.query(&sql, &values).await?,
    })
}

const ACKNOWLEDGED: &str = DeliveryStatus::Acknowledged.as_str();

/// Writes that the broker has confirmed all of them, in a transaction that begins here.
async fn acknowledge_all(
    link: &mut Link,
    changes: &Changes<'_>,
) -> Result<HashSet<i64>, Error> {
    let values: [&(dyn ToSql + Sync); 2] = [&changes.sequence, &changes.token];
    let confirm = format!(
        "UPDATE outbox_event AS event SET status = 'acknowledged', due_at = NULL, done_at = clock_timestamp(), \
         token = NULL FROM unnest($1::bigint[], $2::uuid[]) AS step (sequence, token) \
         WHERE event.sequence = step.sequence AND event.token = step.token \
         AND {DISPATCHED} AND event.due_at > clock_timestamp() RETURNING event.sequence"
    );
    let sql = if changes.frees.is_empty() {
        confirm
    } else {
        let columns = "event.ordering_key, event.source_system, event.id, event.status";
        let chain = chain("confirmed");
        format!(
            "WITH confirmed AS ({confirm}, {columns}), chained AS ({chain}) \
             SELECT sequence FROM confirmed"
        )
    };
    sequences(&link.begin(&sql, &values).await?)
}

/// Lets leases that have not ended last so long from now, and names their events.
pub(super) async fn renew(
    link: &mut Link,
    held: &[HeldLease],
    lease: Duration,
) -> Result<HashSet<i64>, Error> {
    let (sequences, tokens): (Vec<i64>, Vec<Token>) =
        held.iter().map(|one| (one.lease.sequence, one.lease.token)).unzip();
    let sql = format!(
        "UPDATE outbox_event AS event SET due_at = clock_timestamp() + $3::bigint * interval '1 microsecond' \
         FROM unnest($1::bigint[], $2::uuid[]) AS held (sequence, token) \
         WHERE event.sequence = held.sequence AND event.token = held.token AND {DISPATCHED} \
         AND event.due_at > clock_timestamp() RETURNING event.sequence"
    );
    let renewed = link.alone(&sql, &[&sequences, &tokens, &micros(lease)]).await?;
    self::sequences(&renewed)
}

/// Takes claims back whose event was not sent, of those that still hold, and names these.
pub(super) async fn release(
    link: &mut Link,
    released: &[(&Lease, &str)],
) -> Result<HashSet<i64>, Error> {
    let sequence: Vec<i64> = released.iter().map(|(lease, _)| lease.sequence).collect();
    let token: Vec<Token> = released.iter().map(|(lease, _)| lease.token).collect();
    let reason: Vec<&str> = released.iter().map(|(_, reason)| *reason).collect();
    let action = Action::Release.as_str();
    let values: [&(dyn ToSql + Sync); 4] = [&sequence, &token, &reason, &action];
    let sql = format!(
        "WITH released AS (\
           UPDATE outbox_event AS event SET status = CASE event.attempts WHEN 1 THEN 'pending' ELSE 'retrying' END, \
           attempts = event.attempts - 1, due_at = clock_timestamp(), token = NULL \
           FROM unnest($1::bigint[], $2::uuid[], $3::text[]) AS held (sequence, token, reason) \
           WHERE event.sequence = held.sequence AND event.token = held.token AND {DISPATCHED} \
           AND event.due_at > clock_timestamp() \
           RETURNING event.sequence, event.status, event.attempts, event.claimed_at, event.claimed_by, held.reason\
         ), recorded AS (\
           INSERT INTO outbox_history (event, action, at, by, status, attempts, reason, claimed_at, claimed_by) \
           SELECT sequence, $4, clock_timestamp(), claimed_by, status, attempts, reason, claimed_at, claimed_by \
           FROM released\
         ) SELECT sequence FROM released"
    );
    let rows = link.query(&sql, &values);
    sequences(&rows.await?)
}

/// Names those of some settlements that an earlier call has stored.
pub(super) async fn stored_before(
    link: &mut Link,
    settled: impl Iterator<Item = (&Lease, Trace)>,
) -> Result<HashSet<i64>, Error> {
    let (mut sequence, mut claimed_at) = (Vec::new(), Vec::new());
    let (mut status, mut action) = (Vec::new(), Vec::new());
    for (lease, trace) in settled {
        sequence.push(lease.sequence);
        claimed_at.push(lease.claimed_at);
        let columns = trace.columns();
        status.push(columns.0);
        action.push(columns.1);
    }
    let values: [&(dyn ToSql + Sync); 4] = [&sequence, &claimed_at, &status, &action];
    let rows = link.query(
        "SELECT step.sequence FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[]) \
           AS step (sequence, claimed_at, status, action) \
         WHERE EXISTS (SELECT FROM outbox_event AS event WHERE event.sequence = step.sequence \
           AND event.claimed_at = step.claimed_at AND event.status = step.status AND event.discarded_at IS NULL) \
         OR EXISTS (SELECT FROM outbox_history AS past WHERE past.event = step.sequence \
           AND past.claimed_at = step.claimed_at AND past.action = step.action)",
        &values,
    );
    sequences(&rows.await?)
}

/// Makes a dead letter of a row that is no valid event, so that it stops nobody else.
pub(super) async fn quarantine(
    link: &mut Link,
    sequence: i64,
    key: Option<String>,
    why: &str,
) -> Result<(), Error> {
    let reason = quarantine_reason(why);
    let action = Action::Reject.as_str();
    let values: [&(dyn ToSql + Sync); 3] = [&sequence, &reason, &action];
    let quarantined = link.query(
        "WITH quarantined AS (\
           UPDATE outbox_event SET status = 'failed', attempts = greatest(attempts, 1), failure_class = 'permanent', \
           failure_reason = $2, failed_at = clock_timestamp(), due_at = NULL, token = NULL WHERE sequence = $1 \
           RETURNING *\
         ) \
         INSERT INTO outbox_history (event, action, at, by, status, attempts, reason, claimed_at, claimed_by) \
         SELECT sequence, $3, failed_at, claimed_by, status, attempts, failure_reason, claimed_at, claimed_by \
         FROM quarantined",
        &values,
    );
    quarantined.await?;
    if let Some(key) = key {
        link.query(FREE, &[&[key].as_slice()]).await?;
    }
    Ok(())
}

/// The sequence numbers that a statement gives back in its first column.
pub(super) fn sequences(rows: &[SqlRow]) -> Result<HashSet<i64>, Error> {
    rows.iter().map(|row| row.try_get(0)).collect()
}
