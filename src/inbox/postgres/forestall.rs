//! An event is forestalled in the caller's transaction of PostgreSQL.

use chrono::{DateTime, Utc};
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Transaction};

use super::held::hurry_after;
use super::rows::{check_place, key, now};
use crate::EventId;
use crate::crash_point::crash_point;
use crate::inbox::counting::Key;
use crate::inbox::forestall::{BY, Mark, answer};
use crate::inbox::{Forestalled, InboxConfig};
use crate::outbox::postgres::OpenTransaction;
use crate::store::doing::FORESTALLING;
use crate::store::{StoreError, error::Doing};

/// Forestalls an event, in the caller's open transaction: returns whether it was
/// processed, and keeps it from being processed if it was not.
///
/// It makes no difference whether the event waits for another attempt, is held, is a dead
/// letter, or has not come yet. If another transaction is processing the event, this one
/// waits for its end and its outcome; in an isolation level above `READ COMMITTED`, it
/// may get a serialization failure instead.
///
/// `asked_at` is when the event was created, or earlier. If that is longer ago than the
/// [`dedup_window`](InboxConfig::dedup_window), an event that the inbox does not know may
/// have been processed and purged.
///
/// If the transaction or savepoint is rolled back, the event is not forestalled.
///
/// # Errors
///
/// An error of the database, after which PostgreSQL has aborted the whole transaction.
///
/// ```no_run
/// use integration_automation_patterns::EventId;
/// use integration_automation_patterns::inbox::{Forestalled, InboxConfig, postgres};
/// # use chrono::{DateTime, Utc};
///
/// # async fn release_credit(
/// #     crm: &tokio_postgres::Transaction<'_>,
/// #     reserve: EventId,
/// #     asked_at: DateTime<Utc>,
/// #     config: &InboxConfig,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// match postgres::forestall(crm, "orders", &reserve, asked_at, config).await? {
///     Forestalled::WasDone => {
///         let release = "DELETE FROM reservation WHERE command = $1";
///         crm.execute(release, &[&reserve.to_string()]).await?;
///     }
///     Forestalled::NeverWill => {}
///     Forestalled::Forgotten => return Err("a person is to look".into()),
/// }
/// # Ok(())
/// # }
/// ```
#[doc(alias = "tombstone")]
pub async fn forestall<T: OpenTransaction<Via>, Via>(
    transaction: &T,
    source_system: &str,
    id: &EventId,
    asked_at: DateTime<Utc>,
    config: &InboxConfig,
) -> Result<Forestalled, StoreError> {
    let transaction = transaction.transaction();
    let known = Key { source_system: source_system.to_owned(), id: id.to_string() };
    let forestalled = async {
        check_place(transaction).await?;
        let now = now(transaction).await?;
        give_up(transaction, &known, Mark::of_unheard(asked_at, now, config)).await?;
        hurry_after(transaction, &known).await?;
        look(transaction, &known).await
    };
    let forestalled = forestalled.await.doing(FORESTALLING)?;
    crash_point("before the forestall commits");
    Ok(forestalled)
}

/// Gives the event up with this mark, unless it is processed or given up already.
async fn give_up(
    transaction: &Transaction<'_>,
    known: &Key,
    unheard: Mark,
) -> Result<u64, Error> {
    let (source_system, id) = key(&known.source_system, &known.id);
    let never_will = Mark::NEVER_WILL;
    transaction
        .execute_typed(
            "INSERT INTO inbox_event (source_system, id, status, attempts, \
             discarded_by, discarded_reason, discarded_at, last_attempt) \
             VALUES ($1, $2, 'skipped', 0, $3, $4, clock_timestamp(), $5) \
             ON CONFLICT (source_system, id) DO UPDATE SET status = 'skipped', \
             received_at = clock_timestamp(), payload = NULL, discarded_by = $3, \
             discarded_reason = $6, discarded_at = clock_timestamp(), \
             held_after = NULL, due_at = NULL, last_attempt = $7, failure_class = \
             CASE WHEN inbox_event.failure_class IS NOT NULL THEN 'permanent' END \
             WHERE inbox_event.status IN ('retrying', 'failed')",
            &[
                (&source_system, Type::TEXT),
                (&id, Type::TEXT),
                (&BY, Type::TEXT),
                (&unheard.reason, Type::TEXT),
                (&unheard.last_attempt.as_str(), Type::TEXT),
                (&never_will.reason, Type::TEXT),
                (&never_will.last_attempt.as_str(), Type::TEXT),
            ],
        )
        .await
}

/// A statement of its own: it sees what another transaction has committed while the one
/// before waited.
async fn look(transaction: &Transaction<'_>, known: &Key) -> Result<Forestalled, Error> {
    let (source_system, id) = key(&known.source_system, &known.id);
    let row = transaction
        .query_typed_one(
            "SELECT status = 'processed', last_attempt FROM inbox_event \
             WHERE source_system = $1 AND id = $2",
            &[(&source_system, Type::TEXT), (&id, Type::TEXT)],
        )
        .await?;
    Ok(answer(row.try_get(0)?, row.try_get(1)?))
}
