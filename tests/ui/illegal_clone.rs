//! Copying an event
//@ code: E0599
//@ error: no method named `clone` found for struct `Envelope<pending>` in the current scope
//@ twin: event => record

use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Envelope, Record};

pub fn copy(event: Envelope<Pending>, record: Record) {
    let _ = event.clone(); //@ here
}
