//! Acknowledging an event that was never dispatched
//@ code: E0277
//@ error: an envelope cannot go from `pending` to `acknowledged`
//@ label: legal next states of `pending`: (dispatched, skipped)
//@ twin: acknowledge => dispatch

use integration_automation_patterns::state::Pending;
use integration_automation_patterns::Envelope;

pub fn handle(event: Envelope<Pending>) {
    let _ = event.acknowledge(); //@ here
}
