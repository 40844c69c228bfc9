//! Failing an attempt that was never made
//@ code: E0277
//@ error: an envelope cannot go from `pending` to `retrying`
//@ label: legal next states of `pending`: (dispatched, skipped)
//@ twin: fail => skip

use integration_automation_patterns::state::Pending;
use integration_automation_patterns::Envelope;

pub fn relay(event: Envelope<Pending>) {
    let _ = event.fail("timeout"); //@ here
}
