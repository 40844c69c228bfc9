//! A claim: it takes due events, and fails the attempts whose lease has ended.

use std::time::Instant;

use chrono::{DateTime, Utc};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row as SqlRow};

use super::rows::{claim_sql, expired_sql, put_aside_sql, quarantine, read_expired};
use super::settle::{self, Changes};
use crate::AnyEnvelope;
use crate::crash_point::crash_point;
use crate::outbox::admin::Finding;
use crate::outbox::blocked::MANY_BLOCKED;
use crate::outbox::chain::chained;
use crate::outbox::change::{Change, expiry_reason};
use crate::outbox::claim::{Claim, Lease, Token};
use crate::outbox::store::{ClaimOrder, Claimed};
use crate::outbox::watermark::{Cost, Look, Watermark};
use crate::state::Dispatched;
use crate::store::postgres::{Link, at, at_most, maybe_at, micros, read_row};

/// How many entries of the due index this transaction has read so far, and the time.
const READ: &str = "SELECT coalesce(pg_stat_get_xact_tuples_returned(to_regclass('outbox_due')), 0) AS read, \
     statement_timestamp() AS now";

/// Begins a transaction, fails the attempts whose lease has ended, and takes due events.
/// Returns where the scan began, too.
pub(super) async fn claim(
    link: &mut Link,
    order: &ClaimOrder,
    watermark: &Watermark,
) -> Result<(Claimed, Option<DateTime<Utc>>), Error> {
    let scan = Scan::new(order);
    let mut claimed = Claimed::default();
    let (from, found) = scan.begin(link, watermark).await?;
    if order.only.is_none() {
        let reached =
            found.due.first().map(|row| maybe_at(row, "reached")).transpose()?;
        watermark.reached(reached.flatten());
    }
    take(link, &found.due, scan.token, &mut claimed).await?;
    if !found.expired.is_empty() {
        expire(link, &found.expired, order, watermark, &mut claimed).await?;
        // Some of these may be due again at once.
        let room = at_most(order.limit.saturating_sub(found.due.len()));
        let due = link.query(&scan.claim, &scan.claim_values(&room, &from)).await?;
        take(link, &due, scan.token, &mut claimed).await?;
    }
    Ok((claimed, from))
}

/// The statements and values of one claim.
struct Scan<'a> {
    order: &'a ClaimOrder,
    /// The statement for events whose lease has ended, and the one for what is due.
    sweep: String,
    claim: String,
    token: Token,
    limit: i64,
    lease: i64,
}

/// The rows that it found.
struct Found {
    expired: Vec<SqlRow>,
    due: Vec<SqlRow>,
}

impl<'a> Scan<'a> {
    fn new(order: &'a ClaimOrder) -> Self {
        Self {
            order,
            sweep: expired_sql(),
            claim: claim_sql(order.on_dead_letter),
            token: Token::now_v7(),
            limit: at_most(order.limit),
            lease: micros(order.lease),
        }
    }

    fn sweep_values<'v>(
        &'v self,
        from: &'v Option<DateTime<Utc>>,
    ) -> [&'v (dyn ToSql + Sync); 2] {
        [&self.limit, from]
    }

    fn claim_values<'v>(
        &'v self,
        room: &'v i64,
        from: &'v Option<DateTime<Utc>>,
    ) -> [&'v (dyn ToSql + Sync); 7] {
        let order = self.order;
        [room, &self.token, &order.worker, &self.lease, &order.except, from, &order.only]
    }

    /// Begins the transaction, and scans from the watermark. Returns where that was, too.
    async fn begin(
        &self,
        link: &mut Link,
        watermark: &Watermark,
    ) -> Result<(Option<DateTime<Utc>>, Found), Error> {
        // One type alone says nothing of where the others have come to.
        let look = if self.order.only.is_some() {
            Look::Whole { measured: false }
        } else {
            watermark.next(&self.order.except)
        };
        match look {
            Look::Whole { measured: false } => {
                Ok((None, self.begin_from(link, &None, &None).await?))
            }
            Look::Whole { measured: true } => {
                let before = read_so_far(&link.begin(READ, &[]).await?)?;
                Ok((None, self.measure(link, before, watermark).await?))
            }
            Look::From { due, leases } => {
                let (from, leases) = (Some(due), Some(leases));
                let found = self.begin_from(link, &leases, &from).await?;
                if !found.expired.is_empty() || !found.due.is_empty() {
                    return Ok((from, found));
                }
                let before = read_so_far(&link.query(READ, &[]).await?)?;
                Ok((None, self.measure(link, before, watermark).await?))
            }
        }
    }

    async fn begin_from(
        &self,
        link: &mut Link,
        leases: &Option<DateTime<Utc>>,
        from: &Option<DateTime<Utc>>,
    ) -> Result<Found, Error> {
        let sweep = self.sweep_values(leases);
        let claim = self.claim_values(&self.limit, from);
        let both = link.begin_two((&self.sweep, &sweep), (&self.claim, &claim)).await?;
        Ok(Found { expired: both.0, due: both.1 })
    }

    /// Scans everything, and measures the cost by the entries read `before` and after.
    async fn measure(
        &self,
        link: &mut Link,
        before: Option<(i64, DateTime<Utc>)>,
        watermark: &Watermark,
    ) -> Result<Found, Error> {
        let began = Instant::now();
        let expired = link.query(&self.sweep, &self.sweep_values(&None)).await?;
        let claim = self.claim_values(&self.limit, &None);
        let due = link.query(&self.claim, &claim).await?;
        let took = began.elapsed();
        let after = read_so_far(&link.query(READ, &[]).await?)?;
        if let (Some((before, at)), Some((after, _))) = (before, after) {
            let steps = after.saturating_sub(before).saturating_sub(at_most(due.len()));
            watermark.looked(Cost { steps, took, at });
        }
        Ok(Found { expired, due })
    }
}

/// Sets blocked events aside, commits, and returns how many they were.
pub(super) async fn put_aside(
    link: &mut Link,
    order: &ClaimOrder,
    from: Option<DateTime<Utc>>,
) -> Result<usize, Error> {
    let sql = put_aside_sql(order.on_dead_letter);
    let values: [&(dyn ToSql + Sync); 4] =
        [&at_most(MANY_BLOCKED), &order.except, &from, &order.only];
    Ok(link.commit_after(&sql, &values).await?.len())
}

fn read_so_far(rows: &[SqlRow]) -> Result<Option<(i64, DateTime<Utc>)>, Error> {
    rows.first().map(|row| Ok((row.try_get("read")?, at(row, "now")?))).transpose()
}

/// Reads the events that a claim has taken; a row that is not a valid event becomes a
/// dead letter.
async fn take(
    link: &mut Link,
    rows: &[SqlRow],
    token: Token,
    claimed: &mut Claimed,
) -> Result<(), Error> {
    let since = Instant::now();
    let taken = rows.iter().map(|row| {
        Ok((read_row(row)?, at(row, "claimed_at")?, row.try_get("key_after")?))
    });
    let mut taken = taken.collect::<Result<Vec<_>, Error>>()?;
    taken.sort_by_key(|(row, ..)| row.sequence);
    for (row, claimed_at, after) in taken {
        let (sequence, id, key) =
            (row.sequence, row.id.clone(), row.ordering_key.clone());
        match chained(row, after) {
            Ok(event) => claimed
                .claims
                .push(Claim::new(event, Lease { sequence, token, claimed_at, since })),
            Err(why) => {
                quarantine(link, sequence, key, &why).await?;
                claimed.quarantined.push(Finding { event: id, what: why });
            }
        }
    }
    Ok(())
}

/// Fails the attempts of events whose lease has ended.
async fn expire(
    link: &mut Link,
    rows: &[SqlRow],
    order: &ClaimOrder,
    watermark: &Watermark,
    claimed: &mut Claimed,
) -> Result<(), Error> {
    let mut found = Vec::new();
    for row in rows {
        let (row, token, by, now) = read_expired(row)?;
        let (sequence, id, key) =
            (row.sequence, row.id.clone(), row.ordering_key.clone());
        match row.read_in::<Dispatched>() {
            Ok(event) => {
                let event =
                    AnyEnvelope::from(event.fail_at(expiry_reason(by.as_deref()), now));
                found.push((sequence, token, Change::of_expired(&event, &order.worker)));
                claimed.expired.push(event);
            }
            Err(why) => {
                quarantine(link, sequence, key, &why).await?;
                claimed.quarantined.push(Finding { event: id, what: why });
            }
        }
    }
    let mut changes = Changes::default();
    for (sequence, token, change) in &found {
        changes.push(*sequence, *token, change);
    }
    watermark.back_to(settle::expire(link, &changes).await?);
    crash_point("in the sweep");
    Ok(())
}
