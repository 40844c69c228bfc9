//! Taking two steps from one stage
//@ code: E0382
//@ error: use of moved value: `at`
//@ twin: at => other

mod table;

use integration_automation_patterns::workflow::{Instance, Advance};
use table::order_to_cash::{Awaiting, Undoing, step};
use ui::orders::CreditReserved;

pub fn twice(
    at: Instance<Awaiting<step::reserve_credit>>,
    other: Instance<Awaiting<step::reserve_credit>>,
) -> (Advance<Awaiting<step::hold_stock>>, Advance<Undoing<step::reserve_credit>>) {
    let _ = &other;
    let on = at.done(CreditReserved);
    (on, at.timed_out()) //@ here
}
