//! Approving past the checks
//@ code: E0451
//@ error: fields `ruling`, `is_enough` and `at` of struct `Granted` are private
//@ twin: forged => lent

mod table;

use integration_automation_patterns::workflow::{AnyRuling, Decides, Granted, Instance};
use table::order_to_cash::{Awaiting, step};
use ui::orders::Controller;

macro_rules! forged {
    ($ruling:ident $granted:ident) => {
        Granted { ruling: $ruling, is_enough: true, at: std::marker::PhantomData }
    };
}

macro_rules! lent {
    ($ruling:ident $granted:ident) => {
        $granted
    };
}

pub fn sneak(
    at: Instance<Awaiting<step::over_limit>>,
    ruling: AnyRuling,
    granted: Granted<Awaiting<step::over_limit>>,
) {
    let _ = (&ruling, &granted);
    let granted = forged!(ruling granted); //@ here
    let _ = <Controller as Decides<Awaiting<step::over_limit>>>::approved(at, granted);
}
