//! Sending a payload that does not say which event it is
//@ code: E0277
//@ error: an envelope cannot carry `Lead`: it does not say which event it is
//@ label: needs `impl Event for Lead` with its TYPE, or to be carried as `RawEvent` bytes
//@ twin: Lead => LeadCreated

use integration_automation_patterns::{Envelope, Event};

pub struct Lead;

pub struct LeadCreated;

impl Event for LeadCreated {
    const TYPE: &'static str ="crm.lead.created";
}

pub fn send() {
    let _ = Envelope::builder("crm", Lead).build(); //@ here
}
