//! Reading a payload under another schema version
//@ code: E0308
//@ error: mismatched types
//@ twin: old => new

use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::{Envelope, Event};

pub struct StudentV1;

impl Event for StudentV1 {
    const TYPE: &'static str = "enrollment.student.updated";
    const SCHEMA_VERSION: &'static str = "1.0";
}

pub struct StudentV2;

impl Event for StudentV2 {
    const TYPE: &'static str = "enrollment.student.updated";
    const SCHEMA_VERSION: &'static str = "2.0";
}

fn enrol(student: Envelope<Dispatched, StudentV2>) {
    let _ = student.process();
}

pub fn handle(old: Envelope<Dispatched, StudentV1>, new: Envelope<Dispatched, StudentV2>) {
    enrol(old); //@ here
}
