//! Acknowledging a message before its effect is committed
//@ code: E0277
//@ error: a message is acked only once what became of its event is committed
//@ label: ack what `commit`, or `process` of an inbox, returns
//@ twin: first => committed

use integration_automation_patterns::broker::Ack;
use integration_automation_patterns::inbox::{Committed, Fresh};

pub async fn answer<A: Ack>(first: Fresh<rusqlite::Transaction<'_>, A>, committed: Committed<A>) {
    let _ = first.ack().await; //@ here
}
