//! Ignoring what follows from a failed attempt
//@ code: unused_must_use
//@ error: unused `AfterFailure` that must be used
//@ note: a failed attempt is either retried or a dead letter: match on both, or store it as an `AnyEnvelope`
//@ twin: forget => store

#![deny(unused_must_use)]

use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::{AfterFailure, AnyEnvelope, Envelope};

fn forget(after: AfterFailure) -> AfterFailure {
    after
}

fn store(after: AfterFailure) {
    let _: AnyEnvelope = after.into();
}

pub fn relay(sent: Envelope<Dispatched>) {
    forget(sent.fail("timeout")); //@ here
}
