//! Approving past the checks
//@ code: E0451
//@ error: fields `ruling` and `is_enough` of struct `Granted` are private
//@ twin: forged => lent

mod table;

use integration_automation_patterns::workflow::{Instance, Granted, Decides, AnyRuling};
use table::order_to_cash::{Awaiting, step};
use ui::orders::Controller;

macro_rules! forged {
    ($ruling:ident) => {
        Granted { ruling: $ruling, is_enough: true }
    };
}

macro_rules! lent {
    ($($any:tt)*) => {
        unimplemented!()
    };
}

pub fn sneak(at: Instance<Awaiting<step::over_limit>>, ruling: AnyRuling) {
    let _ = &ruling;
    let granted = forged!(ruling); //@ here
    let _ = <Controller as Decides<Awaiting<step::over_limit>>>::approved(at, granted);
}
