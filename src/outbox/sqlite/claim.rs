//! A claim: attempts whose lease has ended have failed, and what is due is taken.

use std::time::Instant;

use chrono::{DateTime, Utc};
use rusqlite::Transaction;

use super::rows::{
    Due, Fence, Found, Hold, after, dispatch, find_due, find_expired, free, put_aside,
    quarantine, settle,
};
use crate::AnyEnvelope;
use crate::crash_point::crash_point;
use crate::outbox::admin::Finding;
use crate::outbox::chain::chained;
use crate::outbox::change::{Change, expiry_reason};
use crate::outbox::claim::{Claim, Lease, Token};
use crate::outbox::store::{ClaimOrder, Claimed};
use crate::outbox::watermark::{Cost, Look, Watermark};
use crate::state::Dispatched;
use crate::store::sqlite::{micros, now};

/// Fails the attempts of events whose lease has ended.
pub(super) fn expire(
    transaction: &Transaction<'_>,
    order: &ClaimOrder,
    watermark: &Watermark,
    claimed: &mut Claimed,
) -> rusqlite::Result<()> {
    let now = now(transaction)?;
    for (row, token, by) in find_expired(transaction, now, order.limit)? {
        let (sequence, id, key) =
            (row.sequence, row.id.clone(), row.ordering_key.clone());
        match row.read_in::<Dispatched>() {
            Ok(event) => {
                let event =
                    AnyEnvelope::from(event.fail_at(expiry_reason(by.as_deref()), now));
                let change = Change::of_expired(&event, &order.worker);
                if settle(
                    transaction,
                    (sequence, token.as_deref()),
                    &change,
                    now,
                    Fence::Ended,
                )? && let Some(key) = &change.frees
                {
                    watermark.back_to(free(transaction, key)?);
                }
                crash_point("in the sweep");
                claimed.expired.push(event);
            }
            Err(why) => {
                let row = (sequence, key.as_deref());
                watermark.back_to(quarantine(transaction, row, &why, now)?);
                claimed.quarantined.push(Finding { event: id, what: why });
            }
        }
    }
    Ok(())
}

/// Takes due events, and counts their attempt. Blocked ones that it meets it puts aside.
pub(super) fn claim(
    transaction: &Transaction<'_>,
    order: &ClaimOrder,
    watermark: &Watermark,
    claimed: &mut Claimed,
) -> rusqlite::Result<()> {
    let now = now(transaction)?;
    let token = Token::now_v7();
    let hold = Hold {
        token: &token.to_string(),
        worker: &order.worker,
        since: micros(now),
        until: after(now, order.lease),
    };
    let Found { due: mut rows, blocked, .. } = find(transaction, order, watermark, now)?;
    put_aside(transaction, &blocked)?;
    claimed.blocked = blocked.len();
    dispatch(transaction, &mut rows, &hold)?;
    rows.sort_by_key(|due| due.row.sequence);
    let since = Instant::now();
    for Due { row, after } in rows {
        let (sequence, id, key) =
            (row.sequence, row.id.clone(), row.ordering_key.clone());
        match chained(row, after) {
            Ok(event) => claimed.claims.push(Claim::new(
                event,
                Lease { sequence, token, claimed_at: now, since },
            )),
            Err(why) => {
                let row = (sequence, key.as_deref());
                watermark.back_to(quarantine(transaction, row, &why, now)?);
                claimed.quarantined.push(Finding { event: id, what: why });
            }
        }
    }
    Ok(())
}

/// Finds what is due: where types are paused of which there are many events, from where
/// the last claims have come to.
fn find(
    transaction: &Transaction<'_>,
    order: &ClaimOrder,
    watermark: &Watermark,
    now: DateTime<Utc>,
) -> rusqlite::Result<Found> {
    if order.only.is_some() {
        // One type alone says nothing of where the others have come to.
        return find_due(transaction, order, None, now);
    }
    let began = Instant::now();
    let found = match watermark.next(&order.except) {
        Look::From { due, .. } => find_due(transaction, order, Some(due), now)?,
        Look::Whole { .. } => {
            let found = find_due(transaction, order, None, now)?;
            let steps = if order.except.is_empty() { 0 } else { found.steps };
            watermark.looked(Cost { steps, took: began.elapsed(), at: now });
            // Others may have let older events go, of which it has met the first.
            watermark.back_to(found.reached);
            found
        }
    };
    watermark.reached(found.reached);
    Ok(found)
}
