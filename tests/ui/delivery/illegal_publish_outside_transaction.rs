//! Publishing an event outside the business transaction
//@ code: E0277
//@ error: an event is enqueued with the business change, in an open transaction, and `Connection` is none
//@ label: needs `&transaction`, from `let transaction = connection.transaction()?`
//@ twin: connection => transaction

use integration_automation_patterns::Envelope;
use integration_automation_patterns::outbox::sqlite::enqueue;
use integration_automation_patterns::state::Pending;
use rusqlite::{Connection, Transaction};

pub fn publish(connection: &Connection, transaction: &Transaction<'_>, event: Envelope<Pending>) {
    let _ = enqueue(connection, event); //@ here
    let _ = (connection, transaction);
}
