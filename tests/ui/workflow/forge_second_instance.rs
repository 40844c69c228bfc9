//! Taking an instance twice
//@ code: E0599
//@ error: no method named `clone` found for struct `Instance<S>` in the current scope
//@ twin: clone => revision

mod table;

use integration_automation_patterns::workflow::Instance;
use table::order_to_cash::{Awaiting, step};


pub fn twice(at: Instance<Awaiting<step::create_order>>) {
    let _ = at.clone(); //@ here
}
