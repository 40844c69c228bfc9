//! An event is recalled in the caller's transaction of SQLite.

use rusqlite::{Connection, OptionalExtension, params};

use super::OpenTransaction;
use super::rows::{add_history, free};
use crate::audit::Action;
use crate::crash_point::crash_point;
use crate::outbox::change::Entry;
use crate::outbox::recall::{Recall, Recalled, recall as decide};
use crate::store::doing::RECALLING;
use crate::store::error::Doing;
use crate::store::sqlite::{micros, now, read_row, still_open};
use crate::store::{EVENT_COLUMNS, Row, StoreError, StoreErrorKind, write_tags};
use crate::{AnyEnvelope, Decision, EventId};

/// Recalls an event, in the caller's open transaction: one that no relay has in hand is
/// skipped, and never sent again.
///
/// The event's history keeps the decision, and the tag `skip_reason` its reason. An event
/// that was skipped before stays as it was.
///
/// # Errors
///
/// An error of the database, a transaction that has ended, or a row that is not a valid
/// event.
///
/// ```
/// use integration_automation_patterns::outbox::{Recalled, sqlite};
/// use integration_automation_patterns::{Decision, Envelope, RawEvent};
///
/// let mut crm = rusqlite::Connection::open_in_memory()?;
/// sqlite::install(&mut crm)?;
/// let reserve = RawEvent::new("crm.credit.reserve", b"{}");
/// let reserve = Envelope::builder("orders", reserve).build()?;
/// let id = reserve.id().clone();
///
/// let business = crm.transaction()?;
/// sqlite::enqueue(&business, reserve)?;
/// let decision = Decision::new("sales desk", "the customer has cancelled")?;
/// assert_eq!(sqlite::recall(&business, &id, &decision)?, Recalled::Taken);
/// business.commit()?; // the cancellation and the recall, or neither
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn recall<T: OpenTransaction>(
    transaction: &T,
    id: &EventId,
    decision: &Decision,
) -> Result<Recalled, StoreError> {
    let connection = transaction.connection();
    still_open(connection, RECALLING)?;
    let Some(row) = find(connection, id).doing(RECALLING)? else {
        return Ok(Recalled::NotThere);
    };
    let sequence = row.sequence;
    let event = row
        .read()
        .map_err(|why| StoreError::of(StoreErrorKind::Unreadable, RECALLING, why))?;
    match decide(event, decision) {
        Recall::Leave(recalled) => Ok(recalled),
        Recall::Skip(event) => {
            write(connection, sequence, &event, decision).doing(RECALLING)?;
            crash_point("before the recall commits");
            Ok(Recalled::Taken)
        }
    }
}

/// The row of an event. It stays so until it is written: where another connection has
/// written meanwhile, SQLite refuses the write.
fn find(connection: &Connection, id: &EventId) -> rusqlite::Result<Option<Row>> {
    let sql = format!("SELECT {EVENT_COLUMNS} FROM outbox_event WHERE id = ?1");
    connection.prepare_cached(&sql)?.query_row([id.to_string()], read_row).optional()
}

fn write(
    connection: &Connection,
    sequence: i64,
    event: &AnyEnvelope,
    decision: &Decision,
) -> rusqlite::Result<()> {
    let discarded = event.discarded();
    connection
        .prepare_cached(
            "UPDATE outbox_event SET status = 'skipped', tags = ?2, due_at = NULL, done_at = ?3, blocked = 0, \
             discarded_by = ?4, discarded_reason = ?5, discarded_at = ?6 WHERE sequence = ?1",
        )?
        .execute(params![
            sequence,
            write_tags(event.tags().clone()),
            micros(now(connection)?),
            discarded.map(Decision::by),
            discarded.map(Decision::reason),
            discarded.map(|decision| micros(decision.at())),
        ])?;
    if let Some(key) = event.ordering_key() {
        free(connection, key)?;
    }
    let entry = Entry {
        action: Action::Discard,
        reason: decision.reason().to_owned(),
        by: Some(decision.by().to_owned()),
    };
    add_history(connection, sequence, &entry, decision.at())
}
