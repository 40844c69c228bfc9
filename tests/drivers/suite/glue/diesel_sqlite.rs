//! The guide's glue for blocking Diesel on SQLite.

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use integration_automation_patterns::Envelope;
use integration_automation_patterns::outbox::Enqueued;
use integration_automation_patterns::outbox::driver::{
    Dialect, DriverError, Insert, Value,
};
use integration_automation_patterns::state::Pending;

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Text)]
    answer: String,
}

pub fn enqueue(
    connection: &mut SqliteConnection,
    event: &Envelope<Pending>,
) -> Result<Enqueued, DriverError> {
    let status = AnsiTransactionManager::transaction_manager_status_mut(connection);
    if status.transaction_depth()?.is_none() {
        return Err("this connection has no open transaction: begin one".into());
    }
    let insert = Insert::new(Dialect::Sqlite, event);
    let mut query = diesel::sql_query(insert.sql()).into_boxed();
    for value in insert.values().iter().cloned() {
        query = match value {
            Value::Text(text) => query.bind::<Nullable<Text>, _>(text),
            Value::Bytes(bytes) => query.bind::<Binary, _>(bytes),
            Value::Integer(number) => query.bind::<Nullable<BigInt>, _>(number),
        };
    }
    let answer = query.get_result::<Answer>(connection).optional()?;
    Ok(insert.answered(answer.map(|row| row.answer).as_deref())?)
}
