//! Turning a stored record into an envelope without checks
//@ code: E0277
//@ error: the trait bound `AnyEnvelope: From<Record>` is not satisfied
//@ twin: record => sent

use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::{AnyEnvelope, Envelope, RawEvent, Record};

pub fn load(record: Record, sent: Envelope<Dispatched>) {
    let _ = AnyEnvelope::<RawEvent>::from(record); //@ here
}
