//! The rows of the inbox in PostgreSQL: found, and written.

use std::fmt::Write;
use std::sync::LazyLock;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{
    Error, GenericClient, Row as SqlRow, SimpleQueryMessage, Transaction,
};

use super::SAVEPOINT;
use super::receive::Nesting;
use crate::inbox::config::Refusal;
use crate::inbox::counting::Key;
use crate::inbox::entry::{Entry, LastAttempt, Spelling};
use crate::state::Acknowledged;
use crate::store::postgres::{maybe_at, read_row};
use crate::store::{LAST_DUE, storable};
use crate::{DeliveryStatus, Envelope, EventId, Facts, RawEvent};

/// The columns of an [`Entry`]: those of its [`Row`](crate::store::Row), with what is not
/// kept of a processed event in its place, and the inbox's own.
pub(super) const COLUMNS: &str = "0::bigint, id, coalesce(event_type, ''), \
     source_system, coalesce(schema_version, ''), correlation_id, coalesce(payload, ''), \
     coalesce(tags, '{}'), ordering_key, coalesce(retry_policy, ''), \
     coalesce(created_at, received_at), status, attempts, failure_class, failure_reason, \
     failed_at, redriven_by, redriven_reason, redriven_at, discarded_by, \
     discarded_reason, discarded_at, last_attempt, due_at";

pub(super) fn read_entry(row: &SqlRow) -> Result<Entry, Error> {
    Ok(Entry {
        row: read_row(row)?,
        last_attempt: LastAttempt::read(row.try_get("last_attempt")?),
        due_at: maybe_at(row, "due_at")?,
    })
}

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
) -> Result<Option<Entry>, Error> {
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
) -> Result<Option<Entry>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM inbox_event \
         WHERE source_system = $1 AND id = $2 FOR UPDATE"
    );
    let (source_system, id) = key(&known.source_system, &known.id);
    let found = transaction
        .query_typed_opt(&sql, &[(&source_system, Type::TEXT), (&id, Type::TEXT)])
        .await?;
    found.as_ref().map(read_entry).transpose()
}

/// Remembers an event as processed, and sets the savepoint behind it. Where the inbox has
/// the event already, it sets the savepoint alone, and returns nothing.
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
             failed_at = NULL, last_attempt = NULL, received_at = clock_timestamp() \
             WHERE source_system = $1 AND id = $2",
            &[
                (&event.source_system(), Type::TEXT),
                (&id, Type::TEXT),
                (&attempts, Type::INT8),
            ],
        )
        .await
}

static WRITE: LazyLock<String> =
    LazyLock::new(|| Spelling { mark: '$', tags: "::json", received_at: None }.write());

/// Keeps the whole of an event that failed, is held, or was discarded.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    Entry { row, last_attempt, due_at }: Entry,
) -> Result<(), Error> {
    let (failure, redriven, discarded) =
        (row.failure.as_ref(), row.redriven.as_ref(), row.discarded.as_ref());
    let kept = row.status != DeliveryStatus::Skipped.as_str();
    let (source_system, id) = key(&row.source_system, &row.id);
    let (event_type, schema_version) =
        (storable(row.event_type), storable(row.schema_version));
    let (correlation_id, ordering_key) =
        (row.correlation_id.map(storable), row.ordering_key.map(storable));
    let written = transaction
        .execute_typed(
            &WRITE,
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
                (&last_attempt.as_str(), Type::TEXT),
                (&due_at.map(|at| at.min(LAST_DUE)), Type::TIMESTAMPTZ),
            ],
        )
        .await;
    written.map(drop)
}

/// Forgets an event.
pub(super) async fn remove(
    transaction: &Transaction<'_>,
    known: &Key,
) -> Result<(), Error> {
    let (source_system, id) = key(&known.source_system, &known.id);
    let sql = "DELETE FROM inbox_event WHERE source_system = $1 AND id = $2";
    let values: [(&(dyn ToSql + Sync), Type); 2] =
        [(&source_system, Type::TEXT), (&id, Type::TEXT)];
    transaction.execute_typed(sql, &values).await.map(drop)
}
