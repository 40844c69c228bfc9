//! Making up an approval
//@ code: E0451
//@ error: fields `shown` and `clearance` of struct `Cleared` are private
//@ twin: forged => lent

mod table;

use integration_automation_patterns::workflow::{Cleared, Clearance};
use table::order_to_cash::{step, Ask};
use ui::orders::{CreateOrder, Order, Quote};

macro_rules! forged {
    ($quote:ident $clearance:ident) => {
        Cleared { shown: $quote, clearance: $clearance }
    };
}

macro_rules! lent {
    ($($any:tt)*) => {
        unimplemented!()
    };
}

pub fn order_now(order: &Order, quote: Quote, clearance: Clearance) -> CreateOrder {
    let _ = (&quote, &clearance);
    let cleared: Cleared<step::over_limit> = forged!(quote clearance); //@ here
    Ask::create_order(order, &cleared)
}
