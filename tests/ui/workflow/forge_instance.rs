//! Making an instance of another one's parts
//@ code: E0616
//@ error: field `facts` of struct `Instance` is private
//@ twin: forged => lent

mod table;

use integration_automation_patterns::workflow::Instance;
use table::order_to_cash::{Awaiting, step};

macro_rules! forged {
    ($at:ident $later:ident) => {
        Instance { facts: $at.facts, stage: std::marker::PhantomData }
    };
}

macro_rules! lent {
    ($at:ident $later:ident) => {
        $later
    };
}

pub fn make(
    at: Instance<Awaiting<step::reserve_credit>>,
    later: Instance<Awaiting<step::create_order>>,
) -> Instance<Awaiting<step::create_order>> {
    let _ = (&at, &later);
    forged!(at later) //@ here
}
