//! Dispatching a failed event without asking whether it may be retried
//@ code: E0277
//@ error: a failed event is retried, or a dead letter: what comes next depends on which
//@ label: `match` on it first: dispatch `Retrying(event)`, store `Failed(dead)` for a person
//@ twin: failed => retrying

use integration_automation_patterns::state::Retrying;
use integration_automation_patterns::{AfterFailure, Envelope};

pub fn send(failed: AfterFailure, retrying: Envelope<Retrying>) {
    drop(failed.dispatch()); //@ here
}
