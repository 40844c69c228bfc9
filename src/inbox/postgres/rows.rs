//! The rows of the inbox in PostgreSQL: found, and written.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use tokio_postgres::types::Type;
use tokio_postgres::{Error, GenericClient, SimpleQueryMessage, Transaction};

use super::SAVEPOINT;
use super::receive::Nesting;
use crate::inbox::config::Refusal;
use crate::inbox::counting::Key;
use crate::inbox::failing::Outcome;
use crate::state::Acknowledged;
use crate::store::postgres::read_row;
use crate::store::{LAST_DUE, Row, storable};
use crate::{DeliveryStatus, Envelope, EventId, Facts, RawEvent};

/// The columns of [`Row`], with what is not kept of a processed event in its place.
pub(super) const COLUMNS: &str = "0::bigint, id, coalesce(event_type, ''), \
     source_system, coalesce(schema_version, ''), correlation_id, coalesce(payload, ''), \
     coalesce(tags, '{}'), ordering_key, coalesce(retry_policy, ''), \
     coalesce(created_at, received_at), status, attempts, failure_class, failure_reason, \
     failed_at, redriven_by, redriven_reason, redriven_at, discarded_by, \
     discarded_reason, discarded_at";

/// Refuses a search path whose first schema has no inbox, whatever the next ones have.
/// Every call begins with it, or with `inbox_remember`, which does the same.
pub(super) async fn check_place(client: &impl GenericClient) -> Result<(), Error> {
    client.batch_execute("SELECT inbox_check_place()").await
}

pub(super) async fn now(
    client: &impl GenericClient,
) -> Result<chrono::DateTime<chrono::Utc>, Error> {
    client.query_typed_one("SELECT clock_timestamp()", &[]).await?.try_get(0)
}

/// Why an event cannot be remembered, where it cannot: it would come again forever.
pub(super) fn unindexable(event: &Facts<RawEvent>) -> Option<Refusal> {
    let (source_system, id) = (event.source_system(), event.id().to_string());
    let size = source_system.len().saturating_add(id.len());
    (key(source_system, &id) != (source_system.to_owned(), id)).then(|| {
        let why = format!(
            "its source system and id are too long to be indexed by PostgreSQL, or have \
             a NUL in them: {size} bytes"
        );
        Refusal::for_good(why)
    })
}

/// Under which source system and id an event stands: its own, or what is derived from
/// them where PostgreSQL could not index these.
pub(super) fn key(source_system: &str, id: &str) -> (String, String) {
    const LONGEST: usize = 2000;
    let fits = |text: &str| text.len() <= LONGEST / 2 && !text.contains('\0');
    if fits(source_system) && fits(id) {
        return (source_system.to_owned(), id.to_owned());
    }
    let derived = EventId::derived(source_system, id)
        .map_or_else(|_| "empty".to_owned(), |id| id.to_string());
    (storable(source_system.chars().take(100).collect::<String>()), derived)
}

pub(super) async fn find(
    transaction: &Transaction<'_>,
    event: &Facts<RawEvent>,
) -> Result<Option<Row>, Error> {
    find_row(transaction, &Key::of(event)).await
}

/// A text within a statement, spelled by its bytes: whatever it says, it stays a text.
fn literal(text: &str) -> String {
    let mut bytes = String::new();
    for byte in text.bytes() {
        // A `String` takes everything.
        let _ = write!(bytes, "{byte:02x}");
    }
    format!("convert_from(decode('{bytes}', 'hex'), 'UTF8')")
}

/// The row of an event, locked until the transaction ends.
pub(super) async fn find_row(
    transaction: &Transaction<'_>,
    known: &Key,
) -> Result<Option<Row>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM inbox_event \
         WHERE source_system = $1 AND id = $2 FOR UPDATE"
    );
    let (source_system, id) = key(&known.source_system, &known.id);
    let found = transaction
        .query_typed_opt(&sql, &[(&source_system, Type::TEXT), (&id, Type::TEXT)])
        .await?;
    found.as_ref().map(read_row).transpose()
}

/// Remembers an event as processed, and sets the savepoint behind it; nothing where the
/// inbox has the event already.
pub(super) async fn remember(
    transaction: &Transaction<'_>,
    event: &Envelope<Acknowledged>,
) -> Result<Option<Nesting>, Error> {
    // Both are one message, which is sooner dealt with, and has no values beside its
    // text.
    let sql = format!(
        "SELECT inbox_remember({}, {}, {}); {SAVEPOINT}",
        literal(event.source_system()),
        literal(&event.id().to_string()),
        event.attempts()
    );
    let answer = transaction.simple_query(&sql).await?;
    Ok(answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(|outermost| match outermost {
            "t" => Nesting::Outermost,
            _ => Nesting::Unknown,
        }),
        _ => None,
    }))
}

/// Makes a row for an event whose attempt begins, and says whether it is new.
pub(super) async fn begin_row(
    transaction: &Transaction<'_>,
    event: &Facts<RawEvent>,
) -> Result<bool, Error> {
    let inserted = transaction
        .execute_typed(
            "INSERT INTO inbox_event (source_system, id, status, attempts) \
             VALUES ($1, $2, 'retrying', 1) ON CONFLICT DO NOTHING",
            &[
                (&event.source_system(), Type::TEXT),
                (&event.id().to_string(), Type::TEXT),
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// Remembers an event as processed, and forgets what was kept of its failures.
pub(super) async fn write_processed(
    transaction: &Transaction<'_>,
    event: &Envelope<Acknowledged>,
) -> Result<u64, Error> {
    let (id, attempts) = (event.id().to_string(), i64::from(event.attempts()));
    transaction
        .execute_typed(
            "UPDATE inbox_event SET status = 'processed', attempts = $3, \
             event_type = NULL, schema_version = NULL, correlation_id = NULL, \
             payload = NULL, tags = NULL, ordering_key = NULL, retry_policy = NULL, \
             created_at = NULL, failure_class = NULL, failure_reason = NULL, \
             failed_at = NULL, received_at = clock_timestamp() \
             WHERE source_system = $1 AND id = $2",
            &[
                (&event.source_system(), Type::TEXT),
                (&id, Type::TEXT),
                (&attempts, Type::INT8),
            ],
        )
        .await
}

/// Keeps the whole of an event that failed, or was discarded.
pub(super) async fn write(transaction: &Transaction<'_>, row: Row) -> Result<u64, Error> {
    store(transaction, WRITE, row, None).await
}

/// The same of an event that failed just now. Where the inbox holds it, it is due again.
pub(super) async fn write_failed(
    transaction: &Transaction<'_>,
    outcome: &Outcome,
) -> Result<u64, Error> {
    store(transaction, WRITE, outcome.row(), outcome.next_attempt_at()).await
}

/// The same, but not of an event that another consumer has processed meanwhile, or a
/// person has discarded.
pub(super) async fn write_unless_done(
    transaction: &Transaction<'_>,
    outcome: &Outcome,
) -> Result<u64, Error> {
    let sql = format!("{WRITE} WHERE inbox_event.status IN ('retrying', 'failed')");
    store(transaction, &sql, outcome.row(), outcome.next_attempt_at()).await
}

const WRITE: &str = "INSERT INTO inbox_event (source_system, id, status, attempts, \
     event_type, schema_version, correlation_id, payload, tags, ordering_key, \
     retry_policy, created_at, failure_class, failure_reason, failed_at, redriven_by, \
     redriven_reason, redriven_at, discarded_by, discarded_reason, discarded_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::json, $10, $11, $12, $13, $14, $15, \
     $16, $17, $18, $19, $20, $21) \
     ON CONFLICT (source_system, id) DO UPDATE SET status = $3, attempts = $4, \
     event_type = $5, schema_version = $6, correlation_id = $7, payload = $8, \
     tags = $9::json, ordering_key = $10, retry_policy = $11, created_at = $12, \
     failure_class = $13, failure_reason = $14, failed_at = $15, redriven_by = $16, \
     redriven_reason = $17, redriven_at = $18, discarded_by = $19, \
     discarded_reason = $20, discarded_at = $21, held_after = NULL, \
     due_at = CASE WHEN $3 = 'retrying' AND inbox_event.due_at IS NOT NULL \
     THEN coalesce($22, inbox_event.due_at) END";

async fn store(
    transaction: &Transaction<'_>,
    sql: &str,
    row: Row,
    due_at: Option<DateTime<Utc>>,
) -> Result<u64, Error> {
    let (failure, redriven, discarded) =
        (row.failure.as_ref(), row.redriven.as_ref(), row.discarded.as_ref());
    let kept = row.status != DeliveryStatus::Skipped.as_str();
    let (source_system, id) = key(&row.source_system, &row.id);
    let (event_type, schema_version) =
        (storable(row.event_type), storable(row.schema_version));
    let (correlation_id, ordering_key) =
        (row.correlation_id.map(storable), row.ordering_key.map(storable));
    transaction
        .execute_typed(
            sql,
            &[
                (&source_system, Type::TEXT),
                (&id, Type::TEXT),
                (&row.status, Type::TEXT),
                (&row.attempts, Type::INT8),
                (&event_type, Type::TEXT),
                (&schema_version, Type::TEXT),
                (&correlation_id, Type::TEXT),
                (&kept.then_some(&row.payload), Type::BYTEA),
                (&row.tags, Type::TEXT),
                (&ordering_key, Type::TEXT),
                (&row.retry_policy, Type::TEXT),
                (&row.created_at, Type::TIMESTAMPTZ),
                (&failure.map(|said| &said.what), Type::TEXT),
                (&failure.map(|said| &said.reason), Type::TEXT),
                (&failure.map(|said| said.at), Type::TIMESTAMPTZ),
                (&redriven.map(|said| &said.what), Type::TEXT),
                (&redriven.map(|said| &said.reason), Type::TEXT),
                (&redriven.map(|said| said.at), Type::TIMESTAMPTZ),
                (&discarded.map(|said| &said.what), Type::TEXT),
                (&discarded.map(|said| &said.reason), Type::TEXT),
                (&discarded.map(|said| said.at), Type::TIMESTAMPTZ),
                (&due_at.map(|at| at.min(LAST_DUE)), Type::TIMESTAMPTZ),
            ],
        )
        .await
}

/// Forgets an event.
pub(super) async fn remove(
    transaction: &Transaction<'_>,
    known: &Key,
) -> Result<u64, Error> {
    let (source_system, id) = key(&known.source_system, &known.id);
    let sql = "DELETE FROM inbox_event WHERE source_system = $1 AND id = $2";
    transaction
        .execute_typed(sql, &[(&source_system, Type::TEXT), (&id, Type::TEXT)])
        .await
}
