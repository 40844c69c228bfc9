//! Getting an envelope from a default
//@ code: E0277
//@ error: the trait bound `Envelope<pending>: Default` is not satisfied
//@ twin: event => policy

use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Envelope, RetryPolicy};

pub fn make(mut event: Envelope<Pending>, mut policy: RetryPolicy) {
    event = Default::default(); //@ here
}
