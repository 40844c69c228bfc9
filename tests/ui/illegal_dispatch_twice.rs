//! Dispatching an event twice
//@ code: E0277
//@ error: an envelope cannot go from `dispatched` to `dispatched`
//@ label: legal next states of `dispatched`: (acknowledged, processed, retrying, failed, skipped)
//@ twin: dispatch => acknowledge

use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::Envelope;

pub fn relay(sent: Envelope<Dispatched>) {
    let _ = sent.dispatch(); //@ here
}
