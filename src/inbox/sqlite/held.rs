//! Held events in SQLite: stored and acked before their turn, then handled by the
//! worker.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::SAVEPOINT;
use super::process::{begin, process, store};
use super::rows::{COLUMNS, find, find_row, read_entry, write, write_processed};
use super::worker::{Handle, Parts, run};
use crate::broker::Delivery;
use crate::crash_point::crash_point;
use crate::inbox::counting::{Debt, Key};
use crate::inbox::failing::Unkept;
use crate::inbox::handler_error::caught;
use crate::inbox::intake::RECEIVING;
use crate::inbox::order::{
    Before, Begun, ByKey, Change, Early, HeldBack, Looked, Next, Round, TAKING_UP,
    TakenUp, after, decide, is_begun, turn_sql, uncounted,
};
use crate::inbox::reply::Reply;
use crate::inbox::sharing::is_new;
use crate::inbox::{Fresh, Handled, InboxConfig};
use crate::state::Acknowledged;
use crate::store::StoreError;
use crate::store::error::Doing;
use crate::store::sqlite::{any_moment, at_most, maybe_text, micros, now};
use crate::{Envelope, Facts, RawEvent};

/// Holds an event whose turn has not come. `None` if its turn has come, or if the inbox
/// has the event already or does not admit it.
pub(super) fn hold_back(
    transaction: &Transaction<'_>,
    event: &Facts<RawEvent>,
    config: &InboxConfig,
    order: Option<&ByKey>,
) -> rusqlite::Result<Option<HeldBack>> {
    let Some(early) = Early::of(event, config, order) else { return Ok(None) };
    let before = state(transaction, event.source_system(), early.after())?;
    if !early.waits(before) || !is_new(find(transaction, event)?.as_ref()) {
        return Ok(None);
    }
    let Some(entry) = early.entry(now(transaction)?) else { return Ok(None) };
    if held_count(transaction, early.room())? >= early.room() {
        return Ok(Some(HeldBack::NoRoom));
    }
    let (key, due_at) = (Key::of(event), entry.due_at.map(micros));
    write(transaction, entry)?;
    let sql = "UPDATE inbox_event SET held_after = ?3, due_at = ?4 \
               WHERE source_system = ?1 AND id = ?2";
    let values = params![key.source_system, key.id, early.after(), due_at];
    transaction.prepare_cached(sql)?.execute(values)?;
    Ok(Some(HeldBack::Held))
}

/// What the inbox knows of a predecessor, by its source and id.
fn state(
    transaction: &Transaction<'_>,
    source_system: &str,
    id: &str,
) -> rusqlite::Result<Before> {
    let mut find = transaction.prepare_cached(
        "SELECT status, due_at IS NOT NULL FROM inbox_event \
         WHERE source_system = ?1 AND id = ?2",
    )?;
    let before = find.query_row([source_system, id], |row| {
        Ok(Before::of(row.get_ref(0)?.as_str()?, row.get(1)?))
    });
    Ok(before.optional()?.unwrap_or(Before::Missing))
}

/// How many events wait for a predecessor, counted up to a limit.
fn held_count(transaction: &Transaction<'_>, limit: usize) -> rusqlite::Result<usize> {
    let mut count = transaction.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM inbox_event \
         WHERE status = 'retrying' AND held_after IS NOT NULL LIMIT ?1)",
    )?;
    let held: i64 = count.query_row([at_most(limit)], |row| row.get(0))?;
    Ok(usize::try_from(held).unwrap_or(usize::MAX))
}

/// Handles one delivery if its turn has come, and holds it otherwise.
pub(super) fn process_in_order<A>(
    connection: &mut Connection,
    delivery: Delivery<A>,
    Parts { handlers, config, order }: &Parts<impl Handle>,
) -> Result<Handled<A>, StoreError> {
    if order.is_some() && after(delivery.facts()).is_some() {
        let transaction = begin(connection).doing(RECEIVING)?;
        let held_back = hold_back(&transaction, delivery.facts(), config, order.as_ref());
        if let Some(held_back) = held_back.doing(RECEIVING)? {
            transaction.commit().doing(RECEIVING)?;
            return Ok(held_back.report(delivery, config));
        }
    }
    process(connection, delivery, config, |transaction, event| {
        run(handlers, transaction, event)
    })
}

/// Handles the held events that are due, one by one, until the time is up. Each attempt
/// is counted before it begins.
pub(super) fn take_up(
    connection: &mut Connection,
    parts: &Parts<impl Handle>,
    longest: Duration,
) -> Result<TakenUp, StoreError> {
    let mut round = Round::begin(longest);
    hurry(connection, parts.order.as_ref()).doing(TAKING_UP)?;
    while let Some((key, next)) = next_due(connection, parts).doing(TAKING_UP)? {
        let is_over = match next {
            Next::Wait => false,
            Next::Quarantined => round.quarantined(),
            Next::Buried(buried) => round.handled(Some(&buried), false),
            Next::Handle(begun) => {
                crash_point("before a held event is handled");
                let is_overdue = begun.is_overdue;
                let handled = handle(connection, begun, &key, &parts.handlers)?;
                round.handled(handled.as_ref(), is_overdue)
            }
        };
        if is_over {
            hurry_after(connection, &key).doing(TAKING_UP)?;
        }
        if round.is_over() {
            break;
        }
    }
    Ok(round.end(holds(connection).doing(TAKING_UP)?))
}

/// Whether the inbox holds any event.
fn holds(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM inbox_event \
             WHERE status = 'retrying' AND due_at IS NOT NULL)",
        )?
        .query_row([], |row| row.get(0))
}

/// Makes the events due that wait for this one.
pub(super) fn hurry_after(
    connection: &Connection,
    Key { source_system, id }: &Key,
) -> rusqlite::Result<()> {
    let sql = "UPDATE inbox_event SET due_at = ?3 WHERE status = 'retrying' \
               AND source_system = ?1 AND held_after = ?2";
    let values = params![source_system, id, micros(now(connection)?)];
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

/// Makes the events due whose turn has come, whichever process handled the ones before.
fn hurry(connection: &Connection, order: Option<&ByKey>) -> rusqlite::Result<()> {
    let sql = format!(
        "UPDATE inbox_event AS held SET due_at = ?1 WHERE status = 'retrying' \
         AND held_after IS NOT NULL AND due_at > ?1 AND {}",
        turn_sql(order)
    );
    connection.prepare_cached(&sql)?.execute([micros(now(connection)?)]).map(drop)
}

/// Takes the next due event, decides what to do with it, and stores the decision.
fn next_due<'c, L>(
    connection: &mut Connection,
    Parts { config, order, .. }: &'c Parts<L>,
) -> rusqlite::Result<Option<(Key, Next<'c>)>> {
    let transaction = begin(connection)?;
    let at = now(&transaction)?;
    let Some(looked) = look(&transaction, at)? else { return Ok(None) };
    let key = Key::of_row(&looked.entry.row);
    let decided = decide(looked, config, order.as_ref(), at);
    match decided.change() {
        Change::Due(until) => set_due(&transaction, &key, until)?,
        Change::Quarantine(why) => quarantine(&transaction, &key, &why)?,
        Change::Write(entry) => write(&transaction, *entry)?,
    }
    transaction.commit()?;
    let next = decided.committed(&key, config);
    Ok(Some((key, next)))
}

/// The held event that is due first.
fn look(
    transaction: &Transaction<'_>,
    now: DateTime<Utc>,
) -> rusqlite::Result<Option<Looked>> {
    let sql = format!(
        "SELECT {COLUMNS}, held_after, received_at FROM inbox_event \
         WHERE status = 'retrying' AND due_at <= ?1 ORDER BY due_at LIMIT 1"
    );
    let mut find = transaction.prepare_cached(&sql)?;
    let found = find.query_row([micros(now)], |row| {
        let received_at = any_moment(row.get("received_at")?);
        Ok((read_entry(row)?, maybe_text(row, "held_after")?, received_at))
    });
    let Some((entry, after, received_at)) = found.optional()? else { return Ok(None) };
    let before = match after {
        Some(after) => Some(state(transaction, &entry.row.source_system, &after)?),
        None => None,
    };
    Ok(Some(Looked { entry, before, received_at }))
}

fn set_due(
    transaction: &Transaction<'_>,
    Key { source_system, id }: &Key,
    at: DateTime<Utc>,
) -> rusqlite::Result<()> {
    let sql = "UPDATE inbox_event SET due_at = ?3 WHERE source_system = ?1 AND id = ?2";
    let values = params![source_system, id, micros(at)];
    transaction.prepare_cached(sql)?.execute(values).map(drop)
}

/// Makes a dead letter of a row that is no event, so that it stops no other event.
fn quarantine(
    transaction: &Transaction<'_>,
    Key { source_system, id }: &Key,
    why: &str,
) -> rusqlite::Result<()> {
    let sql = "UPDATE inbox_event SET status = 'failed', failure_class = 'permanent', \
               failure_reason = ?3, last_attempt = NULL \
               WHERE source_system = ?1 AND id = ?2";
    transaction.prepare_cached(sql)?.execute([source_system, id, why]).map(drop)
}

/// Runs the handler of an event whose attempt is counted, and takes the attempt back if
/// it does not count. `None` if another worker has taken the event up in the meantime.
fn handle(
    connection: &mut Connection,
    Begun { event, reply, mut debt, .. }: Begun<'_>,
    key: &Key,
    handlers: &impl Handle,
) -> Result<Option<Handled<()>>, StoreError> {
    let attempts = event.attempts();
    let handled = attempt(connection, event, reply, &mut debt, handlers);
    let is_settled = match &handled {
        Ok(_) => true,
        Err(error) => take_back(connection, key, attempts, error).is_ok(),
    };
    if is_settled {
        debt.settle();
    }
    handled
}

fn attempt(
    connection: &mut Connection,
    event: Envelope<Acknowledged>,
    reply: Reply<()>,
    debt: &mut Debt<'_>,
    handlers: &impl Handle,
) -> Result<Option<Handled<()>>, StoreError> {
    let transaction = begin(connection).doing(TAKING_UP)?;
    let found = find_row(&transaction, &Key::of(&event)).doing(TAKING_UP)?;
    if !is_begun(found.as_ref(), &event) {
        return Ok(None);
    }
    write_processed(&transaction, &event).doing(TAKING_UP)?;
    transaction.execute_batch(SAVEPOINT).doing(TAKING_UP)?;
    let reply = reply.handling(&event);
    let fresh = Fresh { transaction, event, reply };
    let handled =
        fresh.in_span(|| caught(|| run(handlers, &fresh.transaction, &fresh.event)));
    let stored = match handled {
        Ok(()) => fresh.keep().map(Handled::Processed),
        Err(error) => {
            debt.settle_if(error.counts);
            fresh.record(error)
        }
    };
    match stored {
        Ok(handled) => Ok(Some(handled)),
        Err(Unkept::Untouched(error)) => Err(error),
        Err(Unkept::Ended(ended)) => store(connection, *ended).map(Some),
    }
}

/// Takes back an attempt that does not count.
fn take_back(
    connection: &mut Connection,
    key: &Key,
    attempts: u32,
    error: &StoreError,
) -> rusqlite::Result<()> {
    let transaction = begin(connection)?;
    let found = find_row(&transaction, key)?;
    if let Some(entry) = uncounted(found, attempts, error) {
        write(&transaction, entry)?;
    }
    transaction.commit()
}
