//! Settling in SQLite: what became of claimed events, in one transaction.

use std::collections::{BTreeSet, HashMap, HashSet};

use rusqlite::Transaction;

use super::rows::{Fence, acknowledge_all, chain, free, release, settle, stored_before};
use crate::DeliveryStatus;
use crate::envelope::UUID_TEXT;
use crate::outbox::change::Settled;
use crate::outbox::claim::{Lease, Token};
use crate::outbox::watermark::Watermark;
use crate::store::sqlite::now;

/// Writes what became of claimed events, of those whose lease has not ended, and names
/// these, with those that an earlier call has stored. Most were confirmed by the broker,
/// and are written together; one by one, if that finds a lease that has ended.
pub(super) fn settle_all(
    transaction: &Transaction<'_>,
    changes: &[(Lease, Settled)],
    watermark: &Watermark,
) -> rusqlite::Result<HashSet<i64>> {
    let now = now(transaction)?;
    let confirmed = |settled: &Settled| {
        settled
            .change()
            .is_some_and(|change| change.status == DeliveryStatus::Acknowledged)
    };
    let mut together = HashMap::<Token, Vec<i64>>::new();
    for (lease, _) in changes.iter().filter(|(_, settled)| confirmed(settled)) {
        together.entry(lease.token).or_default().push(lease.sequence);
    }
    let mut stored = HashSet::new();
    for (token, sequences) in together {
        if acknowledge_all(transaction, token, &sequences, now)? {
            stored.extend(sequences);
        }
    }
    let (mut freed, mut before) = (BTreeSet::new(), HashSet::new());
    for (lease, settled) in changes {
        let is_stored = stored.contains(&lease.sequence)
            || match settled {
                Settled::Stepped(change) => {
                    let mut buffer = UUID_TEXT;
                    let token =
                        lease.token.hyphenated().encode_lower(&mut buffer).as_bytes();
                    settle(
                        transaction,
                        (lease.sequence, Some(token)),
                        change,
                        now,
                        Fence::Held,
                    )?
                }
                Settled::Released(reason) => release(transaction, lease, reason, now)?,
            };
        if is_stored {
            stored.insert(lease.sequence);
            freed.extend(settled.change().and_then(|change| change.frees.as_deref()));
        } else if stored_before(transaction, lease, settled.trace())? {
            before.insert(lease.sequence);
        }
    }
    let chained = changes.iter().filter(|(lease, settled)| {
        confirmed(settled)
            && stored.contains(&lease.sequence)
            && settled.change().is_some_and(|change| change.frees.is_some())
    });
    let chained: Vec<i64> = chained.map(|(lease, _)| lease.sequence).collect();
    if !chained.is_empty() {
        chain(transaction, chained.into_iter(), now)?;
    }
    for key in freed {
        watermark.back_to(free(transaction, key)?);
    }
    let due = changes.iter().filter_map(|(_, settled)| settled.change()?.due_at);
    watermark.back_to(due.min());
    stored.extend(before);
    Ok(stored)
}
