//! Having a relay claim events from a connection
//@ code: E0277
//@ error: a relay cannot claim events from `Connection`
//@ label: needs an outbox: `outbox::sqlite::Outbox::open(..)`, `outbox::postgres::Outbox::connect(..)`
//@ twin: connection => outbox

use integration_automation_patterns::broker::in_process;
use integration_automation_patterns::outbox::sqlite::Outbox;
use integration_automation_patterns::relay::Relay;
use rusqlite::Connection;

pub fn relay(connection: Connection, outbox: Outbox) {
    let (broker, _) = in_process(16);
    let _ = Relay::new("relay", connection, broker, Default::default()); //@ here
}
