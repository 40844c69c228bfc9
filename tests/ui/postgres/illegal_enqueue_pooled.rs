//! Publishing an event by a pool's client instead of its transaction
//@ code: E0277
//@ error: an event is enqueued with the business change, in an open transaction of tokio-postgres, and `Pooled` is none
//@ label: needs `&transaction`, from `let transaction = client.transaction().await?`
//@ twin: client => transaction

use std::ops::Deref;

use integration_automation_patterns::Envelope;
use integration_automation_patterns::outbox::postgres::enqueue;
use integration_automation_patterns::state::Pending;
use tokio_postgres::{Client, Transaction};

/// As pools have it.
pub struct Pooled(pub Client);

impl Deref for Pooled {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.0
    }
}

/// As deadpool has it.
pub struct Wrapped<'a>(pub Transaction<'a>);

impl<'a> Deref for Wrapped<'a> {
    type Target = Transaction<'a>;
    fn deref(&self) -> &Transaction<'a> {
        &self.0
    }
}

pub async fn publish(client: &Pooled, transaction: &Wrapped<'_>, event: Envelope<Pending>) {
    let _ = enqueue(client, event).await; //@ here
    let _ = (client, transaction);
}
