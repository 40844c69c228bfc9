//! `ForeignTransaction` for the PostgreSQL transactions of sqlx.

use sqlx::{Postgres, Transaction};

use super::{Dialect, DriverError, ForeignTransaction, Insert, Value};

/// Only `begin` makes one, and `commit` takes it.
#[cfg_attr(docsrs, doc(cfg(feature = "sqlx")))]
impl ForeignTransaction for Transaction<'_, Postgres> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn run(&mut self, insert: &Insert) -> Result<Option<String>, DriverError> {
        let mut query = sqlx::query_scalar(insert.sql());
        for value in insert.values() {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Bytes(bytes) => query.bind(bytes),
                Value::Integer(number) => query.bind(number),
            };
        }
        Ok(query.fetch_optional(&mut **self).await?)
    }
}
