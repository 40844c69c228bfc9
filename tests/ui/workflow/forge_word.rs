//! Settling by the verb behind the verb, in a role that nobody compared
//@ code: E0308
//@ error: mismatched types
//@ twin: ruling => granted

mod table;

use integration_automation_patterns::workflow::{AnyRuling, Granted, Instance, Undecided};
use table::order_to_cash::{Parked, step};

pub fn sneak(
    at: Instance<Parked<step::create_order>>,
    ruling: AnyRuling,
    granted: Granted<Parked<step::create_order>>,
) {
    let _ = (&ruling, &granted);
    let _ = <Parked<step::create_order> as Undecided<_>>::did_not_happen(at, ruling, true); //@ here
}
