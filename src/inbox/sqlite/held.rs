//! Held events in SQLite: stored and acked before their turn, then handled by the
//! worker.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::SAVEPOINT;
use super::process::{begin, process, store};
use super::rows::{COLUMNS, find, find_row, write, write_failed, write_processed};
use super::worker::{Handle, Parts, run};
use crate::Envelope;
use crate::broker::{Delivery, as_sent};
use crate::crash_point::crash_point;
use crate::inbox::counting::Key;
use crate::inbox::failing::{Outcome, Unkept};
use crate::inbox::handler_error::caught;
use crate::inbox::intake::{Found, RECEIVING, received};
use crate::inbox::order::{
    Before, ByKey, HeldBack, LEASE, Looked, NO_ROOM, Step, TAKING_UP, TakenUp, Turn,
    after, begun_row, held_row, is_begun, looked_at, step, turn, turn_sql, uncounted_row,
};
use crate::inbox::reply::Reply;
use crate::inbox::{Fresh, Handled, InboxConfig};
use crate::state::Acknowledged;
use crate::store::error::Doing;
use crate::store::sqlite::{any_moment, at_most, maybe_text, micros, now, read_row};
use crate::store::{Row, StoreError};
use crate::trace::EventSpan;
use crate::{DeliveryStatus, Facts, RawEvent};

/// Whether the inbox holds an event.
pub(super) fn is_held(
    transaction: &Transaction<'_>,
    Key { source_system, id }: &Key,
) -> rusqlite::Result<bool> {
    let held = state(transaction, source_system, id)?;
    Ok(held == Before::Held)
}

/// What the inbox knows of an event, from its row.
pub(super) fn found(
    transaction: &Transaction<'_>,
    event: &Facts<RawEvent>,
    row: Option<Row>,
) -> Result<Found, StoreError> {
    let found = Found::of(row);
    let waits = matches!(found, Found::Waiting(_));
    let is_held = waits && is_held(transaction, &Key::of(event)).doing(RECEIVING)?;
    Ok(if is_held { Found::Held } else { found })
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

/// Holds an event whose turn has not come. `None` if its turn has come, or if the inbox
/// has the event already or does not admit it.
pub(super) fn hold_back(
    transaction: &Transaction<'_>,
    event: &Facts<RawEvent>,
    config: &InboxConfig,
    order: Option<&ByKey>,
) -> rusqlite::Result<Option<HeldBack>> {
    let Some((order, after)) = order.zip(after(event)) else { return Ok(None) };
    let source = event.source_system();
    let before = state(transaction, source, after)?;
    if turn(Some(order), before, Duration::ZERO) != Turn::NotYet
        || config.refusal(event).is_some()
        || find(transaction, event)?.is_some()
    {
        return Ok(None);
    }
    let at = now(transaction)?;
    let Some(row) = held_row(event, after, at) else { return Ok(None) };
    if held_count(transaction, order.room())? >= order.room() {
        return Ok(Some(HeldBack::NoRoom));
    }
    let key = Key::of(event);
    write(transaction, row)?;
    transaction
        .prepare_cached(
            "UPDATE inbox_event SET held_after = ?3, due_at = ?4 \
             WHERE source_system = ?1 AND id = ?2",
        )?
        .execute(params![source, key.id, after, micros(looked_at(Some(order), at))])?;
    Ok(Some(HeldBack::Held))
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
    process(connection, delivery, config, |transaction, event| {
        run(handlers, transaction, event)
    })
}

/// Handles the held events that are due, one by one, until the time is up. Each attempt
/// is counted before it begins.
pub(super) fn take_up(
    connection: &mut Connection,
    Parts { handlers, config, order }: &Parts<impl Handle>,
    longest: Duration,
) -> Result<TakenUp, StoreError> {
    let order = order.as_ref();
    let (began, mut taken) = (Instant::now(), TakenUp::default());
    hurry(connection, order).doing(TAKING_UP)?;
    while let Some((key, next)) = next_due(connection, config, order).doing(TAKING_UP)? {
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
                let handled = handle(connection, event, reply, handlers);
                let handled = handled.inspect_err(|error| {
                    if take_back(connection, &key, attempts, error).is_err() {
                        config.owed().add(key.clone());
                    }
                })?;
                handled.is_some_and(|handled| {
                    taken.add(&handled, is_overdue);
                    handled.status() != DeliveryStatus::Retrying
                })
            }
        };
        // Events that wait for one that is not over stay as they are: otherwise each
        // attempt of the first would touch all the others of a long key.
        if is_over {
            hurry_after(connection, &key).doing(TAKING_UP)?;
        }
        if began.elapsed() >= longest {
            taken.has_more = true;
            break;
        }
    }
    taken.holds = holds(connection).doing(TAKING_UP)?;
    Ok(taken)
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

/// What was decided about the next due event.
enum Next {
    Waits,
    Quarantined,
    Buried(Outcome, Reply<()>),
    Begun { event: Envelope<Acknowledged>, reply: Reply<()>, is_overdue: bool },
}

/// Takes the next due event, decides what to do with it, and stores the decision.
fn next_due(
    connection: &mut Connection,
    config: &InboxConfig,
    order: Option<&ByKey>,
) -> rusqlite::Result<Option<(Key, Next)>> {
    let transaction = begin(connection)?;
    let at = now(&transaction)?;
    let Some((key, looked)) = look(&transaction, config, at)? else { return Ok(None) };
    let next = match step(looked, config, order, at) {
        Ok(Step::Wait(until)) => {
            set_due(&transaction, &key, until)?;
            Next::Waits
        }
        Ok(Step::Bury(failing)) => {
            let outcome = failing.at(at);
            write_failed(&transaction, &outcome)?;
            let reply = reply(outcome.event(), config);
            Next::Buried(outcome, reply)
        }
        Ok(Step::Handle { event, is_overdue }) => {
            write(&transaction, begun_row(&event, at))?;
            set_due(&transaction, &key, at.checked_add_signed(LEASE).unwrap_or(at))?;
            let reply = reply(&event, config);
            Next::Begun { event, reply, is_overdue }
        }
        Err(why) => {
            quarantine(&transaction, &key, &why)?;
            Next::Quarantined
        }
    };
    transaction.commit()?;
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

/// The held event that is due first.
fn look(
    transaction: &Transaction<'_>,
    config: &InboxConfig,
    now: DateTime<Utc>,
) -> rusqlite::Result<Option<(Key, Looked)>> {
    let sql = format!(
        "SELECT {COLUMNS}, held_after, received_at FROM inbox_event \
         WHERE status = 'retrying' AND due_at <= ?1 ORDER BY due_at LIMIT 1"
    );
    let found = transaction
        .prepare_cached(&sql)?
        .query_row([micros(now)], |row| {
            Ok((
                read_row(row)?,
                maybe_text(row, "held_after")?,
                row.get::<_, i64>("received_at")?,
            ))
        })
        .optional()?;
    let Some((row, after, received_at)) = found else { return Ok(None) };
    let before =
        after.map(|after| state(transaction, &row.source_system, &after)).transpose()?;
    let key = Key { source_system: row.source_system.clone(), id: row.id.clone() };
    let received_at = any_moment(received_at);
    let is_owed = config.owed().take(|| key.clone()).is_some();
    Ok(Some((key, Looked { row, before, received_at, is_owed })))
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
               failure_reason = ?3 WHERE source_system = ?1 AND id = ?2";
    transaction.prepare_cached(sql)?.execute([source_system, id, why]).map(drop)
}

/// Runs the handler of an event whose attempt is counted. `None` if another worker has
/// taken it up in the meantime.
fn handle(
    connection: &mut Connection,
    event: Envelope<Acknowledged>,
    reply: Reply<()>,
    handlers: &impl Handle,
) -> Result<Option<Handled<()>>, StoreError> {
    let transaction = begin(connection).doing(TAKING_UP)?;
    let row = find_row(&transaction, &Key::of(&event)).doing(TAKING_UP)?;
    if !row.is_some_and(|row| is_begun(&row, event.attempts())) {
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
        Err(error) => fresh.record(error),
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
    if let Some(row) = uncounted_row(found, attempts, error) {
        write(&transaction, row)?;
    }
    transaction.commit()
}
