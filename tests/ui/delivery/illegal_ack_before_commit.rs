//! Acknowledging a message before its effect is committed
//@ code: E0599
//@ error: no method named `ack` found for struct `Fresh<Tx, A>` in the current scope
//@ twin: first => committed

use integration_automation_patterns::broker::Ack;
use integration_automation_patterns::inbox::{Committed, Fresh};

pub async fn answer<A: Ack>(first: Fresh<rusqlite::Transaction<'_>, A>, committed: Committed<A>) {
    let _ = first.ack().await; //@ here
}
