//! The columns of an event, read from a row, and how many rows a statement is to give.

use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Error, Row as SqlRow};

use super::moment::{at, maybe_at};
use crate::store::error::BoxedError;
use crate::store::row::{DISCARDED, FAILURE, REDRIVEN, place};
use crate::store::{Row, Said};

/// A JSON column as its text.
struct Json(String);

impl FromSql<'_> for Json {
    fn from_sql(kind: &Type, raw: &[u8]) -> Result<Self, BoxedError> {
        let text = match raw.split_first() {
            Some((1, text)) if *kind == Type::JSONB => text,
            _ if *kind == Type::JSONB => {
                return Err("jsonb of a version that this program does not know".into());
            }
            _ => raw,
        };
        Ok(Self(String::from_utf8(text.to_vec())?))
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::JSON | Type::JSONB)
    }
}

/// Reads [`EVENT_COLUMNS`](crate::store::EVENT_COLUMNS), or what another table has in
/// their places.
pub(crate) fn read_row(row: &SqlRow) -> Result<Row, Error> {
    let said = |[what, reason, at]: [usize; 3]| {
        let at = maybe_at(row, at)?;
        Ok::<_, Error>(Said::of(row.try_get(what)?, row.try_get(reason)?, at))
    };
    Ok(Row {
        sequence: row.try_get(const { place("sequence") })?,
        id: row.try_get(const { place("id") })?,
        event_type: row.try_get(const { place("event_type") })?,
        source_system: row.try_get(const { place("source_system") })?,
        schema_version: row.try_get(const { place("schema_version") })?,
        correlation_id: row.try_get(const { place("correlation_id") })?,
        payload: row.try_get(const { place("payload") })?,
        tags: row.try_get::<_, Json>(const { place("tags") })?.0,
        ordering_key: row.try_get(const { place("ordering_key") })?,
        retry_policy: row.try_get(const { place("retry_policy") })?,
        created_at: at(row, const { place("created_at") })?,
        status: row.try_get(const { place("status") })?,
        attempts: row.try_get(const { place("attempts") })?,
        failure: said(FAILURE)?,
        redriven: said(REDRIVEN)?,
        discarded: said(DISCARDED)?,
    })
}

/// A limit, as a statement takes it.
pub(crate) fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
