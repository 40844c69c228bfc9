//! A claim: what is due is taken, and attempts whose lease has ended have failed.

use std::time::Instant;

use chrono::{DateTime, Utc};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row as SqlRow};

use super::super::change::{Change, expiry_reason};
use super::super::watermark::{Cost, Look, Watermark};
use super::super::{Claim, ClaimOrder, Claimed, Lease, Token};
use super::rows::{
    Changes, FREE, claim_sql, expired_sql, freed, quarantine, read_expired, settle,
};
use crate::AnyEnvelope;
use crate::crash_point::crash_point;
use crate::state::Dispatched;
use crate::store::postgres::{Link, at, limit, maybe_at, micros, read_row};

/// How many entries of the index of what is due this session has read so far, and the
/// time now.
const READ: &str = "SELECT coalesce(pg_stat_get_xact_tuples_returned(to_regclass('outbox_due')), 0) AS read, \
     statement_timestamp() AS now";

/// Begins a transaction, fails the attempts of events whose lease has ended, and takes
/// what is due; says where it began.
pub(super) async fn claim(
    link: &mut Link,
    order: &ClaimOrder,
    watermark: &Watermark,
    claimed: &mut Claimed,
) -> Result<Option<DateTime<Utc>>, Error> {
    let (sweep, sql, token) =
        (expired_sql(), claim_sql(order.on_dead_letter), Token::now_v7());
    let (most, lease, all) =
        (limit(order.limit), micros(order.lease), None::<DateTime<Utc>>);
    let whole_sweep: Query<'_> = (&sweep, &[&most, &all]);
    let whole: Query<'_> =
        (&sql, &[&most, &token, &order.worker, &lease, &order.except, &all, &order.only]);
    // One type alone says nothing of where the others have come to.
    let look = if order.only.is_some() {
        Look::Whole { measured: false }
    } else {
        watermark.next(&order.except)
    };
    let (from, (expired, due)) = match look {
        Look::Whole { measured: false } => {
            (None, link.begin_two(whole_sweep, whole).await?)
        }
        Look::Whole { measured: true } => {
            let read = link.begin(READ, &[]).await?;
            (None, measure(link, &read, whole_sweep, whole, watermark).await?)
        }
        Look::From { due, leases } => {
            let (from, leases) = (Some(due), Some(leases));
            let values: &Values<'_> = &[
                &most,
                &token,
                &order.worker,
                &lease,
                &order.except,
                &from,
                &order.only,
            ];
            let (expired, due) =
                link.begin_two((&sweep, &[&most, &leases]), (&sql, values)).await?;
            if expired.is_empty() && due.is_empty() {
                let read = link.query(READ, &[]).await?;
                (None, measure(link, &read, whole_sweep, whole, watermark).await?)
            } else {
                (from, (expired, due))
            }
        }
    };
    if order.only.is_none() {
        watermark.reached(
            due.first().map(|row| maybe_at(row, "reached")).transpose()?.flatten(),
        );
    }
    take(link, &due, token, claimed).await?;
    if !expired.is_empty() {
        expire(link, &expired, order, watermark, claimed).await?;
        // Some of these may be due again at once.
        let room = limit(order.limit.saturating_sub(due.len()));
        let due = link
            .query(
                &sql,
                &[
                    &room,
                    &token,
                    &order.worker,
                    &lease,
                    &order.except,
                    &from,
                    &order.only,
                ],
            )
            .await?;
        take(link, &due, token, claimed).await?;
    }
    Ok(from)
}

type Values<'a> = [&'a (dyn ToSql + Sync)];
type Query<'a> = (&'a str, &'a Values<'a>);

/// Looks at everything, where so much had been read before, and tells what that costs.
async fn measure(
    link: &mut Link,
    read: &[SqlRow],
    (sweep, sweep_values): Query<'_>,
    (claim, claim_values): Query<'_>,
    watermark: &Watermark,
) -> Result<(Vec<SqlRow>, Vec<SqlRow>), Error> {
    let began = Instant::now();
    let expired = link.query(sweep, sweep_values).await?;
    let due = link.query(claim, claim_values).await?;
    let took = began.elapsed();
    let (before, after) =
        (read_so_far(read)?, read_so_far(&link.query(READ, &[]).await?)?);
    if let (Some((before, at)), Some((after, _))) = (before, after) {
        let steps = after.saturating_sub(before).saturating_sub(limit(due.len()));
        watermark.looked(Cost { steps, took, at });
    }
    Ok((expired, due))
}

fn read_so_far(rows: &[SqlRow]) -> Result<Option<(i64, DateTime<Utc>)>, Error> {
    rows.first().map(|row| Ok((row.try_get("read")?, at(row, "now")?))).transpose()
}

/// Reads the events that a claim has taken.
async fn take(
    link: &mut Link,
    rows: &[SqlRow],
    token: Token,
    claimed: &mut Claimed,
) -> Result<(), Error> {
    let since = Instant::now();
    let taken = rows.iter().map(|row| Ok((read_row(row)?, at(row, "claimed_at")?)));
    let mut taken = taken.collect::<Result<Vec<_>, Error>>()?;
    taken.sort_by_key(|(row, _)| row.sequence);
    for (row, claimed_at) in taken {
        let (sequence, id, key) =
            (row.sequence, row.id.clone(), row.ordering_key.clone());
        match row.read_in() {
            Ok(event) => claimed
                .claims
                .push(Claim::new(event, Lease { sequence, token, claimed_at, since })),
            Err(why) => {
                quarantine(link, sequence, key, &why).await?;
                claimed.quarantined.push((id, why));
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
                claimed.quarantined.push((id, why));
            }
        }
    }
    let mut changes = Changes::default();
    for (sequence, token, change) in &found {
        changes.push(*sequence, *token, change);
    }
    // The rows are locked, and nobody else can have settled them.
    settle(link, &changes, false).await?;
    if !changes.frees.is_empty() {
        watermark.back_to(freed(&link.query(FREE, &[&changes.frees]).await?)?);
    }
    crash_point("in the sweep");
    Ok(())
}
