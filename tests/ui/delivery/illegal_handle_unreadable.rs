//! Handling an event whose payload nobody can read
//@ code: E0277
//@ error: a worker cannot read the payload of `LeadCreated`
//@ label: needs `serde::Deserialize` and the feature `serde`, or `.decode(..)` after `.on` and `.or`
//@ twin: unread => decoded

use integration_automation_patterns::Event;
use integration_automation_patterns::inbox::HandlerError;
use integration_automation_patterns::inbox::sqlite::handlers;
use integration_automation_patterns::inbox::worker::Received;

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

pub fn handle() {
    let unread = handlers().on::<LeadCreated>();
    let decoded = handlers().on::<LeadCreated>().decode(decode);
    let _ = (&unread, &decoded);
    let _ = unread.effect(open_customer); //@ here
}
