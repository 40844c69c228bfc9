//! Adding a step that the table does not have
//@ code: E0423
//@ error: cannot initialize a tuple struct which contains private fields
//@ twin: forged => lent

mod table;

use integration_automation_patterns::workflow::{Instance, Advance, Completed, Answers, made};
use table::order_to_cash::{Awaiting, step, This, Key};


macro_rules! forged {
    () => {
        Key(())
    };
}

macro_rules! lent {
    ($($any:tt)*) => {
        unimplemented!()
    };
}

pub struct Hurry;

impl Answers<Awaiting<step::reserve_credit>> for Hurry {
    type Then = Advance<Completed<This>>;

    fn done(self, at: Instance<Awaiting<step::reserve_credit>>) -> Self::Then {
        let key: Key = forged!(); //@ here
        made::go(at, made::Moved::done(), &key)
    }
}
