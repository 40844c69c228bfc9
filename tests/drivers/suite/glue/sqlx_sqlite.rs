//! The guide's glue for sqlx on SQLite.

use integration_automation_patterns::outbox::driver::{
    Dialect, DriverError, ForeignTransaction, Insert, Value,
};
use sqlx::{Sqlite, Transaction};

/// Only `begin` makes the transaction, and `commit` takes it.
pub struct Business<'t, 'c>(pub &'t mut Transaction<'c, Sqlite>);

impl ForeignTransaction for Business<'_, '_> {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
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
        Ok(query.fetch_optional(&mut **self.0).await?)
    }
}
