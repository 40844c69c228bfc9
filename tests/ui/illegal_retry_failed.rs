//! Retrying a dead letter without a person's decision
//@ code: E0277
//@ error: an envelope cannot go from `failed` to `dispatched`
//@ label: only a person decides on `failed`: (pending, skipped)
//@ twin: dead => retrying

use integration_automation_patterns::state::{Failed, Retrying};
use integration_automation_patterns::Envelope;

pub fn relay(dead: Envelope<Failed>, retrying: Envelope<Retrying>) {
    let _ = dead.dispatch(); //@ here
}
