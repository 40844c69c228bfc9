//! Held events in PostgreSQL: stored and acked before their turn, then handled by the
//! worker.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, GenericClient, Transaction};

use super::SAVEPOINT;
use super::process::{caught, process, store};
use super::receive::{InboxTransaction, Nesting};
use super::rows::{
    COLUMNS, begin_row, check_place, find, find_row, key, now, unindexable, write,
    write_failed, write_processed,
};
use super::worker::{Database, Handle};
use crate::Envelope;
use crate::broker::{Delivery, as_sent};
use crate::crash_point::crash_point;
use crate::inbox::batch::LONGEST;
use crate::inbox::counting::Key;
use crate::inbox::failing::{Outcome, Unkept};
use crate::inbox::intake::{Found, RECEIVING, received};
use crate::inbox::order::{
    Before, ByKey, HeldBack, LEASE, Looked, NO_ROOM, Step, TAKING_UP, TakenUp, Turn,
    after, begun_row, held_row, is_begun, looked_at, step, turn, turn_sql, uncounted_row,
};
use crate::inbox::reply::Reply;
use crate::inbox::{Fresh, Handled, InboxConfig};
use crate::state::Acknowledged;
use crate::store::error::Doing;
use crate::store::postgres::{self as database, at, read_row};
use crate::store::{Row, StoreError, storable};
use crate::trace::EventSpan;
use crate::{DeliveryStatus, Facts, RawEvent};

/// Whether the inbox holds an event.
pub(super) async fn is_held(
    transaction: &Transaction<'_>,
    event: &Key,
) -> Result<bool, Error> {
    let held = state(transaction, &event.source_system, &event.id).await?;
    Ok(held == Before::Held)
}

/// What the inbox knows of an event, from its row.
pub(super) async fn found(
    transaction: &Transaction<'_>,
    event: &Facts<RawEvent>,
    row: Option<Row>,
) -> Result<Found, StoreError> {
    let found = Found::of(row);
    let waits = matches!(found, Found::Waiting(_));
    let is_held =
        waits && is_held(transaction, &Key::of(event)).await.doing(RECEIVING)?;
    Ok(if is_held { Found::Held } else { found })
}

/// What the inbox knows of a predecessor, by its source and id.
async fn state(
    transaction: &Transaction<'_>,
    source_system: &str,
    id: &str,
) -> Result<Before, Error> {
    let (source_system, id) = key(source_system, id);
    let found = transaction
        .query_typed_opt(
            "SELECT status, due_at IS NOT NULL FROM inbox_event \
             WHERE source_system = $1 AND id = $2",
            &[(&source_system, Type::TEXT), (&id, Type::TEXT)],
        )
        .await?;
    let Some(row) = found else { return Ok(Before::Missing) };
    Ok(Before::of(row.try_get(0)?, row.try_get(1)?))
}

/// Holds an event whose turn has not come. `None` if its turn has come, or if the inbox
/// has the event already or does not admit it.
pub(super) async fn hold_back(
    transaction: &Transaction<'_>,
    event: &Facts<RawEvent>,
    config: &InboxConfig,
    order: Option<&ByKey>,
) -> Result<Option<HeldBack>, Error> {
    let Some((order, after)) = order.zip(after(event)) else { return Ok(None) };
    if unindexable(event).or_else(|| config.refusal(event)).is_some() {
        return Ok(None);
    }
    let before = state(transaction, event.source_system(), after).await?;
    if turn(Some(order), before, Duration::ZERO) != Turn::NotYet {
        return Ok(None);
    }
    check_place(transaction).await?;
    if find(transaction, event).await?.is_some() {
        return Ok(None);
    }
    let at = now(transaction).await?;
    let Some(row) = held_row(event, after, at) else { return Ok(None) };
    if held_count(transaction, order.room()).await? >= order.room() {
        return Ok(Some(HeldBack::NoRoom));
    }
    // Another consumer may have stored it in the meantime.
    if !begin_row(transaction, event).await? {
        return Ok(None);
    }
    write(transaction, row).await?;
    let (source, id) = key(event.source_system(), &event.id().to_string());
    let (_, after) = key(event.source_system(), after);
    transaction
        .execute_typed(
            "UPDATE inbox_event SET held_after = $3, due_at = $4 \
             WHERE source_system = $1 AND id = $2",
            &[
                (&source, Type::TEXT),
                (&id, Type::TEXT),
                (&after, Type::TEXT),
                (&looked_at(Some(order), at), Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(Some(HeldBack::Held))
}

/// How many events wait for a predecessor, counted up to a limit.
async fn held_count(transaction: &Transaction<'_>, limit: usize) -> Result<usize, Error> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM inbox_event \
               WHERE status = 'retrying' AND held_after IS NOT NULL LIMIT $1) AS held";
    let limit = database::at_most(limit);
    let row = transaction.query_typed_one(sql, &[(&limit, Type::INT8)]).await?;
    Ok(usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(usize::MAX))
}

/// Handles one delivery if its turn has come, and holds it otherwise.
pub(super) async fn process_in_order<A, L: Handle>(
    client: &mut Client,
    delivery: Delivery<A>,
    inbox: &Database<L>,
) -> Result<Handled<A>, StoreError> {
    let Database { config, order, .. } = inbox;
    if order.is_some() && after(delivery.facts()).is_some() {
        let transaction = client.transaction().await.doing(RECEIVING)?;
        let held_back = hold_back(&transaction, delivery.facts(), config, order.as_ref());
        if let Some(held_back) = held_back.await.doing(RECEIVING)? {
            transaction.commit().await.doing(RECEIVING)?;
            let (event, reply) = received(delivery, config);
            return Ok(match held_back {
                HeldBack::Held => {
                    crash_point("after an event is held");
                    Handled::Held(reply.held(&event))
                }
                HeldBack::NoRoom => Handled::RetryLater(reply.left(&event, NO_ROOM)),
            });
        }
    }
    let effect = async |transaction: &Transaction<'_>, event: &Envelope<Acknowledged>| {
        inbox.handle(transaction, event).await
    };
    process(client, delivery, config, effect).await
}

/// Handles the held events that are due, one by one, until the time is up. Each attempt
/// is counted before it begins.
pub(super) async fn take_up<L: Handle>(
    client: &mut Client,
    inbox: &Database<L>,
) -> Result<TakenUp, StoreError> {
    let (began, mut taken) = (Instant::now(), TakenUp::default());
    check_place(client).await.doing(TAKING_UP)?;
    hurry(client, inbox.order.as_ref()).await.doing(TAKING_UP)?;
    while let Some((key, next)) = next_due(client, inbox).await.doing(TAKING_UP)? {
        let is_over = match next {
            Next::Waits => false,
            Next::Quarantined => {
                taken.add_unreadable();
                true
            }
            Next::Buried(outcome, reply) => {
                taken.add(&outcome.report(reply), false);
                true
            }
            Next::Begun { event, reply, is_overdue } => {
                crash_point("before a held event is handled");
                let attempts = event.attempts();
                match handle(client, event, reply, inbox).await {
                    Ok(handled) => handled.is_some_and(|handled| {
                        taken.add(&handled, is_overdue);
                        handled.status() != DeliveryStatus::Retrying
                    }),
                    Err(error) => {
                        if take_back(client, &key, attempts, &error).await.is_err() {
                            inbox.config.owed().add(key);
                        }
                        return Err(error);
                    }
                }
            }
        };
        // Events that wait for one that is not over stay as they are: otherwise each
        // attempt of the first would touch all the others of a long key.
        if is_over {
            hurry_after(client, &key).await.doing(TAKING_UP)?;
        }
        if began.elapsed() >= LONGEST {
            taken.has_more = true;
            break;
        }
    }
    taken.holds = holds(client).await.doing(TAKING_UP)?;
    Ok(taken)
}

/// Whether the inbox holds any event.
async fn holds(client: &impl GenericClient) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM inbox_event \
               WHERE status = 'retrying' AND due_at IS NOT NULL)";
    client.query_typed_one(sql, &[]).await?.try_get(0)
}

/// Makes the events due whose turn has come, whichever process handled the ones before.
async fn hurry(client: &impl GenericClient, order: Option<&ByKey>) -> Result<(), Error> {
    let sql = format!(
        "UPDATE inbox_event SET due_at = clock_timestamp() WHERE ctid = ANY (ARRAY(\
           SELECT held.ctid FROM inbox_event AS held WHERE held.status = 'retrying' \
           AND held.held_after IS NOT NULL AND held.due_at > clock_timestamp() \
           AND {} FOR UPDATE OF held SKIP LOCKED))",
        turn_sql(order)
    );
    client.execute_typed(&sql, &[]).await.map(drop)
}

/// Makes the events due that wait for this one.
pub(super) async fn hurry_after(
    client: &impl GenericClient,
    event: &Key,
) -> Result<(), Error> {
    let (source_system, id) = key(&event.source_system, &event.id);
    client
        .execute_typed(
            "UPDATE inbox_event SET due_at = clock_timestamp() \
             WHERE ctid = ANY (ARRAY(SELECT ctid FROM inbox_event \
               WHERE status = 'retrying' AND source_system = $1 AND held_after = $2 \
               FOR UPDATE SKIP LOCKED))",
            &[(&source_system, Type::TEXT), (&id, Type::TEXT)],
        )
        .await
        .map(drop)
}

/// What was decided about the next due event.
enum Next {
    Waits,
    Quarantined,
    Buried(Outcome, Reply<()>),
    Begun { event: Envelope<Acknowledged>, reply: Reply<()>, is_overdue: bool },
}

/// Takes the next due event, decides what to do with it, and stores the decision.
async fn next_due<L>(
    client: &mut Client,
    inbox: &Database<L>,
) -> Result<Option<(Key, Next)>, Error> {
    let Database { config, order, .. } = inbox;
    let transaction = client.transaction().await?;
    let Some((key, looked)) = look(&transaction, config).await? else { return Ok(None) };
    let at = now(&transaction).await?;
    let next = match step(looked, config, order.as_ref(), at) {
        Ok(Step::Wait(until)) => {
            set_due(&transaction, &key, until).await?;
            Next::Waits
        }
        Ok(Step::Bury(failing)) => {
            let outcome = failing.at(at);
            write_failed(&transaction, &outcome).await?;
            let reply = reply(outcome.event(), config);
            Next::Buried(outcome, reply)
        }
        Ok(Step::Handle { event, is_overdue }) => {
            write(&transaction, begun_row(&event, at)).await?;
            let until = at.checked_add_signed(LEASE).unwrap_or(at);
            set_due(&transaction, &key, until).await?;
            let reply = reply(&event, config);
            Next::Begun { event, reply, is_overdue }
        }
        Err(why) => {
            quarantine(&transaction, &key, why).await?;
            Next::Quarantined
        }
    };
    transaction.commit().await?;
    Ok(Some((key, next)))
}

/// A reply without a delivery: the worker acked it when the inbox held the event.
fn reply(event: &Facts<RawEvent>, config: &InboxConfig) -> Reply<()> {
    let span = match as_sent(event) {
        Ok(event) => EventSpan::receive(&Delivery::new(event, ())),
        Err(_) => EventSpan::redrive(event),
    };
    Reply::new((), span, config.trail().clone())
}

/// The held event that is due first and that no other worker has locked.
async fn look(
    transaction: &Transaction<'_>,
    config: &InboxConfig,
) -> Result<Option<(Key, Looked)>, Error> {
    let sql = format!(
        "SELECT {COLUMNS}, held_after, received_at FROM inbox_event \
         WHERE status = 'retrying' AND due_at <= clock_timestamp() \
         ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED"
    );
    let Some(found) = transaction.query_typed_opt(&sql, &[]).await? else {
        return Ok(None);
    };
    let (row, received_at) = (read_row(&found)?, at(&found, "received_at")?);
    let before = match found.try_get::<_, Option<&str>>("held_after")? {
        Some(after) => Some(state(transaction, &row.source_system, after).await?),
        None => None,
    };
    let key = Key { source_system: row.source_system.clone(), id: row.id.clone() };
    let is_owed = config.owed().take(|| key.clone()).is_some();
    Ok(Some((key, Looked { row, before, received_at, is_owed })))
}

async fn set_due(
    transaction: &Transaction<'_>,
    event: &Key,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    update(transaction, event, "due_at = $3", (&at, Type::TIMESTAMPTZ)).await
}

/// Makes a dead letter of a row that is no event, so that it stops no other event.
async fn quarantine(
    transaction: &Transaction<'_>,
    event: &Key,
    why: String,
) -> Result<(), Error> {
    let change = "status = 'failed', failure_class = 'permanent', failure_reason = $3";
    update(transaction, event, change, (&storable(why), Type::TEXT)).await
}

async fn update(
    transaction: &Transaction<'_>,
    event: &Key,
    change: &str,
    value: (&(dyn ToSql + Sync), Type),
) -> Result<(), Error> {
    let (source_system, id) = key(&event.source_system, &event.id);
    let sql =
        format!("UPDATE inbox_event SET {change} WHERE source_system = $1 AND id = $2");
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&source_system, Type::TEXT), (&id, Type::TEXT), value];
    transaction.execute_typed(&sql, &values).await.map(drop)
}

/// Runs the handler of an event whose attempt is counted. `None` if another worker has
/// taken it up in the meantime.
async fn handle<L: Handle>(
    client: &mut Client,
    event: Envelope<Acknowledged>,
    reply: Reply<()>,
    inbox: &Database<L>,
) -> Result<Option<Handled<()>>, StoreError> {
    let transaction = client.transaction().await.doing(TAKING_UP)?;
    let row = find_row(&transaction, &Key::of(&event)).await.doing(TAKING_UP)?;
    if !row.is_some_and(|row| is_begun(&row, event.attempts())) {
        return Ok(None);
    }
    write_processed(&transaction, &event).await.doing(TAKING_UP)?;
    transaction.batch_execute(SAVEPOINT).await.doing(TAKING_UP)?;
    let transaction = InboxTransaction { transaction, nesting: Nesting::Outermost };
    let reply = reply.handling(&event);
    let fresh = Fresh { transaction, event, reply };
    let handled = caught(inbox.handle(fresh.transaction(), &fresh.event));
    let stored = match fresh.instrument(handled).await {
        Ok(()) => fresh.keep().await.map(Handled::Processed),
        Err(error) => fresh.record(error).await,
    };
    match stored {
        Ok(handled) => Ok(Some(handled)),
        Err(Unkept::Untouched(error)) => Err(error),
        Err(Unkept::Ended(ended)) => store(client, *ended).await.map(Some),
    }
}

/// Takes back an attempt that does not count.
async fn take_back(
    client: &mut Client,
    known: &Key,
    attempts: u32,
    error: &StoreError,
) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    let found = find_row(&transaction, known).await?;
    if let Some(row) = uncounted_row(found, attempts, error) {
        write(&transaction, row).await?;
    }
    transaction.commit().await
}
