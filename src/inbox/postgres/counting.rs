//! Attempts that are counted before their handlers run, in PostgreSQL, and taken back
//! where they were none.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use tokio_postgres::{Client, Error, Transaction};

use super::rows::{
    begin_row, check_place, find, find_row, now, remove, unindexable, write,
};
use crate::broker::Delivery;
use crate::inbox::InboxConfig;
use crate::inbox::batch::Placed;
use crate::inbox::counting::{Begun, TakeBack, Tally, next_attempt};
use crate::inbox::entry::Entry;
use crate::inbox::intake::{RECEIVING, met};
use crate::inbox::sharing::{Front, Sharing};
use crate::store::StoreError;
use crate::store::error::Doing;
use crate::{Facts, RawEvent};

/// Commits that an attempt has begun, unless it is a duplicate or none is left.
pub(super) async fn begin_attempt<A>(
    client: &mut Client,
    delivery: &Delivery<A>,
    config: &InboxConfig,
    tally: &mut Tally<'_>,
) -> Result<(), StoreError> {
    let event = delivery.facts();
    if unindexable(event).or_else(|| config.refusal(event)).is_some() {
        return Ok(());
    }
    let transaction = client.transaction().await.doing(RECEIVING)?;
    check_place(&transaction).await.doing(RECEIVING)?;
    let before = if begin_row(&transaction, event).await.doing(RECEIVING)? {
        None
    } else {
        met(find(&transaction, event).await.doing(RECEIVING)?, event)?
    };
    let Some(next) = next_attempt(delivery, before, config, tally.counted())? else {
        return Ok(());
    };
    let (entry, begun) = next.at(now(&transaction).await.doing(RECEIVING)?);
    write(&transaction, entry).await.doing(RECEIVING)?;
    tally.begin(begun);
    transaction.commit().await.doing(RECEIVING)
}

/// Commits that the attempts of the first deliveries have begun, as far as these may
/// share a transaction.
pub(super) async fn begin_attempts<A>(
    client: &mut Client,
    waiting: &VecDeque<Placed<Delivery<A>>>,
    config: &InboxConfig,
) -> Result<Front, StoreError> {
    let transaction = client.transaction().await.doing(RECEIVING)?;
    check_place(&transaction).await.doing(RECEIVING)?;
    let (at, mut front) = (now(&transaction).await.doing(RECEIVING)?, Front::default());
    for (place, delivery) in waiting {
        let event = delivery.facts();
        let counts = delivery.is_redelivered()
            && unindexable(event).or_else(|| config.refusal(event)).is_none();
        let (sharing, is_new) = if counts {
            let before = find(&transaction, event).await.doing(RECEIVING)?;
            let is_new = before.is_none();
            (Sharing::of(delivery, before, config, at), is_new)
        } else {
            (Sharing::Free, false)
        };
        match front.add(*place, sharing, at) {
            ControlFlow::Continue(Some(entry)) => {
                count(&transaction, event, is_new, entry).await?;
            }
            ControlFlow::Continue(None) => {}
            ControlFlow::Break(()) => break,
        }
    }
    transaction.commit().await.doing(RECEIVING)?;
    Ok(front)
}

/// Stores that an attempt has begun. Of an event that was new, another consumer may have
/// a row meanwhile, which stays as it is.
async fn count(
    transaction: &Transaction<'_>,
    event: &Facts<RawEvent>,
    is_new: bool,
    entry: Entry,
) -> Result<(), StoreError> {
    let (is_still_new, write) =
        (begin_row(transaction, event), write(transaction, entry));
    if !is_new {
        return write.await.doing(RECEIVING);
    }
    // Both in one journey.
    let (is_still_new, ()) =
        tokio::try_join!(biased; is_still_new, write).doing(RECEIVING)?;
    if is_still_new { Ok(()) } else { met(None, event).map(drop) }
}

/// Takes attempts back, in one commit.
pub(super) async fn take_back<'b>(
    client: &mut Client,
    attempts: impl IntoIterator<Item = &'b Begun>,
) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    for begun in attempts {
        match begun.take_back(find_row(&transaction, &begun.key).await?) {
            TakeBack::Write(entry) => write(&transaction, *entry).await?,
            TakeBack::Remove => remove(&transaction, &begun.key).await?,
            TakeBack::Leave => {}
        }
    }
    transaction.commit().await
}
