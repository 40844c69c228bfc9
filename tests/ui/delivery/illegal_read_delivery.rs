//! Reading the event of a delivery before anybody knows that it is new
//@ code: E0277
//@ error: a delivery hands its event out only once an inbox knows that it is new
//@ label: let a `Worker`, or `process` of an inbox, run a handler
//@ twin: delivery => event

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::{Facts, RawEvent};

pub fn read<A>(delivery: &Delivery<A>, event: &Facts<RawEvent>) {
    let _ = delivery.payload(); //@ here
}
