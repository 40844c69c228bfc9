//! Settling in a role of one's own, without a proof
//@ code: E0046
//@ error: not all trait items implemented, missing: `BY_TABLE`
//@ twin: forged => lent

mod table;

use integration_automation_patterns::workflow::{MaySettle, Role};
use table::order_to_cash::{Parked, step};

pub enum Own {}

impl Role for Own {
    const NAME: &'static str = "erp desk";
    type Key = ();
}

macro_rules! forged {
    ($role:ident) => {
        impl MaySettle<Parked<step::create_order>> for $role {}
    };
}

macro_rules! lent {
    ($role:ident) => {
        pub fn settles<R: MaySettle<Parked<step::create_order>>>(_: $role, _: R) {}
    };
}

forged!(Own); //@ here
