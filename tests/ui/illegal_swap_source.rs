//! Putting the payload of an event before its source system
//@ code: E0277
//@ error: an event's source system is a text, and `RawEvent` is none
//@ label: needs the name of a system, such as `"crm"`: it stands before the payload
//@ twin: lead => crm

use integration_automation_patterns::{Envelope, RawEvent};

pub fn begin(lead: RawEvent, crm: &'static str) {
    drop(Envelope::builder(lead, crm)); //@ here
}
