//! Held events in PostgreSQL: stored and acked before their turn, then handled by the
//! worker.

use chrono::{DateTime, Utc};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, GenericClient, Transaction};

use super::SAVEPOINT;
use super::process::{caught, process, store};
use super::receive::{InboxTransaction, Nesting};
use super::rows::{
    COLUMNS, begin_row, check_place, find, find_row, key, now, read_entry, unindexable,
    write, write_processed,
};
use super::worker::{Database, Handle};
use crate::broker::Delivery;
use crate::crash_point::crash_point;
use crate::inbox::batch::LONGEST;
use crate::inbox::counting::{Debt, Key};
use crate::inbox::failing::Unkept;
use crate::inbox::intake::RECEIVING;
use crate::inbox::order::{
    Before, Begun, ByKey, Change, Early, HeldBack, Looked, Next, Round, TAKING_UP,
    TakenUp, after, decide, is_begun, turn_sql, uncounted,
};
use crate::inbox::reply::Reply;
use crate::inbox::sharing::is_new;
use crate::inbox::{Fresh, Handled, InboxConfig};
use crate::state::Acknowledged;
use crate::store::error::Doing;
use crate::store::postgres::{self as database, at};
use crate::store::{StoreError, storable};
use crate::{Envelope, Facts, RawEvent};

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
    if unindexable(event).is_some() {
        return Ok(None);
    }
    let Some(early) = Early::of(event, config, order) else { return Ok(None) };
    let before = state(transaction, event.source_system(), early.after()).await?;
    if !early.waits(before) {
        return Ok(None);
    }
    check_place(transaction).await?;
    if !is_new(find(transaction, event).await?.as_ref()) {
        return Ok(None);
    }
    let Some(entry) = early.entry(now(transaction).await?) else { return Ok(None) };
    if held_count(transaction, early.room()).await? >= early.room() {
        return Ok(Some(HeldBack::NoRoom));
    }
    // Another consumer may store it in the meantime, or take its attempt back.
    while !begin_row(transaction, event).await? {
        let found = find(transaction, event).await?;
        if !is_new(found.as_ref()) {
            return Ok(None);
        }
        if found.is_some() {
            break;
        }
    }
    let due_at = entry.due_at;
    write(transaction, entry).await?;
    let (source, id) = key(event.source_system(), &event.id().to_string());
    let (_, after) = key(event.source_system(), early.after());
    transaction
        .execute_typed(
            "UPDATE inbox_event SET held_after = $3, due_at = $4 \
             WHERE source_system = $1 AND id = $2",
            &[
                (&source, Type::TEXT),
                (&id, Type::TEXT),
                (&after, Type::TEXT),
                (&due_at, Type::TIMESTAMPTZ),
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
            return Ok(held_back.report(delivery, config));
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
    let mut round = Round::begin(LONGEST);
    check_place(client).await.doing(TAKING_UP)?;
    hurry(client, inbox.order.as_ref()).await.doing(TAKING_UP)?;
    while let Some((key, next)) = next_due(client, inbox).await.doing(TAKING_UP)? {
        let is_over = match next {
            Next::Wait => false,
            Next::Quarantined => round.quarantined(),
            Next::Buried(buried) => round.handled(Some(&buried), false),
            Next::Handle(begun) => {
                crash_point("before a held event is handled");
                let is_overdue = begun.is_overdue;
                let handled = handle(client, begun, &key, inbox).await?;
                round.handled(handled.as_ref(), is_overdue)
            }
        };
        if is_over {
            hurry_after(client, &key).await.doing(TAKING_UP)?;
        }
        if round.is_over() {
            break;
        }
    }
    Ok(round.end(holds(client).await.doing(TAKING_UP)?))
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

/// Takes the next due event, decides what to do with it, and stores the decision.
async fn next_due<'c, L>(
    client: &mut Client,
    Database { config, order, .. }: &'c Database<L>,
) -> Result<Option<(Key, Next<'c>)>, Error> {
    let transaction = client.transaction().await?;
    let Some(looked) = look(&transaction).await? else { return Ok(None) };
    let (key, at) = (Key::of_row(&looked.entry.row), now(&transaction).await?);
    let decided = decide(looked, config, order.as_ref(), at);
    match decided.change() {
        Change::Due(until) => set_due(&transaction, &key, until).await?,
        Change::Quarantine(why) => quarantine(&transaction, &key, why).await?,
        Change::Write(entry) => write(&transaction, *entry).await?,
    }
    let mut debt = decided.debt(&key, config);
    transaction.commit().await?;
    debt.iter_mut().for_each(Debt::settle);
    let next = decided.committed(&key, config);
    Ok(Some((key, next)))
}

/// The held event that is due first and that no other worker has locked.
async fn look(transaction: &Transaction<'_>) -> Result<Option<Looked>, Error> {
    let sql = format!(
        "SELECT {COLUMNS}, held_after, received_at FROM inbox_event \
         WHERE status = 'retrying' AND due_at <= clock_timestamp() \
         ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED"
    );
    let Some(found) = transaction.query_typed_opt(&sql, &[]).await? else {
        return Ok(None);
    };
    let (entry, received_at) = (read_entry(&found)?, at(&found, "received_at")?);
    let before = match found.try_get::<_, Option<&str>>("held_after")? {
        Some(after) => Some(state(transaction, &entry.row.source_system, after).await?),
        None => None,
    };
    Ok(Some(Looked { entry, before, received_at }))
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
    let change = "status = 'failed', failure_class = 'permanent', failure_reason = $3, \
                  last_attempt = NULL";
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

/// Runs the handler of an event whose attempt is counted, and takes the attempt back if
/// it does not count. `None` if another worker has taken the event up in the meantime.
async fn handle<L: Handle>(
    client: &mut Client,
    Begun { event, reply, mut debt, .. }: Begun<'_>,
    key: &Key,
    inbox: &Database<L>,
) -> Result<Option<Handled<()>>, StoreError> {
    let attempts = event.attempts();
    let handled = attempt(client, event, reply, &mut debt, inbox).await;
    let is_settled = match &handled {
        Ok(_) => true,
        Err(error) => take_back(client, key, attempts, error).await.is_ok(),
    };
    if is_settled {
        debt.settle();
    }
    handled
}

async fn attempt<L: Handle>(
    client: &mut Client,
    event: Envelope<Acknowledged>,
    reply: Reply<()>,
    debt: &mut Debt<'_>,
    inbox: &Database<L>,
) -> Result<Option<Handled<()>>, StoreError> {
    let transaction = client.transaction().await.doing(TAKING_UP)?;
    let found = find_row(&transaction, &Key::of(&event)).await.doing(TAKING_UP)?;
    if !is_begun(found.as_ref(), &event) {
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
        Err(error) => {
            debt.settle_if(error.counts);
            fresh.record(error).await
        }
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
    if let Some(entry) = uncounted(found, attempts, error) {
        write(&transaction, entry).await?;
    }
    transaction.commit().await
}
