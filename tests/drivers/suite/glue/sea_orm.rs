//! The guide's glue for SeaORM.

use integration_automation_patterns::outbox::driver::{
    Dialect, DriverError, ForeignTransaction, Insert, Value,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement};

/// Only `begin` makes the transaction, and `commit` takes it.
pub struct Business<'t>(pub &'t DatabaseTransaction);

impl ForeignTransaction for Business<'_> {
    fn dialect(&self) -> Dialect {
        match self.0.get_database_backend() {
            DbBackend::Sqlite => Dialect::Sqlite,
            _ => Dialect::Postgres,
        }
    }

    async fn run(&mut self, insert: &Insert) -> Result<Option<String>, DriverError> {
        let values = insert.values().iter().cloned().map(|value| match value {
            Value::Text(text) => sea_orm::Value::from(text),
            Value::Bytes(bytes) => bytes.into(),
            Value::Integer(number) => number.into(),
        });
        let backend = self.0.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, insert.sql(), values);
        let row = self.0.query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get_by_index(0)).transpose()?)
    }
}
