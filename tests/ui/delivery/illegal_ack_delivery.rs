//! Acknowledging a message that nobody has handled
//@ code: E0277
//@ error: a message is acked only once what became of its event is committed
//@ label: ack what `commit`, or `process` of an inbox, returns
//@ twin: delivery => committed

use integration_automation_patterns::broker::{Ack, Delivery};
use integration_automation_patterns::inbox::Committed;

pub async fn answer<A: Ack>(delivery: Delivery<A>, committed: Committed<A>) {
    let _ = delivery.ack().await; //@ here
}
