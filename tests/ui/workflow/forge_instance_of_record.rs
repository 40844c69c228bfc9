//! Making an instance of a record that nobody checked
//@ code: E0277
//@ error: the trait bound `order_to_cash::Any: From<InstanceRecord>` is not satisfied
//@ twin: record => over

mod table;

use integration_automation_patterns::workflow::{Instance, Completed, InstanceRecord};
use table::order_to_cash::{This, Any};


pub fn load(record: InstanceRecord, over: Instance<Completed<This>>) -> Any {
    let _ = (&record, &over);
    record.into() //@ here
}
