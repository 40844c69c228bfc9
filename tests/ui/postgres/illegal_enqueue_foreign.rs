//! Handing the transaction of another driver to that of tokio-postgres
//@ code: E0277
//@ error: an event is enqueued with the business change, in an open transaction of tokio-postgres, and `PgTransaction` is none
//@ label: needs `&transaction`, from `let transaction = client.transaction().await?`
//@ note: transactions of sqlx and other drivers go to `outbox::driver::enqueue`: the guide has a chapter on drivers
//@ twin: postgres => driver

use integration_automation_patterns::Envelope;
use integration_automation_patterns::outbox::driver::{Dialect, DriverError, ForeignTransaction, Insert};
use integration_automation_patterns::outbox::{driver, postgres};
use integration_automation_patterns::state::Pending;

/// As sqlx has it.
pub struct PgTransaction;

impl ForeignTransaction for PgTransaction {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn run(&mut self, _insert: &Insert) -> Result<Option<String>, DriverError> {
        Ok(None)
    }
}

pub async fn publish(transaction: &mut PgTransaction, event: Envelope<Pending>) {
    let _ = postgres::enqueue(transaction, event).await; //@ here
    #[allow(unused_imports)]
    use {driver as _, postgres as _};
}
