//! Attempts that are counted before their handlers run, in SQLite, and taken back where
//! they were none.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use rusqlite::{Connection, Transaction};

use super::process::begin;
use super::rows::{find, find_row, remove, write};
use crate::broker::Delivery;
use crate::inbox::InboxConfig;
use crate::inbox::batch::Placed;
use crate::inbox::counting::{Begun, TakeBack, Tally, next_attempt};
use crate::inbox::intake::RECEIVING;
use crate::inbox::sharing::{Front, Sharing};
use crate::store::StoreError;
use crate::store::error::Doing;
use crate::store::sqlite::now;

/// Commits that an attempt has begun, unless it is a duplicate or none is left.
pub(super) fn begin_attempt<A>(
    connection: &mut Connection,
    delivery: &Delivery<A>,
    config: &InboxConfig,
    tally: &mut Tally<'_>,
) -> Result<(), StoreError> {
    if config.refusal(delivery.facts()).is_some() {
        return Ok(());
    }
    let transaction = begin(connection).doing(RECEIVING)?;
    let event = delivery.facts();
    let before = find(&transaction, event).doing(RECEIVING)?;
    let Some(next) = next_attempt(delivery, before, config, tally.counted())? else {
        return Ok(());
    };
    let (entry, begun) = next.at(now(&transaction).doing(RECEIVING)?);
    write(&transaction, entry).doing(RECEIVING)?;
    tally.begin(begun);
    transaction.commit().doing(RECEIVING)
}

/// Commits that the attempts of the first deliveries have begun, as far as these may
/// share a transaction.
pub(super) fn begin_attempts<A>(
    connection: &mut Connection,
    waiting: &VecDeque<Placed<Delivery<A>>>,
    config: &InboxConfig,
) -> rusqlite::Result<Front> {
    let transaction = begin(connection)?;
    let (at, mut front) = (now(&transaction)?, Front::default());
    for (place, delivery) in waiting {
        let sharing = sharing(&transaction, delivery, config, at)?;
        match front.add(*place, sharing, at) {
            ControlFlow::Continue(Some(entry)) => write(&transaction, entry)?,
            ControlFlow::Continue(None) => {}
            ControlFlow::Break(()) => break,
        }
    }
    transaction.commit()?;
    Ok(front)
}

fn sharing<A>(
    transaction: &Transaction<'_>,
    delivery: &Delivery<A>,
    config: &InboxConfig,
    at: chrono::DateTime<chrono::Utc>,
) -> rusqlite::Result<Sharing> {
    let event = delivery.facts();
    if !delivery.is_redelivered() || config.refusal(event).is_some() {
        return Ok(Sharing::Free);
    }
    Ok(Sharing::of(delivery, find(transaction, event)?, config, at))
}

/// Takes attempts back, in one commit.
pub(super) fn take_back<'b>(
    connection: &mut Connection,
    attempts: impl IntoIterator<Item = &'b Begun>,
) -> rusqlite::Result<()> {
    let transaction = begin(connection)?;
    for begun in attempts {
        match begun.take_back(find_row(&transaction, &begun.key)?) {
            TakeBack::Write(entry) => write(&transaction, *entry)?,
            TakeBack::Remove => remove(&transaction, &begun.key)?,
            TakeBack::Leave => {}
        }
    }
    transaction.commit()
}
