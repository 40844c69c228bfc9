//! Processing an event that was never dispatched
//@ code: E0277
//@ error: an envelope cannot go from `pending` to `processed`
//@ label: legal next states of `pending`: (dispatched, skipped)
//@ twin: process => dispatch

use integration_automation_patterns::state::Pending;
use integration_automation_patterns::Envelope;

pub fn handle(event: Envelope<Pending>) {
    let _ = event.process(); //@ here
}
