//! Taking a step and not storing it
//@ code: unused_must_use
//@ error: unused `Advance` that must be used
//@ twin: taken => stored

#![deny(unused_must_use)]

mod table;

use integration_automation_patterns::workflow::Instance;
use table::order_to_cash::{Awaiting, step};
use ui::orders::CreditReserved;

pub fn lost(at: Instance<Awaiting<step::reserve_credit>>) {
    taken(at.done(CreditReserved)); //@ here
}

fn taken<T>(advance: T) -> T {
    advance
}

fn stored<T>(_: T) {}
