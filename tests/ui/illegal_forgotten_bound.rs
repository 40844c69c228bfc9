//! Taking a step in generic code without its bound
//@ code: E0277
//@ error: an envelope cannot go from `S` to `processed`
//@ twin: process => dispatch

use integration_automation_patterns::Envelope;
use integration_automation_patterns::state::{Dispatched, State, Step};

pub fn resend<S: State + Step<Dispatched>>(event: Envelope<S>) {
    let _ = event.process(); //@ here
}
