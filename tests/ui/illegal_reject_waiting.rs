//! Rejecting an event that waits for its retry
//@ code: E0277
//@ error: an envelope cannot go from `retrying` to `failed`
//@ label: legal next states of `retrying`: (dispatched, skipped)
//@ twin: reject => skip

use integration_automation_patterns::state::Retrying;
use integration_automation_patterns::Envelope;

pub fn sweep(waiting: Envelope<Retrying>) {
    let _ = waiting.reject("no such account"); //@ here
}
