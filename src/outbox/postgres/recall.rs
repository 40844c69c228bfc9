//! An event is recalled in the caller's transaction of PostgreSQL.

use tokio_postgres::types::Type;
use tokio_postgres::{Error, Transaction};

use super::open::OpenTransaction;
use super::rows::FREE;
use crate::audit::Action;
use crate::crash_point::crash_point;
use crate::outbox::driver::{ELSEWHERE, HERE};
use crate::outbox::recall::{Recall, Recalled, recall as decide};
use crate::store::doing::RECALLING;
use crate::store::error::Doing;
use crate::store::postgres::read_row;
use crate::store::{EVENT_COLUMNS, Row, StoreError, StoreErrorKind, write_tags};
use crate::{AnyEnvelope, Decision, EventId};

/// Recalls an event, in the caller's open transaction: one that no relay has in hand is
/// skipped, and never sent again.
///
/// If a relay is just claiming the event, this waits for the claim and returns its
/// outcome. The event's history keeps the decision, and the tag `skip_reason` its reason.
/// An event that was skipped before stays as it was.
///
/// # Errors
///
/// An error of the database, a row that is not a valid event, or a search path whose
/// first schema has no outbox. After an error of the database, PostgreSQL has aborted the
/// whole transaction.
///
/// ```no_run
/// use integration_automation_patterns::outbox::{Recalled, postgres};
/// use integration_automation_patterns::{Decision, EventId};
///
/// # async fn cancel(
/// #     business: &tokio_postgres::Transaction<'_>,
/// #     command: EventId,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let decision = Decision::new("sales desk", "the customer has cancelled")?;
/// let recalled = postgres::recall(business, &command, &decision).await?;
/// assert_eq!(recalled, Recalled::Taken);
/// # Ok(())
/// # }
/// ```
pub async fn recall<T: OpenTransaction<Via>, Via>(
    transaction: &T,
    id: &EventId,
    decision: &Decision,
) -> Result<Recalled, StoreError> {
    let transaction = transaction.transaction();
    let Some(row) = lock(transaction, id).await? else { return Ok(Recalled::NotThere) };
    let sequence = row.sequence;
    let event = row
        .read()
        .map_err(|why| StoreError::of(StoreErrorKind::Unreadable, RECALLING, why))?;
    match decide(event, decision) {
        Recall::Leave(recalled) => Ok(recalled),
        Recall::Skip(event) => {
            write(transaction, sequence, &event, decision).await.doing(RECALLING)?;
            crash_point("before the recall commits");
            Ok(Recalled::Taken)
        }
    }
}

/// The row of an event, which no relay claims until the transaction ends.
async fn lock(
    transaction: &Transaction<'_>,
    id: &EventId,
) -> Result<Option<Row>, StoreError> {
    let here = transaction.query_typed(&format!("SELECT WHERE {HERE}"), &[]).await;
    if here.doing(RECALLING)?.is_empty() {
        return Err(StoreError::new(RECALLING, ELSEWHERE));
    }
    let sql =
        format!("SELECT {EVENT_COLUMNS} FROM outbox_event WHERE id = $1 FOR UPDATE");
    let row = transaction.query_typed_opt(&sql, &[(&id.to_string(), Type::TEXT)]).await;
    row.doing(RECALLING)?.as_ref().map(read_row).transpose().doing(RECALLING)
}

async fn write(
    transaction: &Transaction<'_>,
    sequence: i64,
    event: &AnyEnvelope,
    decision: &Decision,
) -> Result<(), Error> {
    let discarded = event.discarded();
    transaction
        .execute_typed(
            "WITH recalled AS (\
               UPDATE outbox_event SET status = 'skipped', tags = $2::text::jsonb, due_at = NULL, \
               done_at = clock_timestamp(), blocked = false, \
               discarded_by = $3, discarded_reason = $4, discarded_at = $5 \
               WHERE sequence = $1 RETURNING *\
             ) INSERT INTO outbox_history (event, action, at, by, status, attempts, reason, claimed_at, claimed_by) \
             SELECT sequence, $6, $7, $8, status, attempts, $9, claimed_at, claimed_by FROM recalled",
            &[
                (&sequence, Type::INT8),
                (&write_tags(event.tags().clone()), Type::TEXT),
                (&discarded.map(Decision::by), Type::TEXT),
                (&discarded.map(Decision::reason), Type::TEXT),
                (&discarded.map(Decision::at), Type::TIMESTAMPTZ),
                (&Action::Discard.as_str(), Type::TEXT),
                (&decision.at(), Type::TIMESTAMPTZ),
                (&decision.by(), Type::TEXT),
                (&decision.reason(), Type::TEXT),
            ],
        )
        .await?;
    if let Some(key) = event.ordering_key() {
        transaction.query_typed(FREE, &[(&vec![key], Type::TEXT_ARRAY)]).await?;
        transaction.query_typed("SELECT outbox_ring()", &[]).await?;
    }
    Ok(())
}
