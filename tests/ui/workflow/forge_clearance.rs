//! Making up an approval
//@ code: E0451
//@ error: fields `shown` and `clearance` of struct `Cleared` are private
//@ twin: forged => lent

mod table;

use integration_automation_patterns::workflow::{Clearance, Cleared};
use table::order_to_cash::{Ask, step};
use ui::orders::{CreateOrder, Order, Quote};

macro_rules! forged {
    ($quote:ident $clearance:ident $cleared:ident) => {
        &Cleared { shown: $quote, clearance: $clearance }
    };
}

macro_rules! lent {
    ($quote:ident $clearance:ident $cleared:ident) => {
        $cleared
    };
}

pub fn order_now(
    order: &Order,
    quote: Quote,
    clearance: Clearance,
    cleared: &Cleared<step::over_limit>,
) -> CreateOrder {
    let _ = (&quote, &clearance, cleared);
    let cleared: &Cleared<step::over_limit> = forged!(quote clearance cleared); //@ here
    Ask::create_order(order, cleared)
}
