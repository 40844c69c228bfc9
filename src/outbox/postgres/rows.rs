//! The rows of the outbox in PostgreSQL: the statements that find, claim, set aside and
//! free them.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row as SqlRow};

use crate::audit::Action;
use crate::outbox::admin::listing::quarantine_reason;
use crate::outbox::blocked::stands_before;
use crate::outbox::chain::NAMED_FOR_DAYS;
use crate::outbox::claim::Token;
use crate::outbox::store::OnDeadLetter;
use crate::store::postgres::{Link, at, maybe_at, read_row};
use crate::store::{EVENT_COLUMNS, Row};

/// An event whose lease has ended: its row, the token and the holder of the lease, and
/// the time.
pub(super) type Expired = (Row, Option<Token>, Option<String>, DateTime<Utc>);

/// Finds events whose lease has ended, at a moment or later.
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

/// The condition for due events that are not set aside: `except` some types, due `from` a
/// moment on, and of `only` one type, each the number of a parameter.
fn due([except, from, only]: [&str; 3]) -> String {
    format!(
        "status IN ('pending', 'retrying') AND NOT blocked AND due_at <= statement_timestamp() \
         AND due_at >= coalesce({from}::timestamptz, '-infinity') AND event_type <> ALL ({except}::text[]) \
         AND event_type = coalesce({only}::text, event_type) \
         ORDER BY due_at, sequence LIMIT $1::bigint FOR UPDATE SKIP LOCKED"
    )
}

/// Claims due events that are not blocked, and returns when the last of them was due. The
/// array makes the planner choose the rows once, and first; their locks keep them in
/// their places. (A row with the highest number of attempts, which plain SQL may write,
/// stops no other: its policy refuses the event.)
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
pub(super) const TODAY: &str = "(statement_timestamp() AT TIME ZONE 'UTC')::date";

/// Forgets keys whose last confirmed event is so old that no claim names it.
pub(super) fn forget_keys_sql() -> String {
    format!(
        "DELETE FROM outbox_chain WHERE ctid = ANY (ARRAY(\
           SELECT ctid FROM outbox_chain WHERE confirmed_on < {TODAY} - {NAMED_FOR_DAYS} \
           LIMIT $1::bigint FOR UPDATE SKIP LOCKED))"
    )
}

/// The highest count of attempts.
const MOST_ATTEMPTS: u32 = u32::MAX;

/// Sets due events aside that are blocked. It locks the event in their way, so that a
/// settlement of that one waits, and then finds what is set aside. (If that one is locked
/// already, it may be about to end, and a later claim looks again.)
pub(super) fn put_aside_sql(on_dead_letter: OnDeadLetter) -> String {
    let (due, earlier) = (due(["$2", "$3", "$4"]), stands_before(on_dead_letter));
    format!(
        "UPDATE outbox_event SET blocked = true WHERE sequence = ANY (ARRAY(\
           SELECT event.sequence FROM (SELECT sequence, ordering_key FROM outbox_event WHERE {due}) AS event, \
           LATERAL (SELECT FROM outbox_event AS earlier WHERE {earlier} LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS first)) \
         RETURNING sequence"
    )
}

/// Frees the next event of each of some keys, and returns when the first of them was due.
/// It is a statement of its own, after the one that ended the earlier events: it must see
/// what was set aside while that one waited. (The update does not mention `blocked`:
/// otherwise the planner would read the whole index of blocked events instead of looking
/// up each row.)
pub(super) const FREE: &str = "WITH next AS (\
       SELECT next.* FROM unnest($1::text[]) AS freed (key), LATERAL (\
         SELECT sequence, blocked, due_at FROM outbox_event WHERE ordering_key = freed.key \
         AND status IN ('pending', 'dispatched', 'retrying', 'failed') AND status <> 'failed' \
         ORDER BY sequence LIMIT 1) AS next\
     ), let_go AS (\
       UPDATE outbox_event SET blocked = false WHERE sequence = ANY (ARRAY(\
         SELECT sequence FROM next WHERE blocked ORDER BY sequence))\
     ) SELECT min(due_at) AS due_at FROM next";

/// When the first event that [`FREE`] freed was due.
pub(super) fn freed(rows: &[SqlRow]) -> Result<Option<DateTime<Utc>>, Error> {
    Ok(rows.first().map(|row| maybe_at(row, "due_at")).transpose()?.flatten())
}

/// Frees the first blocked event of each key with nothing in its way, for a number of
/// keys after a given one. Returns the last of these keys, if there may be more, and when
/// the first freed event was due.
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

/// The condition that an event is dispatched, spelled so that it does not match the index
/// of leases: the planner would read that whole index for each event of a batch instead
/// of looking up each row.
pub(super) const DISPATCHED: &str = "event.status IN ('dispatched', '')";

/// Makes a dead letter of a row that is not a valid event, so that it stops no other.
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
