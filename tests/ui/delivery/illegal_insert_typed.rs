//! Making the statement of a typed event that is not encoded
//@ code: E0277
//@ error: an outbox stores bytes, and `LeadCreated` is a typed payload
//@ label: encode it first: `event.encode(serde_json::to_vec)?`
//@ twin: typed => encoded

use integration_automation_patterns::outbox::driver::{Dialect, Insert};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Envelope, Event};

pub struct LeadCreated;

impl Event for LeadCreated {
    const TYPE: &'static str = "crm.lead.created";
}

pub fn publish(
    typed: &Envelope<Pending, LeadCreated>,
    encoded: &Envelope<Pending>,
) {
    let _ = (typed, encoded);
    let _ = Insert::new(Dialect::Sqlite, typed); //@ here
}
