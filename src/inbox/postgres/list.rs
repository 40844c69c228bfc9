//! The lists of an inbox in PostgreSQL: what has failed, what waits, and what is no
//! event.

use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

use super::rows::{COLUMNS, check_place, read_entry};
use crate::inbox::stored::{self, Listed};
use crate::inbox::{Held, Stalled, Unreadable};
use crate::store::doing::{
    LISTING_DEAD, LISTING_HELD, LISTING_STALLED, LISTING_UNREADABLE,
};
use crate::store::error::Doing;
use crate::store::listing::first;
use crate::store::postgres::{at, at_most, micros};
use crate::store::{DeadLetter, Filter, StoreError};

/// Up to `limit` dead letters of the inbox that match a filter, oldest first.
///
/// # Errors
///
/// An error of the database.
pub async fn dead_letters(
    client: &Client,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<DeadLetter>, StoreError> {
    list(client, Which::Dead, filter, (ANY_AGE, limit), stored::dead_letter)
        .await
        .doing(LISTING_DEAD)
}

/// Up to `limit` events that match a filter, wait for another delivery and were first
/// received longer than `age` ago, oldest first. A good age is the
/// [horizon](crate::RetryPolicy::horizon) of the inbox's policy plus the longest outage
/// that you expect.
///
/// # Errors
///
/// An error of the database.
pub async fn stalled(
    client: &Client,
    filter: &Filter,
    age: Duration,
    limit: usize,
) -> Result<Vec<Stalled>, StoreError> {
    list(client, Which::Stalled, filter, (age, limit), stored::stalled)
        .await
        .doing(LISTING_STALLED)
}

/// Up to `limit` events that match a filter and that the inbox [holds](Held), oldest
/// first.
///
/// # Errors
///
/// An error of the database.
pub async fn held(
    client: &Client,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Held>, StoreError> {
    list(client, Which::Held, filter, (ANY_AGE, limit), stored::held)
        .await
        .doing(LISTING_HELD)
}

/// The rows that match a filter and are not valid events, oldest first, each with the
/// reason: of events that failed or wait.
///
/// # Errors
///
/// An error of the database.
pub async fn unreadable(
    client: &Client,
    filter: &Filter,
) -> Result<Vec<Unreadable>, StoreError> {
    list(client, Which::Open, filter, (ANY_AGE, usize::MAX), stored::unreadable)
        .await
        .doing(LISTING_UNREADABLE)
}

/// Rows received at any time.
const ANY_AGE: Duration = Duration::ZERO;

/// Which rows a list has.
#[derive(Debug, Clone, Copy)]
enum Which {
    Dead,
    Stalled,
    Held,
    /// All of these.
    Open,
}

/// What is read of the rows of a list that were received so long ago or longer, up to the
/// limit.
async fn list<T>(
    client: &Client,
    which: Which,
    filter: &Filter,
    (age, limit): (Duration, usize),
    read: impl Fn(Listed) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let which = match which {
        Which::Dead => "status = 'failed'",
        Which::Stalled => "status = 'retrying' AND due_at IS NULL",
        Which::Held => "status = 'retrying' AND due_at IS NOT NULL",
        Which::Open => "status IN ('retrying', 'failed')",
    };
    // The state is part of the text, where the planner sees that the index has it.
    let sql = format!(
        "SELECT {COLUMNS}, received_at, held_after FROM inbox_event WHERE {which} \
         AND ($1 = 0 \
         OR received_at <= statement_timestamp() - $1 * interval '1 microsecond') \
         AND ($2 IS NULL OR id = $2) AND ($3 IS NULL OR event_type = $3) \
         AND ($4 IS NULL OR source_system = $4) \
         AND ($5 IS NULL OR strpos(failure_reason, $5) > 0) \
         AND ($6 IS NULL OR failed_at >= $6) \
         ORDER BY received_at LIMIT $7"
    );
    let age = micros(age);
    let id = filter.id.as_ref().map(ToString::to_string);
    let look = async |limit: usize| {
        let limit = at_most(limit);
        let values: [(&(dyn ToSql + Sync), Type); 7] = [
            (&age, Type::INT8),
            (&id, Type::TEXT),
            (&filter.event_type, Type::TEXT),
            (&filter.source_system, Type::TEXT),
            (&filter.reason_contains, Type::TEXT),
            (&filter.failed_since, Type::TIMESTAMPTZ),
            (&limit, Type::INT8),
        ];
        let mut rows = pin!(client.query_typed_raw(&sql, values).await?);
        let (mut found, mut said) = (0_usize, Vec::new());
        while let Some(row) = rows.try_next().await? {
            found = found.saturating_add(1);
            said.extend(read(Listed {
                entry: read_entry(&row)?,
                received_at: at(&row, "received_at")?,
                after: row.try_get("held_after")?,
            }));
        }
        Ok((found, said))
    };
    check_place(client).await?;
    first(limit, look).await
}
