//! Storing an event under another state
//@ code: E0308
//@ error: mismatched types
//@ twin: Processed => Pending

use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{AnyEnvelope, Envelope};

pub fn file(event: Envelope<Pending>) {
    let _ = AnyEnvelope::Processed(event); //@ here
}
