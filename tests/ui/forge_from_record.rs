//! A stored record becomes an envelope unchecked
//@ code: E0277
//@ error: the trait bound `AnyEnvelope: From<Record>` is not satisfied
//@ twin: from => rehydrate

use integration_automation_patterns::{AnyEnvelope, Record, Untyped};

pub fn load(record: Record) {
    let _ = AnyEnvelope::<Untyped>::from(record); //@ here
}
