//! Dropping an event silently
//@ code: unused_must_use
//@ error: unused `Envelope` that must be used
//@ note: an envelope is an event that somebody waits for: take its next step, or store it as an `AnyEnvelope`
//@ twin: same => keep

#![deny(unused_must_use)]

use integration_automation_patterns::Envelope;
use integration_automation_patterns::state::{Dispatched, Pending};

fn same(event: Envelope<Dispatched>) -> Envelope<Dispatched> {
    event
}

fn keep(event: Envelope<Dispatched>) {
    drop(event);
}

pub fn relay(event: Envelope<Pending>) {
    same(event.dispatch()); //@ here
}
