//! Handling an event whose payload nobody can read
//@ code: E0277
//@ error: a worker cannot read the payload of `LeadCreated`
//@ label: needs `serde::Deserialize` and the feature `serde`, or `.decode(..)` after `.on` and `.or`
//@ twin: unread => decoded

use integration_automation_patterns::Event;
use integration_automation_patterns::broker::Listener;
use integration_automation_patterns::inbox::sqlite::{Worker, handlers};
use integration_automation_patterns::inbox::worker::Received;
use integration_automation_patterns::inbox::{HandlerError, InboxConfig};

pub struct LeadCreated;

impl Event for LeadCreated {
    const TYPE: &'static str = "crm.lead.created";
}

fn decode(_: &[u8]) -> Result<LeadCreated, std::fmt::Error> {
    Ok(LeadCreated)
}

fn open_customer(
    _: &rusqlite::Transaction<'_>,
    _: Received<'_, LeadCreated>,
) -> Result<(), HandlerError> {
    Ok(())
}

pub async fn handle(inbox: InboxConfig, listener: Listener) {
    let unread = handlers().on::<LeadCreated>();
    let decoded = handlers().on::<LeadCreated>().decode(decode);
    let _ = (&unread, &decoded);
    let handlers = unread.effect(open_customer); //@ here
    let worker = Worker::open("erp.db", inbox, listener, handlers, Default::default());
    let _ = worker.unwrap().run(async {}).await;
}
