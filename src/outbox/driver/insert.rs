//! The statement that enqueues an event, with values that every driver can bind. The
//! crate's own `enqueue` shares it.

use std::fmt;

use chrono::{DateTime, Datelike, Utc};

use crate::Envelope;
use crate::outbox::encoded::{Encoded, encoded_ref};
use crate::outbox::enqueued::{Enqueued, another_event};
use crate::state::Pending;
use crate::store::{Row, Said, StoreError};
use crate::trace::EventSpan;

pub(crate) const DOING: &str = "enqueuing an event";

/// The SQL dialect of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// PostgreSQL's, with the tables of `outbox::postgres`.
    Postgres,
    /// SQLite's (3.42 or newer), with the tables of `outbox::sqlite`.
    Sqlite,
}

/// A value of a statement. There are only these three kinds, which every driver can
/// bind.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// A text, or NULL.
    Text(Option<String>),
    /// Bytes: `bytea` in PostgreSQL, `BLOB` in SQLite.
    Bytes(Vec<u8>),
    /// A whole number of 64 bits, or NULL.
    Integer(Option<i64>),
}

impl fmt::Debug for Value {
    /// Only the kind: payloads and tags may hold what no log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(None) | Self::Integer(None) => "NULL",
            Self::Text(Some(_)) => "Text",
            Self::Bytes(_) => "Bytes",
            Self::Integer(Some(_)) => "Integer",
        })
    }
}

/// One statement that enqueues one event, for a driver that this crate does not know.
///
/// Run [`sql`](Self::sql) with [`values`](Self::values) in the transaction of the
/// business change. It returns at most one row, with one text (`answer`): pass that to
/// [`answered`](Self::answered). [`enqueue`](super::enqueue) does so for a
/// [`ForeignTransaction`](super::ForeignTransaction); with a blocking driver, do it by
/// hand:
///
/// ```
/// # #[cfg(feature = "sqlite")] {
/// use integration_automation_patterns::outbox::driver::{Dialect, Insert, Value};
/// use integration_automation_patterns::outbox::{Enqueued, sqlite};
/// use integration_automation_patterns::{Envelope, RawEvent};
/// use rusqlite::types::ToSql;
/// use rusqlite::{Connection, OptionalExtension};
///
/// // Rusqlite stands here for any blocking driver of SQLite.
/// let mut crm = Connection::open_in_memory()?;
/// sqlite::install(&mut crm)?;
/// let business = crm.transaction()?;
/// let event =
///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
///
/// let insert = Insert::new(Dialect::Sqlite, &event);
/// fn bound(value: &Value) -> &dyn ToSql {
///     match value {
///         Value::Text(text) => text,
///         Value::Bytes(bytes) => bytes,
///         Value::Integer(number) => number,
///     }
/// }
/// let values: Vec<_> = insert.values().iter().map(bound).collect();
/// let text = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
/// let row = business.query_row(insert.sql(), &*values, text).optional()?;
/// assert_eq!(insert.answered(row.as_deref())?, Enqueued::New);
/// business.commit()?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is enqueued until its statement is run"]
pub struct Insert {
    dialect: Dialect,
    sql: &'static str,
    values: Vec<Value>,
    span: EventSpan,
}

impl fmt::Debug for Insert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Insert")
            .field("sql", &self.sql)
            .field("values", &self.values)
            .finish_non_exhaustive()
    }
}

impl Insert {
    /// The statement for an event, in the SQL of its database.
    pub fn new<P: Encoded>(dialect: Dialect, event: &Envelope<Pending, P>) -> Self {
        let mut record = encoded_ref(event).to_record();
        let span = EventSpan::enqueue(&mut record);
        let row = Row::of_record(record);
        // The last values are mostly NULL, and PostgreSQL parses a shorter statement
        // faster.
        let is_fresh = row.failure.is_none() && row.redriven.is_none();
        let (sql, columns) = match dialect {
            Dialect::Postgres if is_fresh => (POSTGRES_FRESH, FRESH_COLUMNS),
            Dialect::Postgres => (POSTGRES, COLUMNS),
            Dialect::Sqlite => (SQLITE, COLUMNS),
        };
        let mut values = values(dialect, row);
        values.truncate(columns);
        Self { dialect, sql, values, span }
    }

    /// The statement. Its parameters are numbered: `$1` and so on in PostgreSQL, `?1`
    /// in SQLite. SQLite has one text for all events and PostgreSQL one of two, so
    /// prepare it if you like.
    pub const fn sql(&self) -> &'static str {
        self.sql
    }

    /// The values of its parameters, in order. Bind each as the type it has, NULL
    /// included: the statement converts it.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Says what the statement did, from the first column of the row that it returned;
    /// pass `None` if it returned no row.
    ///
    /// # Errors
    ///
    /// Another event has this id, as with [`enqueue`](super::enqueue); or, in
    /// PostgreSQL, the first schema of the search path has no outbox.
    pub fn answered(self, row: Option<&str>) -> Result<Enqueued, StoreError> {
        let enqueued = match (row, self.dialect) {
            (Some("new"), _) => Enqueued::New,
            (Some("duplicate"), _) | (None, Dialect::Sqlite) => Enqueued::Duplicate,
            (None, Dialect::Postgres) => return Err(StoreError::new(DOING, ELSEWHERE)),
            (Some(there), _) => return Err(self.refused(there)),
        };
        self.span.end(enqueued.into());
        Ok(enqueued)
    }

    fn refused(&self, there: &str) -> StoreError {
        let [Value::Text(id), Value::Text(event_type), Value::Text(source), ..] =
            self.values.as_slice()
        else {
            return StoreError::new(DOING, format!("unexpected answer: {there}"));
        };
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let wanted = format!("{} from {}", text(event_type), text(source));
        another_event(DOING, &text(id), there, &wanted)
    }
}

/// The condition that the first schema of the caller's search path has an outbox. The
/// outbox of a later schema does not count.
macro_rules! here {
    () => {
        "to_regclass(quote_ident(current_schema()) || '.outbox_event') IS NOT NULL"
    };
}

#[cfg(feature = "postgres")]
pub(crate) const HERE: &str = here!();
pub(crate) const ELSEWHERE: &str = "the first schema of this transaction's search path has no outbox: make one by `install`, or call that \
     of another schema by its name, SELECT other.outbox_enqueue(..)";

/// The number of values in the statement for any event, and for one that never failed
/// and was never redriven.
const COLUMNS: usize = 16;
const FRESH_COLUMNS: usize = 10;

macro_rules! postgres {
    ($redriven:literal) => {
        concat!(
            "SELECT CASE WHEN outbox_enqueue($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, \
             $9, $10::text::timestamptz",
            $redriven,
            ") THEN 'new' ELSE outbox_standing($1, $2, $3) END AS answer WHERE ",
            here!()
        )
    };
}

const POSTGRES_FRESH: &str = postgres!("");
const POSTGRES: &str =
    postgres!(", $11, $12, $13::text::timestamptz, $14, $15, $16::text::timestamptz");

macro_rules! sqlite {
    ($conflict:literal) => {
        concat!(
            "INSERT INTO outbox_event (id, event_type, source_system, payload, \
             schema_version, correlation_id, tags, ordering_key, retry_policy, \
             created_at, failure_class, failure_reason, failed_at, redriven_by, \
             redriven_reason, redriven_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
             ?10, ?11, ?12, ?13, ?14, ?15, ?16) ON CONFLICT (id) DO ",
            $conflict
        )
    };
}

/// The update changes nothing: with it, the statement can return another event's row.
const SQLITE: &str = sqlite!(
    "UPDATE SET id = excluded.id \
     WHERE source_system <> excluded.source_system OR event_type <> excluded.event_type \
     RETURNING CASE WHEN source_system = ?3 AND event_type = ?2 THEN 'new' \
     ELSE event_type || ' from ' || source_system END AS answer"
);

/// The same in two statements, for a driver that reports how many rows it wrote: a
/// returned row doubles the cost of an insert. The second takes the first three values,
/// and is for an event that is not new.
#[cfg(feature = "sqlite")]
pub(crate) const SQLITE_SILENT: &str = sqlite!("NOTHING");
#[cfg(feature = "sqlite")]
pub(crate) const SQLITE_STANDING: &str = "SELECT event_type || ' from ' || source_system \
     FROM outbox_event WHERE id = ?1 AND (event_type, source_system) <> (?2, ?3)";

/// The values of a new row, in the order of the parameters.
fn values(dialect: Dialect, row: Row) -> Vec<Value> {
    let time = |at: Option<DateTime<Utc>>| match dialect {
        Dialect::Postgres => Value::Text(at.map(spelled)),
        Dialect::Sqlite => Value::Integer(at.map(|at| at.timestamp_micros())),
    };
    let text = |text: String| Value::Text(Some(text));
    let said = |said: Option<Said>| match said {
        Some(Said { what, reason, at }) => (Some(what), Some(reason), Some(at)),
        None => (None, None, None),
    };
    let (failure_class, failure_reason, failed_at) = said(row.failure);
    let (redriven_by, redriven_reason, redriven_at) = said(row.redriven);
    vec![
        text(row.id),
        text(row.event_type),
        text(row.source_system),
        Value::Bytes(row.payload),
        text(row.schema_version),
        Value::Text(row.correlation_id),
        text(row.tags),
        Value::Text(row.ordering_key),
        text(row.retry_policy),
        time(Some(row.created_at)),
        Value::Text(failure_class),
        Value::Text(failure_reason),
        time(failed_at),
        Value::Text(redriven_by),
        Value::Text(redriven_reason),
        time(redriven_at),
    ]
}

/// A time as PostgreSQL reads it, whatever the session's `DateStyle` and `TimeZone`.
/// PostgreSQL has no year 0, and counts the years before 1 as BC.
fn spelled(at: DateTime<Utc>) -> String {
    let year = at.year();
    let (year, era) =
        if year > 0 { (year, "") } else { (1_i32.saturating_sub(year), " BC") };
    format!("{year:04}-{}+00{era}", at.format("%m-%d %H:%M:%S%.6f"))
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]
mod tests {
    use super::*;

    /// PostgreSQL refuses the year 0 and a sign.
    #[test]
    fn a_time_is_spelled_as_postgresql_reads_it() {
        let spelled = |text: &str| spelled(text.parse().unwrap());
        assert_eq!(spelled("2026-01-05T08:00:00.12Z"), "2026-01-05 08:00:00.120000+00");
        assert_eq!(spelled("0000-12-31T23:59:59Z"), "0001-12-31 23:59:59.000000+00 BC");
        assert_eq!(spelled("-0001-01-01T00:00:00Z"), "0002-01-01 00:00:00.000000+00 BC");
        assert_eq!(spelled("+12026-01-01T00:00:00Z"), "12026-01-01 00:00:00.000000+00");
    }

    /// The columns, in the order of the values: of a row in which each value is called as
    /// its column is.
    fn columns() -> Vec<String> {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let said = |what: &str, reason: &str, seconds| Said {
            what: what.to_owned(),
            reason: reason.to_owned(),
            at: at(seconds),
        };
        let text = str::to_owned;
        let row = Row {
            sequence: 0,
            id: text("id"),
            event_type: text("event_type"),
            source_system: text("source_system"),
            schema_version: text("schema_version"),
            correlation_id: Some(text("correlation_id")),
            payload: b"payload".to_vec(),
            tags: text("tags"),
            ordering_key: Some(text("ordering_key")),
            retry_policy: text("retry_policy"),
            created_at: at(1),
            status: text("pending"),
            attempts: 0,
            failure: Some(said("failure_class", "failure_reason", 2)),
            redriven: Some(said("redriven_by", "redriven_reason", 3)),
            discarded: None,
        };
        let times = ["created_at", "failed_at", "redriven_at"];
        let name = |value| match value {
            Value::Text(text) => text.unwrap(),
            Value::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
            Value::Integer(micros) => {
                let place = usize::try_from(micros.unwrap() / 1_000_000 - 1).unwrap();
                times[place].to_owned()
            }
        };
        values(Dialect::Sqlite, row).into_iter().map(name).collect()
    }

    /// The numbers of the parameters of a statement, each once, in their order.
    fn parameters(sql: &str, mark: char) -> Vec<usize> {
        let number = |rest: &str| {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..end].parse().unwrap()
        };
        let mut numbers: Vec<usize> = sql.split(mark).skip(1).map(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// A value would be stored in another column, by each statement in its own way.
    #[test]
    fn every_statement_takes_the_values_in_their_order() {
        let columns = columns();
        assert_eq!(columns.len(), COLUMNS);
        for sql in [SQLITE, sqlite!("NOTHING")] {
            let (_, list) = sql.split_once("outbox_event (").unwrap();
            let (list, _) = list.split_once(')').unwrap();
            assert_eq!(list.split(", ").collect::<Vec<_>>(), columns);
            assert_eq!(parameters(sql, '?'), (1..=COLUMNS).collect::<Vec<_>>());
        }
        for (sql, count) in [(POSTGRES, COLUMNS), (POSTGRES_FRESH, FRESH_COLUMNS)] {
            assert_eq!(parameters(sql, '$'), (1..=count).collect::<Vec<_>>());
        }
    }

    /// The function takes its arguments by their places.
    #[cfg(feature = "postgres")]
    #[test]
    fn the_function_of_postgresql_takes_the_values_in_their_order() {
        let schema = crate::outbox::postgres::SCHEMA;
        let (_, function) = schema.rsplit_once("FUNCTION outbox_enqueue(").unwrap();
        let (arguments, _) = function.split_once("\n)").unwrap();
        let names = arguments.lines().filter_map(|line| line.split_whitespace().next());
        assert_eq!(names.collect::<Vec<_>>(), columns());
    }

    #[test]
    fn a_value_shows_its_kind_alone() {
        let values = [
            Value::Text(Some("secret".to_owned())),
            Value::Bytes(b"secret".to_vec()),
            Value::Integer(Some(7)),
            Value::Text(None),
        ];
        assert_eq!(format!("{values:?}"), "[Text, Bytes, Integer, NULL]");
    }
}
