//! Sending a command without the state it follows from
//@ code: E0616
//@ error: field `any` of struct `Advance` is private
//@ twin: any => commands()

mod table;

use integration_automation_patterns::workflow::Advance;
use table::order_to_cash::{Awaiting, step};


pub fn send(advance: Advance<Awaiting<step::hold_stock>>) -> usize {
    let _ = advance.any; //@ here
    0
}
