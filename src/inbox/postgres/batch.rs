//! Many deliveries in one transaction of PostgreSQL: one commit for all of them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tokio_postgres::{Client, Transaction};

use super::held::{hold_back, process_in_order};
use super::process::caught;
use super::rows::{
    check_place, find, now, remember, unindexable, write, write_processed,
};
use super::worker::{Database, Handle};
use super::{RELEASE, ROLLBACK, SAVEPOINT};
use crate::Envelope;
use crate::broker::Delivery;
use crate::crash_point::crash_point;
use crate::inbox::batch::{Ended, LONGEST, Placed, Settled, Taken, next_batch};
use crate::inbox::failing::Failing;
use crate::inbox::intake::{Counted, Found, Intake, RECEIVING, intake, met, received};
use crate::inbox::reply::Reply;
use crate::inbox::{HandlerError, InboxConfig};
use crate::state::Acknowledged;
use crate::store::error::Doing;
use crate::store::{StoreError, StoreErrorKind};

/// Handles deliveries in their order, in as few transactions as their time allows. After
/// an error of the database the rest is dropped, and comes again.
pub(super) async fn process_all<A, L: Handle>(
    client: &mut Client,
    deliveries: Vec<Delivery<A>>,
    inbox: &Database<L>,
) -> Vec<Settled<A>> {
    let time = inbox.longest();
    let mut waiting: VecDeque<_> = deliveries.into_iter().enumerate().collect();
    let mut settled = Vec::with_capacity(waiting.len());
    while let Some(first) = waiting.front().map(|(place, _)| *place) {
        let mut alone = next_batch(&mut waiting);
        if alone.len() > 1 {
            let mut batch = alone;
            let work = process_batch(client, &mut batch, inbox);
            let ended = match timeout(time, work)
                .await
                .unwrap_or_else(|_| Err(silent(RECEIVING, time)))
            {
                Ok(ended) => ended,
                Err(error) => {
                    settled.push((first, Err(error)));
                    return settled;
                }
            };
            batch.into_iter().rev().for_each(|one| waiting.push_front(one));
            alone = ended.settle(&mut settled).into();
        }
        for (place, delivery) in alone {
            let work = process_in_order(client, delivery, inbox);
            let handled = timeout(time, work).await;
            let handled = handled.unwrap_or_else(|_| Err(silent(RECEIVING, time)));
            let failed = handled.is_err();
            settled.push((place, handled));
            if failed {
                return settled;
            }
        }
    }
    settled
}

/// PostgreSQL has not answered in time.
pub(super) fn silent(doing: &'static str, time: Duration) -> StoreError {
    let why = format!("PostgreSQL did not answer within {time:?}");
    StoreError::of(StoreErrorKind::Unreachable, doing, why)
}

/// One transaction: it takes from the front of the batch, and ends early where an event
/// cannot share it.
async fn process_batch<A, L: Handle>(
    client: &mut Client,
    batch: &mut VecDeque<Placed<Delivery<A>>>,
    inbox: &Database<L>,
) -> Result<Ended<A>, StoreError> {
    let began = Instant::now();
    let transaction = client.transaction().await.doing(RECEIVING)?;
    let mut taken = Vec::with_capacity(batch.len());
    while let Some((place, delivery)) = batch.pop_front() {
        let (one, shares) = take_one(&transaction, delivery, inbox).await;
        taken.extend(one.map(|one| (place, one)));
        if !shares {
            transaction.rollback().await.doing(RECEIVING)?;
            return Ok(Ended { taken, committed: false });
        }
        if began.elapsed() >= LONGEST {
            break;
        }
    }
    crash_point("before the effect commits");
    let committed = transaction.commit().await.is_ok();
    if committed {
        crash_point("after the effect");
        if taken.iter().any(|(_, one)| matches!(one, Taken::Held(..))) {
            crash_point("after an event is held");
        }
    }
    Ok(Ended { taken, committed })
}

/// Takes one delivery in, and handles it behind a savepoint; says whether the transaction
/// can go on. A delivery that the database does not answer for is dropped.
async fn take_one<A, L: Handle>(
    transaction: &Transaction<'_>,
    delivery: Delivery<A>,
    inbox: &Database<L>,
) -> (Option<Taken<A>>, bool) {
    let (event, reply) = received(delivery, &inbox.config);
    match hold_back(transaction, &event, &inbox.config, inbox.order.as_ref()).await {
        Ok(None) => {}
        Ok(Some(held_back)) => return (Some(held_back.taken(event, reply)), true),
        Err(_) => return (None, false),
    }
    let Ok(intake) = take_in(transaction, event, &inbox.config).await else {
        return (None, false);
    };
    let (event, reply) = match intake {
        Intake::Handle(event) | Intake::HandleAgain { event, .. } => {
            let reply = reply.handling(&event);
            (event, reply)
        }
        Intake::Bury(failing) => {
            let Ok(at) = now(transaction).await else { return (None, false) };
            let outcome = failing.at(at);
            let stored = write(transaction, outcome.entry()).await.is_ok();
            return (Some(Taken::Failed(outcome, reply)), stored);
        }
        Intake::Done(done) => return (Some(Taken::Done(done, reply)), true),
    };
    let handled =
        reply.span().instrument(caught(inbox.handle(transaction, &event))).await;
    let undone = match handled {
        Ok(()) => transaction.batch_execute(RELEASE).await.is_err(),
        Err(error) if error.counts => {
            return fail(transaction, event, reply, error).await;
        }
        Err(_) => true,
    };
    (Some(Taken::Handled(event, reply)), !undone)
}

/// Decides about an event, and remembers it, with a savepoint behind it, where its
/// handler runs.
async fn take_in(
    transaction: &Transaction<'_>,
    event: Envelope<Acknowledged>,
    config: &InboxConfig,
) -> Result<Intake, StoreError> {
    let refusal = unindexable(&event).or_else(|| config.refusal(&event));
    let found = if refusal.is_some() {
        check_place(transaction).await.doing(RECEIVING)?;
        Found::of(find(transaction, &event).await.doing(RECEIVING)?)
    } else if remember(transaction, &event).await.doing(RECEIVING)?.is_some() {
        Found::Nothing
    } else {
        Found::of(met(find(transaction, &event).await.doing(RECEIVING)?, &event)?)
    };
    let intake = intake(event, found, refusal, Counted::AtItsEnd)?;
    if let Intake::HandleAgain { event, .. } = &intake {
        // The savepoint comes after the row's lock. Both in one journey.
        let written = write_processed(transaction, event);
        tokio::try_join!(biased; written, transaction.batch_execute(SAVEPOINT))
            .doing(RECEIVING)?;
    }
    Ok(intake)
}

/// Undoes what a handler wrote, and stores its failure.
async fn fail<A>(
    transaction: &Transaction<'_>,
    event: Envelope<Acknowledged>,
    reply: Reply<A>,
    error: HandlerError,
) -> (Option<Taken<A>>, bool) {
    let undone = async {
        transaction.batch_execute(ROLLBACK).await?;
        transaction.batch_execute(RELEASE).await?;
        now(transaction).await
    };
    let Ok(at) = undone.await else {
        return (Some(Taken::Handled(event, reply)), false);
    };
    let outcome = Failing::Handler { event, error }.at(at);
    let stored = write(transaction, outcome.entry()).await.is_ok();
    (Some(Taken::Failed(outcome, reply)), stored)
}
