//! Dispatching an event before its envelope is built
//@ code: E0277
//@ error: an event has no lifecycle before its envelope is built
//@ label: call `.build()?` before this
//@ twin: draft => event

use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Envelope, EnvelopeBuilder, RawEvent};

pub fn send(draft: EnvelopeBuilder<RawEvent>, event: Envelope<Pending>) {
    drop(draft.dispatch()); //@ here
}
