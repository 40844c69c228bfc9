//! What columns hold: times as integers, texts and payloads as plain SQL may have written
//! them.

use chrono::{DateTime, Utc};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row as SqlRow, RowIndex};

use crate::store::row::{DISCARDED, FAILURE, REDRIVEN, place};
use crate::store::{Row, Said, StoreError, StoreErrorKind};

/// The database's time now: as one with the transaction as SQLite can.
pub(crate) fn now(connection: &Connection) -> rusqlite::Result<DateTime<Utc>> {
    connection
        .prepare_cached("SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)")?
        .query_row([], |row| moment(row.get(0)?))
}

/// Microseconds since 1970, as a column holds them.
pub(crate) fn micros(moment: DateTime<Utc>) -> i64 {
    moment.timestamp_micros()
}

/// A limit, as a statement takes it.
pub(crate) fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The moment in a column.
fn moment(micros: i64) -> rusqlite::Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| {
        let error =
            format!("{micros} microseconds since 1970 are past the end of the calendar");
        rusqlite::Error::FromSqlConversionFailure(
            0,
            rusqlite::types::Type::Integer,
            error.into(),
        )
    })
}

/// The moment in a column that plain SQL may have written, or the end of the calendar
/// that is nearest: one such row must not stop the others.
pub(crate) fn any_moment(micros: i64) -> DateTime<Utc> {
    let end =
        if micros < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
    DateTime::from_timestamp_micros(micros).unwrap_or(end)
}

/// Reads [`EVENT_COLUMNS`](crate::store::EVENT_COLUMNS), or what another table has in
/// their places.
pub(crate) fn read_row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        sequence: row.get(const { place("sequence") })?,
        id: text(row, const { place("id") })?,
        event_type: text(row, const { place("event_type") })?,
        source_system: text(row, const { place("source_system") })?,
        schema_version: text(row, const { place("schema_version") })?,
        correlation_id: maybe_text(row, const { place("correlation_id") })?,
        payload: payload(row)?,
        tags: text(row, const { place("tags") })?,
        ordering_key: maybe_text(row, const { place("ordering_key") })?,
        retry_policy: text(row, const { place("retry_policy") })?,
        created_at: any_moment(row.get(const { place("created_at") })?),
        status: text(row, const { place("status") })?,
        attempts: row.get(const { place("attempts") })?,
        failure: said(row, FAILURE)?,
        redriven: said(row, REDRIVEN)?,
        discarded: said(row, DISCARDED)?,
    })
}

/// A text that plain SQL wrote may be no UTF-8: one such row must not stop the others.
pub(crate) fn maybe_text<I: RowIndex>(
    row: &SqlRow<'_>,
    place: I,
) -> rusqlite::Result<Option<String>> {
    Ok(row
        .get_ref(place)?
        .as_bytes_or_null()?
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
}

pub(crate) fn text<I: RowIndex>(row: &SqlRow<'_>, place: I) -> rusqlite::Result<String> {
    Ok(maybe_text(row, place)?.unwrap_or_default())
}

/// Three columns: who or what, why, and when. Most rows say nothing, and their texts are
/// not looked at.
fn said(
    row: &SqlRow<'_>,
    [what, reason, at]: [usize; 3],
) -> rusqlite::Result<Option<Said>> {
    let Some(at) = maybe_moment(row.get(at)?) else { return Ok(None) };
    Ok(Said::of(maybe_text(row, what)?, maybe_text(row, reason)?, Some(at)))
}

pub(crate) fn maybe_moment(micros: Option<i64>) -> Option<DateTime<Utc>> {
    micros.map(any_moment)
}

/// A payload that plain SQL wrote as text is its bytes; one that is not kept is none.
fn payload(row: &SqlRow<'_>) -> rusqlite::Result<Vec<u8>> {
    const PLACE: usize = place("payload");
    match row.get_ref(PLACE)? {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(bytes.to_vec()),
        ValueRef::Null => Ok(Vec::new()),
        other => Err(rusqlite::Error::InvalidColumnType(
            PLACE,
            "payload".to_owned(),
            other.data_type(),
        )),
    }
}

/// Whether the caller's transaction is still open. A constraint with
/// `ON CONFLICT ROLLBACK`, or a `COMMIT` by hand, ends it without a word, and what
/// followed would stand alone.
pub(crate) fn still_open(
    connection: &Connection,
    doing: &'static str,
) -> Result<(), StoreError> {
    if connection.is_autocommit() {
        let found = "the transaction has ended already, by a rollback that SQLite made or by SQL: begin a new one";
        return Err(StoreError::of(StoreErrorKind::TransactionEnded, doing, found));
    }
    Ok(())
}
