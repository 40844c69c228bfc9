//! What people ask of an inbox in PostgreSQL, and decide.

use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row as SqlRow, Transaction};

use super::SAVEPOINT;
use super::held::hurry_after;
use super::receive::{InboxTransaction, Nesting, Receiving, WholeTransaction};
use super::rows::{COLUMNS, check_place, find, key, write, write_processed};
use crate::audit::AuditTrail;
use crate::inbox::counting::Key;
use crate::inbox::intake::redriven;
use crate::inbox::stored::{CountedRow, Discarded, undelivered};
use crate::inbox::{Counts, Fresh, InboxConfig, Remembered};
use crate::store::StoreError;
use crate::store::doing::{COUNTING, DISCARDING, GETTING, PURGING, REDRIVING};
use crate::store::error::Doing;
use crate::store::postgres::{self as database, at, micros, read_row};
use crate::{Decision, EventId, Facts, RawEvent};

/// How many events the inbox has in each state. It reads every row, and counts as
/// [stalled](crate::inbox::Stalled) what [`stalled`](super::stalled) lists for the age
/// `stalled_after`.
///
/// # Errors
///
/// An error of the database.
pub async fn counts(
    client: &Client,
    stalled_after: Duration,
) -> Result<Counts, StoreError> {
    let age = micros(stalled_after);
    let work = async {
        check_place(client).await?;
        let rows = client
            .query_typed(
                "SELECT status, count(*), count(*) FILTER (WHERE due_at IS NULL AND \
                 received_at <= statement_timestamp() - $1 * interval '1 microsecond'), \
                 count(*) FILTER (WHERE due_at IS NOT NULL), \
                 count(*) FILTER (WHERE last_attempt IN ('forestalled', 'forgotten')) \
                 FROM inbox_event GROUP BY status",
                &[(&age, Type::INT8)],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(CountedRow {
                    status: row.try_get(0)?,
                    count: row.try_get(1)?,
                    old: row.try_get(2)?,
                    held: row.try_get(3)?,
                    forestalled: row.try_get(4)?,
                })
            })
            .collect::<Result<Vec<_>, _>>()
    };
    let counted: Result<_, Error> = work.await;
    Counts::of_rows(counted.doing(COUNTING)?)
}

/// What the inbox remembers of one event; `None` if it has never received the event, or
/// has purged it.
///
/// # Errors
///
/// An error of the database, or a row that is not a valid event.
pub async fn get(
    client: &Client,
    source_system: &str,
    id: &EventId,
) -> Result<Option<Remembered>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, received_at FROM inbox_event \
         WHERE source_system = $1 AND id = $2"
    );
    let (source_system, id) = key(source_system, &id.to_string());
    let found = async {
        check_place(client).await?;
        let values: [(&(dyn ToSql + Sync), Type); 2] =
            [(&source_system, Type::TEXT), (&id, Type::TEXT)];
        let rows = client.query_typed(&sql, &values).await?;
        let read = |row: &SqlRow| Ok((read_row(row)?, at(row, "received_at")?));
        rows.first().map(read).transpose()
    };
    let found: Result<_, Error> = found.await;
    found.doing(GETTING)?.map(Remembered::of_row).transpose()
}

/// Redrives a dead letter of the inbox, or an event that waits for [another
/// delivery](super::stalled) or is [held](super::held), in the caller's open transaction,
/// as a person decided: run its handler, and commit. Nothing where there is no such
/// event. With deadpool-postgres, begin the transaction as for
/// [`receive`](super::receive).
///
/// The types do not ensure that the handler runs: if you commit without its effect, the
/// event still counts as processed. A worker's
/// [`redrive`](crate::inbox::worker::Worker::redrive) runs the handler itself.
///
/// # Errors
///
/// An error of the database.
///
/// ```no_run
/// use integration_automation_patterns::Decision;
/// use integration_automation_patterns::inbox::{InboxConfig, postgres};
/// use tokio_postgres::Client;
///
/// # type Outcome = Result<(), Box<dyn std::error::Error>>;
/// # async fn redrive_one(mut erp: Client, config: InboxConfig) -> Outcome {
/// let letters = postgres::dead_letters(&erp, &Default::default(), 1).await?;
/// let letter = letters.first().ok_or("a dead letter")?;
/// let decision = Decision::new("on-call", "the country is known now")?;
/// let transaction = erp.transaction().await?;
/// let fresh = postgres::redrive(transaction, &letter.event, decision, &config).await?;
/// let fresh = fresh.ok_or("it was there a moment ago")?;
/// // Its handler, with `fresh.transaction()` and `fresh.event()`.
/// let _committed = fresh.commit().await?;
/// assert!(postgres::dead_letters(&erp, &Default::default(), 1).await?.is_empty());
/// # Ok(())
/// # }
/// ```
pub fn redrive<'f, 'c: 'f, T: WholeTransaction<'c>>(
    transaction: T,
    event: &'f Facts<RawEvent>,
    decision: Decision,
    config: &'f InboxConfig,
) -> Receiving<'f, Option<Fresh<InboxTransaction<'c>, ()>>> {
    Box::pin(redrive_in(transaction.into(), event, decision, config))
}

async fn redrive_in<'c>(
    transaction: Transaction<'c>,
    event: &Facts<RawEvent>,
    decision: Decision,
    config: &InboxConfig,
) -> Result<Option<Fresh<InboxTransaction<'c>, ()>>, StoreError> {
    check_place(&transaction).await.doing(REDRIVING)?;
    let found = find(&transaction, event).await.doing(REDRIVING)?;
    let Some(dead) = found.and_then(undelivered) else { return Ok(None) };
    let (event, reply) = redriven(dead, decision, config);
    write_processed(&transaction, &event).await.doing(REDRIVING)?;
    hurry_after(&transaction, &Key::of(&event)).await.doing(REDRIVING)?;
    transaction.batch_execute(SAVEPOINT).await.doing(REDRIVING)?;
    let transaction = InboxTransaction { transaction, nesting: Nesting::Unknown };
    Ok(Some(Fresh { transaction, event, reply }))
}

/// Discards a dead letter of the inbox, or an event that waits for [another
/// delivery](super::stalled) or is [held](super::held), as a person decided, and says
/// whether there was one.
///
/// # Errors
///
/// An error of the database.
///
/// ```no_run
/// use integration_automation_patterns::Decision;
/// use integration_automation_patterns::audit::AuditTrail;
/// use integration_automation_patterns::inbox::postgres;
/// use tokio_postgres::Client;
///
/// # type Outcome = Result<(), Box<dyn std::error::Error>>;
/// # async fn discard_one(mut erp: Client, trail: AuditTrail) -> Outcome {
/// let letters = postgres::dead_letters(&erp, &Default::default(), 1).await?;
/// let letter = letters.first().ok_or("a dead letter")?;
/// let decision = Decision::new("on-call", "the lead was a test")?;
/// assert!(postgres::discard(&mut erp, &letter.event, decision, &trail).await?);
/// # Ok(())
/// # }
/// ```
pub async fn discard(
    client: &mut Client,
    event: &Facts<RawEvent>,
    decision: Decision,
    trail: &AuditTrail,
) -> Result<bool, StoreError> {
    let work = async {
        let transaction = client.transaction().await?;
        check_place(&transaction).await?;
        let found = find(&transaction, event).await?;
        let Some(discarded) = found.and_then(|row| Discarded::of(row, decision)) else {
            return Ok(false);
        };
        write(&transaction, discarded.entry()).await?;
        hurry_after(&transaction, &Key::of(event)).await?;
        transaction.commit().await?;
        discarded.record(trail);
        Ok(true)
    };
    let discarded: Result<_, Error> = work.await;
    discarded.doing(DISCARDING)
}

/// Removes up to `limit` events that were received longer ago than the
/// [`dedup_window`](InboxConfig::dedup_window), and says how many: call it until it says
/// less than `limit`. Dead letters stay, and so does what waits for another delivery, or
/// what a [held](crate::inbox::Held) event waits for.
///
/// # Errors
///
/// An error of the database.
///
/// ```no_run
/// use integration_automation_patterns::inbox::{InboxConfig, StoreError, postgres};
/// use tokio_postgres::Client;
///
/// # async fn purge_all(erp: Client, config: InboxConfig) -> Result<(), StoreError> {
/// while postgres::purge(&erp, &config, 10_000).await? == 10_000 {}
/// assert_eq!(postgres::purge(&erp, &config, 10_000).await?, 0);
/// # Ok(())
/// # }
/// ```
pub async fn purge(
    client: &Client,
    config: &InboxConfig,
    limit: usize,
) -> Result<u64, StoreError> {
    let (age, limit) = (micros(config.dedup_window()), database::at_most(limit));
    let values: [(&(dyn ToSql + Sync), Type); 2] =
        [(&age, Type::INT8), (&limit, Type::INT8)];
    let gone = async {
        check_place(client).await?;
        let sql = "DELETE FROM inbox_event WHERE ctid = ANY (ARRAY(\
             SELECT ctid FROM inbox_event WHERE status IN ('processed', 'skipped') \
             AND received_at <= statement_timestamp() - $1 * interval '1 microsecond' \
             AND NOT EXISTS (SELECT FROM inbox_event AS held \
               WHERE held.status = 'retrying' \
               AND held.source_system = inbox_event.source_system \
               AND held.held_after = inbox_event.id) \
             ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED))";
        client.execute_typed(sql, &values).await
    };
    gone.await.doing(PURGING)
}
