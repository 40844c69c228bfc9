//! Handling a payload that does not say which event it is
//@ code: E0277
//@ error: `Lead` does not say which event it is
//@ label: needs `impl Event for Lead` with its TYPE; `.otherwise(..)` takes every event
//@ twin: Lead => LeadCreated

use integration_automation_patterns::Event;
use integration_automation_patterns::broker::Listener;
use integration_automation_patterns::inbox::InboxConfig;
use integration_automation_patterns::inbox::sqlite::{Worker, handlers};

pub struct Lead;

pub struct LeadCreated;

impl Event for LeadCreated {
    const TYPE: &'static str = "crm.lead.created";
}

pub async fn handle(inbox: InboxConfig, listener: Listener) {
    let named = handlers().on::<Lead>(); //@ here
    let handlers = named.decode(|_| Err("no text")).effect(|_, _| Ok(()));
    let worker = Worker::open("erp.db", inbox, listener, handlers, Default::default());
    let _ = worker.unwrap().run(async {}).await;
}
