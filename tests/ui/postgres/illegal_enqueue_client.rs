//! Publishing an event outside the business transaction of PostgreSQL
//@ code: E0277
//@ error: an event is enqueued with the business change, in an open transaction of tokio-postgres, and `Client` is none
//@ label: needs `&transaction`, from `let transaction = client.transaction().await?`
//@ twin: client => transaction

use integration_automation_patterns::Envelope;
use integration_automation_patterns::outbox::postgres::enqueue;
use integration_automation_patterns::state::Pending;
use tokio_postgres::{Client, Transaction};

pub async fn publish(client: &Client, transaction: &Transaction<'_>, event: Envelope<Pending>) {
    let _ = enqueue(client, event).await; //@ here
    let _ = (client, transaction);
}
