//! The guide's glue for diesel-async.

use diesel::OptionalExtension;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use diesel_async::{
    AnsiTransactionManager, AsyncPgConnection, RunQueryDsl, TransactionManager,
};
use integration_automation_patterns::outbox::driver::{
    Dialect, DriverError, ForeignTransaction, Insert, Value,
};

/// The connection is the transaction, and so only the run time knows whether it is open.
pub struct Business<'t>(pub &'t mut AsyncPgConnection);

#[derive(diesel::QueryableByName)]
struct Answer {
    #[diesel(sql_type = Text)]
    answer: String,
}

impl ForeignTransaction for Business<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn run(&mut self, insert: &Insert) -> Result<Option<String>, DriverError> {
        let status = AnsiTransactionManager::transaction_manager_status_mut(&mut *self.0);
        if status.transaction_depth()?.is_none() {
            return Err("this connection has no open transaction: begin one".into());
        }
        let mut query = diesel::sql_query(insert.sql()).into_boxed();
        for value in insert.values().iter().cloned() {
            query = match value {
                Value::Text(text) => query.bind::<Nullable<Text>, _>(text),
                Value::Bytes(bytes) => query.bind::<Binary, _>(bytes),
                Value::Integer(number) => query.bind::<Nullable<BigInt>, _>(number),
            };
        }
        let answer = query.get_result::<Answer>(&mut *self.0).await.optional()?;
        Ok(answer.map(|row| row.answer))
    }
}
