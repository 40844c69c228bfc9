//! Many deliveries in one transaction of PostgreSQL: one commit for all of them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tokio_postgres::{Client, Transaction};

use super::held::{hold_back, process_in_order};
use super::process::caught;
use super::receive::decide;
use super::rows::{now, write};
use super::worker::{Database, Handle};
use super::{RELEASE, ROLLBACK};
use crate::Envelope;
use crate::broker::Delivery;
use crate::crash_point::crash_point;
use crate::inbox::HandlerError;
use crate::inbox::batch::{Ended, LONGEST, Placed, Settled, Taken, next_batch};
use crate::inbox::failing::Failing;
use crate::inbox::intake::{Counted, Intake, RECEIVING, received};
use crate::inbox::reply::Reply;
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
    let counted = Counted::AtItsEnd;
    let Ok((intake, _)) = decide(transaction, event, &inbox.config, counted).await else {
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
