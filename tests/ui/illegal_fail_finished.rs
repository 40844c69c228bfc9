//! Failing a finished event
//@ code: E0277
//@ error: an envelope cannot go from `processed` to `retrying`
//@ label: of legal next states it has none: `processed` is final
//@ twin: done => sent

use integration_automation_patterns::state::{Dispatched, Processed};
use integration_automation_patterns::Envelope;

pub fn settle(done: Envelope<Processed>, sent: Envelope<Dispatched>) {
    let _ = done.fail("timeout"); //@ here
}
