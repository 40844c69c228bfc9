//! The lists of an inbox in SQLite: what has failed, what waits, and what is no event.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::admin::since;
use super::rows::{COLUMNS, read_entry};
use crate::DeliveryStatus;
use crate::inbox::stored::{self, Listed};
use crate::inbox::{Held, Stalled, Unreadable};
use crate::store::doing::{
    LISTING_DEAD, LISTING_HELD, LISTING_STALLED, LISTING_UNREADABLE,
};
use crate::store::error::Doing;
use crate::store::sqlite::{any_moment, maybe_text, micros};
use crate::store::{DeadLetter, Filter, StoreError};

/// Up to `limit` dead letters of the inbox that match a filter, oldest first.
///
/// # Errors
///
/// An error of the database.
pub fn dead_letters(
    connection: &Connection,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<DeadLetter>, StoreError> {
    list(connection, Which::Dead, filter, (END, limit), stored::dead_letter)
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
pub fn stalled(
    connection: &Connection,
    filter: &Filter,
    age: Duration,
    limit: usize,
) -> Result<Vec<Stalled>, StoreError> {
    let before = since(connection, age).doing(LISTING_STALLED)?;
    list(connection, Which::Stalled, filter, (before, limit), stored::stalled)
        .doing(LISTING_STALLED)
}

/// Up to `limit` events that match a filter and that the inbox [holds](Held), oldest
/// first.
///
/// # Errors
///
/// An error of the database.
///
/// ```
/// use integration_automation_patterns::inbox::sqlite;
///
/// let mut erp = rusqlite::Connection::open_in_memory()?;
/// sqlite::install(&mut erp)?;
/// assert!(sqlite::held(&erp, &Default::default(), 100)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn held(
    connection: &Connection,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Held>, StoreError> {
    list(connection, Which::Held, filter, (END, limit), stored::held).doing(LISTING_HELD)
}

/// The rows that match a filter and are not valid events, oldest first, each with the
/// reason: of events that failed or wait.
///
/// # Errors
///
/// An error of the database.
///
/// ```
/// use integration_automation_patterns::inbox::sqlite;
///
/// let mut erp = rusqlite::Connection::open_in_memory()?;
/// sqlite::install(&mut erp)?;
/// assert_eq!(sqlite::unreadable(&erp, &Default::default())?, []);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn unreadable(
    connection: &Connection,
    filter: &Filter,
) -> Result<Vec<Unreadable>, StoreError> {
    list(connection, Which::Open, filter, (END, usize::MAX), stored::unreadable)
        .doing(LISTING_UNREADABLE)
}

/// Rows received at any time.
const END: DateTime<Utc> = DateTime::<Utc>::MAX_UTC;

/// Which rows a list has.
#[derive(Debug, Clone, Copy)]
enum Which {
    Dead,
    Stalled,
    Held,
    /// All of these.
    Open,
}

/// What is read of the rows of a list that were received at this time or before, up to
/// the limit. A row that cannot be read takes no place of one that can.
fn list<T>(
    connection: &Connection,
    which: Which,
    filter: &Filter,
    (before, limit): (DateTime<Utc>, usize),
    read: impl Fn(Listed) -> Option<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare_cached(&listing(which))?;
    let status = match which {
        Which::Dead => Some(DeliveryStatus::Failed.as_str()),
        Which::Stalled | Which::Held => Some(DeliveryStatus::Retrying.as_str()),
        Which::Open => None,
    };
    let values = params![
        status,
        micros(before),
        filter.id.as_ref().map(ToString::to_string),
        filter.event_type,
        filter.source_system,
        filter.reason_contains,
        filter.failed_since.map(micros),
    ];
    let rows = statement.query_map(values, |row| {
        Ok(read(Listed {
            entry: read_entry(row)?,
            received_at: any_moment(row.get("received_at")?),
            after: maybe_text(row, "held_after")?,
        }))
    })?;
    rows.filter_map(Result::transpose).take(limit).collect()
}

/// The first condition is the index's own, by whose words SQLite recognises it.
fn listing(which: Which) -> String {
    let held = match which {
        Which::Dead | Which::Open => "",
        Which::Stalled => "AND due_at IS NULL",
        Which::Held => "AND due_at IS NOT NULL",
    };
    format!(
        "SELECT {COLUMNS}, received_at, held_after FROM inbox_event \
         WHERE status IN ('retrying', 'failed') AND received_at <= ?2 {held} \
         AND (?1 IS NULL OR status = ?1) \
         AND (?3 IS NULL OR id = ?3) AND (?4 IS NULL OR event_type = ?4) \
         AND (?5 IS NULL OR source_system = ?5) \
         AND (?6 IS NULL OR instr(failure_reason, ?6) > 0) \
         AND (?7 IS NULL OR failed_at >= ?7) \
         ORDER BY received_at"
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_lists_use_their_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        crate::inbox::sqlite::install(&mut connection).unwrap();
        for which in [Which::Dead, Which::Stalled, Which::Held, Which::Open] {
            let sql = format!("EXPLAIN QUERY PLAN {}", listing(which));
            let mut statement = connection.prepare(&sql).unwrap();
            for place in 1..=statement.parameter_count() {
                statement.raw_bind_parameter(place, None::<i64>).unwrap();
            }
            let mut plan = String::new();
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next().unwrap() {
                plan.push_str(&row.get::<_, String>("detail").unwrap());
            }
            let index = "SEARCH inbox_event USING INDEX inbox_failed (received_at<?)";
            assert_eq!(plan, index, "{which:?}");
        }
    }
}
