//! Sending a finished event again
//@ code: E0277
//@ error: an envelope cannot go from `processed` to `dispatched`
//@ label: of legal next states it has none: `processed` is final
//@ twin: done => waiting

use integration_automation_patterns::Envelope;
use integration_automation_patterns::state::{Processed, Retrying};

pub fn resend(done: Envelope<Processed>, waiting: Envelope<Retrying>) {
    let _ = done.dispatch(); //@ here
}
