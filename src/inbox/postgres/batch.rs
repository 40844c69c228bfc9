//! Many deliveries in one transaction of PostgreSQL: one commit for all of them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tokio_postgres::{Client, Transaction};

use super::counting::{begin_attempts, take_back};
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
use crate::inbox::batch::{Ended, LONGEST, Placed, Settled, Taken};
use crate::inbox::failing::Failing;
use crate::inbox::intake::{Counted, Intake, RECEIVING, received};
use crate::inbox::reply::Reply;
use crate::inbox::sharing::Front;
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
    let mut front = Front::default();
    while let Some(first) = waiting.front().map(|(place, _)| *place) {
        if front.is_over() {
            front = match next_front(client, &waiting, inbox).await {
                Ok(front) => front,
                Err(error) => {
                    settled.push((first, Err(error)));
                    return settled;
                }
            };
        }
        let mut batch = front.sharing(&mut waiting);
        let alone = if batch.is_empty() {
            front.alone(&mut waiting)
        } else {
            let work = process_batch(client, &mut batch, &front, inbox);
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
            if ended.committed {
                let idle = front.idle(&ended.taken);
                if !idle.is_empty() {
                    // What stays counted has begun nothing, and is handled alone.
                    let _ = timeout(time, take_back(client, idle)).await;
                }
                front.left(&batch);
            } else {
                let begun = front.undone();
                if !begun.is_empty() {
                    // What stays counted is handled alone, and has not spent an attempt.
                    let _ = timeout(time, take_back(client, begun.values())).await;
                }
            }
            batch.into_iter().rev().for_each(|one| waiting.push_front(one));
            ended.settle(&mut settled)
        };
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

/// The first of those that wait, with their attempts counted where that is needed.
async fn next_front<A, L: Handle>(
    client: &mut Client,
    waiting: &VecDeque<Placed<Delivery<A>>>,
    inbox: &Database<L>,
) -> Result<Front, StoreError> {
    if let Some(front) = Front::uncounted(waiting) {
        return Ok(front);
    }
    let time = inbox.longest();
    let counted = timeout(time, begin_attempts(client, waiting, &inbox.config));
    let counted = counted.await.map_err(|_| silent(RECEIVING, time))?;
    // What keeps them from being counted together shows where one is alone.
    Ok(counted.unwrap_or_else(|_| Front::one_alone()))
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
    front: &Front,
    inbox: &Database<L>,
) -> Result<Ended<A>, StoreError> {
    let began = Instant::now();
    let transaction = client.transaction().await.doing(RECEIVING)?;
    let mut taken = Vec::with_capacity(batch.len());
    while let Some((place, delivery)) = batch.pop_front() {
        let counted = front.counted(place);
        let (one, shares) = take_one(&transaction, delivery, counted, inbox).await;
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
    counted: Counted,
    inbox: &Database<L>,
) -> (Option<Taken<A>>, bool) {
    let (event, reply) = received(delivery, &inbox.config);
    match hold_back(transaction, &event, &inbox.config, inbox.order.as_ref()).await {
        Ok(None) => {}
        Ok(Some(held_back)) => return (Some(held_back.taken(event, reply)), true),
        Err(_) => return (None, false),
    }
    let Ok((intake, _)) = decide(transaction, event, &inbox.config, counted).await else {
        return (None, false);
    };
    let (event, reply) = match intake {
        Intake::Handle(event) => (event, reply),
        Intake::HandleAgain { event, is_buried } => (event, reply.buried(is_buried)),
        Intake::Bury(failing) => {
            let Ok(at) = now(transaction).await else { return (None, false) };
            let outcome = failing.at(at);
            let stored = write(transaction, outcome.entry()).await.is_ok();
            return (Some(Taken::Failed(outcome, reply)), stored);
        }
        Intake::Done(done) => return (Some(Taken::Done(done, reply)), true),
    };
    let reply = reply.handling(&event);
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
