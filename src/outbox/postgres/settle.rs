//! Settlements: what became of claimed events, written in one transaction and one round
//! trip, as far as their leases still hold.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::Error;
use tokio_postgres::types::ToSql;

use super::rows::{DISPATCHED, FREE, TODAY, freed, sequences};
use crate::DeliveryStatus;
use crate::audit::Action;
use crate::crash_point::crash_point;
use crate::outbox::change::{Change, Settled, Trace};
use crate::outbox::claim::{HeldLease, Lease, Token};
use crate::store::postgres::{Link, micros};

/// What a settlement has stored, and when the first event that it lets go was due.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) sequences: HashSet<i64>,
    pub(super) freed: Option<DateTime<Utc>>,
}

/// Writes what became of claimed events. Where an earlier call has stored a settlement
/// and its answer was lost, this one counts it as stored.
pub(super) async fn settle(
    link: &Link,
    settlements: &[(Lease, Settled)],
) -> Result<Stored, Error> {
    let (mut steps, mut releases) = (Changes::default(), Releases::default());
    for (lease, settled) in settlements {
        match settled {
            Settled::Stepped(change) => {
                steps.push(lease.sequence, Some(lease.token), change);
            }
            Settled::Released(reason) => releases.push(lease, reason),
        }
    }
    let mut stored = write(link, &steps, &releases).await?;
    if stored.sequences.len() < settlements.len() {
        let others = settlements
            .iter()
            .filter(|(lease, _)| !stored.sequences.contains(&lease.sequence))
            .map(|(lease, settled)| (lease, settled.trace()));
        let before = stored_before(link, others).await?;
        stored.sequences.extend(before);
    }
    Ok(stored)
}

async fn write(
    link: &Link,
    steps: &Changes<'_>,
    releases: &Releases<'_>,
) -> Result<Stored, Error> {
    let step = if steps.are_confirmed() { steps.confirm() } else { steps.step(&true) };
    let release = releases.release();
    let free: [&(dyn ToSql + Sync); 1] = [&steps.frees];
    let mut statements = Vec::new();
    if !steps.sequence.is_empty() {
        statements.push((step.0.as_str(), step.1.as_slice()));
    }
    if !releases.sequence.is_empty() {
        statements.push((release.0.as_str(), release.1.as_slice()));
    }
    if !steps.frees.is_empty() {
        statements.push((FREE, free.as_slice()));
    }
    crash_point("before the settlement commits");
    let mut answers = link.whole(&statements).await?;
    let let_go = if steps.frees.is_empty() { None } else { answers.pop() };
    let freed = freed(&let_go.unwrap_or_default())?;
    let settled = answers.iter().flatten().map(|row| row.try_get(0));
    Ok(Stored { sequences: settled.collect::<Result<_, Error>>()?, freed })
}

/// Writes that attempts have failed whose lease has ended, in the transaction that has
/// found and locked their rows. Says when the first event that this lets go was due.
pub(super) async fn expire(
    link: &mut Link,
    changes: &Changes<'_>,
) -> Result<Option<DateTime<Utc>>, Error> {
    let (sql, values) = changes.step(&false);
    link.query(&sql, &values).await?;
    if changes.frees.is_empty() {
        return Ok(None);
    }
    freed(&link.query(FREE, &[&changes.frees]).await?)
}

/// A statement, and its values.
type Statement<'a> = (String, Vec<&'a (dyn ToSql + Sync)>);

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
    frees: Vec<&'a str>,
}

const ACKNOWLEDGED: &str = DeliveryStatus::Acknowledged.as_str();

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

    fn are_confirmed(&self) -> bool {
        self.status.iter().all(|status| *status == ACKNOWLEDGED)
    }

    /// Writes that the broker has confirmed all of them.
    fn confirm(&self) -> Statement<'_> {
        let confirm = format!(
            "UPDATE outbox_event AS event SET status = 'acknowledged', due_at = NULL, done_at = clock_timestamp(), \
             token = NULL FROM unnest($1::bigint[], $2::uuid[]) AS step (sequence, token) \
             WHERE event.sequence = step.sequence AND event.token = step.token \
             AND {DISPATCHED} AND event.due_at > clock_timestamp() RETURNING event.sequence"
        );
        let sql = if self.frees.is_empty() {
            confirm
        } else {
            let columns =
                "event.ordering_key, event.source_system, event.id, event.status";
            let chain = chain("confirmed");
            format!(
                "WITH confirmed AS ({confirm}, {columns}), chained AS ({chain}) \
                 SELECT sequence FROM confirmed"
            )
        };
        (sql, vec![&self.sequence, &self.token])
    }

    /// Writes what became of each: where `held`, only of those whose lease has not ended.
    fn step<'v>(&'v self, held: &'v bool) -> Statement<'v> {
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
        let values: Vec<&(dyn ToSql + Sync)> = vec![
            &self.sequence,
            &self.token,
            &self.status,
            &self.done,
            &self.tags,
            &self.failure_class,
            &self.failure_reason,
            &self.failed_at,
            &self.due_at,
            &self.action,
            &self.reason,
            &self.by,
            held,
        ];
        (sql, values)
    }
}

/// Claims that are taken back, as the arrays of one statement: their events were not
/// sent.
#[derive(Debug, Default)]
struct Releases<'a> {
    sequence: Vec<i64>,
    token: Vec<Token>,
    reason: Vec<&'a str>,
}

const RELEASED: &str = Action::Release.as_str();

impl<'a> Releases<'a> {
    fn push(&mut self, lease: &Lease, reason: &'a str) {
        self.sequence.push(lease.sequence);
        self.token.push(lease.token);
        self.reason.push(reason);
    }

    fn release(&self) -> Statement<'_> {
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
        (sql, vec![&self.sequence, &self.token, &self.reason, &RELEASED])
    }
}

/// Names those of some settlements that an earlier call has stored.
async fn stored_before(
    link: &Link,
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
    let rows = link.alone(
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

/// Lets leases that have not ended last so long from now, and names their events.
pub(super) async fn renew(
    link: &Link,
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
