//! Adding a step that the table does not have
//@ code: E0423
//@ error: cannot initialize a tuple struct which contains private fields
//@ twin: forged => lent

mod table;

use integration_automation_patterns::workflow::{Advance, Answers, Completed, Instance, made};
use table::order_to_cash::{Awaiting, Key, This, step};

macro_rules! forged {
    ($hurry:ident) => {
        Key(())
    };
}

macro_rules! lent {
    ($hurry:ident) => {
        $hurry.key
    };
}

pub struct Hurry {
    pub key: Key,
}

impl Answers<Awaiting<step::reserve_credit>> for Hurry {
    type Then = Advance<Completed<This>>;

    fn done(self, at: Instance<Awaiting<step::reserve_credit>>) -> Self::Then {
        let key: Key = forged!(self); //@ here
        made::go(at, made::Moved::done(), &key)
    }
}
