//! Enqueuing many typed events that are not encoded
//@ code: E0277
//@ error: an outbox stores bytes, and `LeadCreated` is a typed payload
//@ label: encode it first: `event.encode(serde_json::to_vec)?`
//@ twin: typed => encoded

use integration_automation_patterns::outbox::postgres::enqueue_all;
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Envelope, Event};
use tokio_postgres::Transaction;

pub struct LeadCreated;

impl Event for LeadCreated {
    const TYPE: &'static str = "crm.lead.created";
}

pub async fn publish(
    transaction: &Transaction<'_>,
    typed: Vec<Envelope<Pending, LeadCreated>>,
    encoded: Vec<Envelope<Pending>>,
) {
    let _ = enqueue_all(transaction, typed).await; //@ here
}
