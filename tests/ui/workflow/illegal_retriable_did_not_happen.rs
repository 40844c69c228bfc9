//! Going back from behind the pivot
//@ code: E0277
//@ error: an instance that is `order_to_cash::Parked<notify_billing>` cannot go back: its step is retriable, and will be done
//@ label: behind the pivot a person says `happened`, `ask_again` or `give_up`
//@ twin: did_not_happen => give_up

mod table;

use integration_automation_patterns::workflow::{Instance, Ruling};
use table::order_to_cash::{Parked, step};
use ui::orders::BillingDesk;

pub fn back(at: Instance<Parked<step::notify_billing>>, ruling: Ruling<BillingDesk>) {
    let _ = at.settle(ruling).did_not_happen(); //@ here
}
