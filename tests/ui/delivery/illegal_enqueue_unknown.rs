//! Enqueuing by a driver whose transaction the outbox does not know
//@ code: E0277
//@ error: `PgConnection` is not known as an open transaction of another driver
//@ label: wrap it in a type of yours that has `ForeignTransaction` (the guide: drivers)
//@ note: transactions of tokio-postgres and rusqlite go to `outbox::postgres::enqueue` and `outbox::sqlite::enqueue`
//@ twin: connection => business

use integration_automation_patterns::Envelope;
use integration_automation_patterns::outbox::driver::{Dialect, DriverError, ForeignTransaction, Insert, enqueue};
use integration_automation_patterns::state::Pending;

pub struct PgConnection;

pub struct Business<'t>(pub &'t mut PgConnection);

impl ForeignTransaction for Business<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn run(&mut self, _insert: &Insert) -> Result<Option<String>, DriverError> {
        Ok(None)
    }
}

pub async fn publish(
    connection: &mut PgConnection,
    business: &mut Business<'_>,
    event: Envelope<Pending>,
) {
    let _ = enqueue(connection, event).await; //@ here
}
