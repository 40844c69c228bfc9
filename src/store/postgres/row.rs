//! The columns of an event, read from a row.

use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Error, Row as SqlRow};

use super::{BoxedError, at, maybe_at};
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

/// Reads the columns of [`Row`], in its order.
pub(crate) fn read_row(row: &SqlRow) -> Result<Row, Error> {
    let said = |what: usize, reason: usize, at: usize| {
        Ok::<_, Error>(Said::of(
            row.try_get(what)?,
            row.try_get(reason)?,
            maybe_at(row, at)?,
        ))
    };
    Ok(Row {
        sequence: row.try_get(0)?,
        id: row.try_get(1)?,
        event_type: row.try_get(2)?,
        source_system: row.try_get(3)?,
        schema_version: row.try_get(4)?,
        correlation_id: row.try_get(5)?,
        payload: row.try_get(6)?,
        tags: row.try_get::<_, Json>(7)?.0,
        ordering_key: row.try_get(8)?,
        retry_policy: row.try_get(9)?,
        created_at: at(row, 10)?,
        status: row.try_get(11)?,
        attempts: row.try_get(12)?,
        failure: said(13, 14, 15)?,
        redriven: said(16, 17, 18)?,
        discarded: said(19, 20, 21)?,
    })
}
