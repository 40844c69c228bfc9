//! Holding an envelope without saying which state it is in
//@ code: E0107
//@ error: missing generics for struct `Envelope`
//@ label: expected at least 1 generic argument
//@ note: struct defined here, with at least 1 generic parameter: `InState`
//@ twin: Envelope => AnyEnvelope

use integration_automation_patterns::{AnyEnvelope, Envelope};

pub fn store(_: AnyEnvelope) {}

pub struct Job {
    pub event: Envelope, //@ here
}
