//! Enqueuing an event that was sent already
//@ code: E0308
//@ error: mismatched types
//@ twin: sent => event

use integration_automation_patterns::Envelope;
use integration_automation_patterns::outbox::sqlite::enqueue;
use integration_automation_patterns::state::{Dispatched, Pending};
use rusqlite::Transaction;

pub fn publish(transaction: &Transaction<'_>, event: Envelope<Pending>, sent: Envelope<Dispatched>) {
    let _ = enqueue(transaction, sent); //@ here
}
