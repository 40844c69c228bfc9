//! Sending a payload that does not say which event it is, to its end
//@ code: E0277
//@ error: an envelope cannot carry `Lead`: it does not say which event it is
//@ label: needs `impl Event for Lead` with its TYPE, or to be carried as `RawEvent` bytes
//@ also: the method `dispatch` exists for struct `Envelope<pending, Lead>`, but its trait bounds were not satisfied
//@ twin: Lead => LeadCreated

use integration_automation_patterns::{Envelope, Event};

pub struct Lead;

pub struct LeadCreated;

impl Event for LeadCreated {
    const TYPE: &'static str = "crm.lead.created";
}

pub fn send() {
    let event = Envelope::builder("crm", Lead).tag("from", "fair").build().unwrap(); //@ here
    let done = event.dispatch().acknowledge().process();
    println!("{}", done.audit_line());
}
