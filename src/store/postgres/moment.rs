//! Times as they are read and written: whatever a column holds, it is a moment of the
//! calendar.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Error, Row as SqlRow};

use crate::store::error::BoxedError;

/// The moment in a column that plain SQL may have written; where it is beyond the
/// calendar, the calendar's first or last: one such row must not stop the others.
struct Moment(DateTime<Utc>);

impl FromSql<'_> for Moment {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, BoxedError> {
        // PostgreSQL counts from the year 2000. Its infinities are the first and the last
        // number.
        const MILLENNIUM: i64 = 946_684_800_000_000;
        let micros = i64::from_be_bytes(raw.try_into()?);
        let beyond =
            if micros < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
        let moment =
            micros.checked_add(MILLENNIUM).and_then(DateTime::from_timestamp_micros);
        Ok(Self(moment.filter(|_| micros != i64::MIN).unwrap_or(beyond)))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::TIMESTAMPTZ
    }
}

/// The moment in a column.
pub(crate) fn at<C: tokio_postgres::row::RowIndex + std::fmt::Display>(
    row: &SqlRow,
    column: C,
) -> Result<DateTime<Utc>, Error> {
    row.try_get::<_, Moment>(column).map(|moment| moment.0)
}

/// The moment in a column, where there is one.
pub(crate) fn maybe_at<C: tokio_postgres::row::RowIndex + std::fmt::Display>(
    row: &SqlRow,
    column: C,
) -> Result<Option<DateTime<Utc>>, Error> {
    row.try_get::<_, Option<Moment>>(column).map(|moment| moment.map(|moment| moment.0))
}

/// A span of time as the statements take it: in microseconds, and no longer than a
/// century, which PostgreSQL can add.
pub(crate) fn micros(span: Duration) -> i64 {
    const CENTURY: i64 = 100 * 365 * 24 * 60 * 60 * 1_000_000;
    i64::try_from(span.as_micros()).unwrap_or(CENTURY).min(CENTURY)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_a_moment() {
        let read = |micros: i64| {
            Moment::from_sql(&Type::TIMESTAMPTZ, &micros.to_be_bytes()).unwrap().0
        };
        assert_eq!(read(0).to_rfc3339(), "2000-01-01T00:00:00+00:00");
        assert_eq!(read(-1).to_rfc3339(), "1999-12-31T23:59:59.999999+00:00");
        for micros in [i64::MAX, i64::MAX - 1, 9_000_000_000_000_000_000] {
            assert_eq!(read(micros), DateTime::<Utc>::MAX_UTC);
        }
        assert_eq!(read(i64::MIN), DateTime::<Utc>::MIN_UTC);
    }
}
