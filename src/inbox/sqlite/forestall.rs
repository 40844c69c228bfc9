//! An event is forestalled in the caller's transaction of SQLite.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::held::hurry_after;
use crate::EventId;
use crate::crash_point::crash_point;
use crate::inbox::counting::Key;
use crate::inbox::forestall::{BY, Mark, answer};
use crate::inbox::{Forestalled, InboxConfig};
use crate::outbox::sqlite::OpenTransaction;
use crate::store::doing::FORESTALLING;
use crate::store::sqlite::{maybe_text, micros, now, still_open};
use crate::store::{StoreError, error::Doing};

/// Forestalls an event, in the caller's open transaction: returns whether it was
/// processed, and keeps it from being processed if it was not.
///
/// It makes no difference whether the event waits for another attempt, is held, is a dead
/// letter, or has not come yet.
///
/// `asked_at` is when the event was created, or earlier. If that is longer ago than the
/// [`dedup_window`](InboxConfig::dedup_window), an event that the inbox does not know may
/// have been processed and purged.
///
/// If the transaction or savepoint is rolled back, the event is not forestalled.
///
/// # Errors
///
/// An error of the database, or a transaction that has ended.
///
/// ```
/// use integration_automation_patterns::broker::Delivery;
/// use integration_automation_patterns::inbox::{
///     Forestalled, Handled, InboxConfig, sqlite,
/// };
/// use integration_automation_patterns::{Envelope, RawEvent, RetryPolicy};
/// use std::time::Duration;
///
/// let mut crm = rusqlite::Connection::open_in_memory()?;
/// sqlite::install(&mut crm)?;
/// let week = Duration::from_secs(7 * 24 * 60 * 60);
/// let config = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
/// let reserve = RawEvent::new("crm.credit.reserve", b"{}");
/// let reserve = Envelope::builder("orders", reserve).build()?;
///
/// // The undo has come first.
/// let (id, asked_at) = (reserve.id().clone(), reserve.created_at());
/// let undo = crm.transaction()?;
/// let was = sqlite::forestall(&undo, "orders", &id, asked_at, &config)?;
/// assert_eq!(was, Forestalled::NeverWill);
/// undo.commit()?;
///
/// let late = Delivery::new(reserve, ());
/// let handled = sqlite::process(&mut crm, late, &config, |_, _| {
///     unreachable!("no credit is reserved after it was released")
/// })?;
/// assert!(matches!(handled, Handled::Forestalled(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "tombstone")]
pub fn forestall<T: OpenTransaction>(
    transaction: &T,
    source_system: &str,
    id: &EventId,
    asked_at: DateTime<Utc>,
    config: &InboxConfig,
) -> Result<Forestalled, StoreError> {
    let connection = transaction.connection();
    still_open(connection, FORESTALLING)?;
    let key = Key { source_system: source_system.to_owned(), id: id.to_string() };
    let forestalled = || {
        let now = now(connection)?;
        give_up(connection, &key, Mark::of_unheard(asked_at, now, config), now)?;
        hurry_after(connection, &key)?;
        look(connection, &key)
    };
    let forestalled = forestalled().doing(FORESTALLING)?;
    crash_point("before the forestall commits");
    Ok(forestalled)
}

/// Gives the event up, unless it is processed or given up already, with this mark where
/// the inbox has nothing of it.
fn give_up(
    connection: &Connection,
    Key { source_system, id }: &Key,
    unheard: Mark,
    now: DateTime<Utc>,
) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "INSERT INTO inbox_event (source_system, id, received_at, status, attempts, \
             discarded_by, discarded_reason, discarded_at, last_attempt) \
             VALUES (?1, ?2, ?3, 'skipped', 0, ?4, ?5, ?3, ?6) \
             ON CONFLICT DO UPDATE SET status = 'skipped', received_at = ?3, \
             payload = NULL, discarded_by = ?4, discarded_reason = ?7, \
             discarded_at = ?3, held_after = NULL, due_at = NULL, last_attempt = ?8, \
             failure_class = CASE WHEN failure_class IS NOT NULL THEN 'permanent' END \
             WHERE inbox_event.status IN ('retrying', 'failed')",
        )?
        .execute(params![
            source_system,
            id,
            micros(now),
            BY,
            unheard.reason,
            unheard.last_attempt.as_str(),
            Mark::NEVER_WILL.reason,
            Mark::NEVER_WILL.last_attempt.as_str(),
        ])
}

fn look(
    connection: &Connection,
    Key { source_system, id }: &Key,
) -> rusqlite::Result<Forestalled> {
    let mut find = connection.prepare_cached(
        "SELECT status = 'processed', last_attempt FROM inbox_event \
         WHERE source_system = ?1 AND id = ?2",
    )?;
    find.query_row([source_system, id], |row| {
        Ok(answer(row.get(0)?, maybe_text(row, 1)?.as_deref()))
    })
}
