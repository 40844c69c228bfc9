//! Sending a guarded command without its approval
//@ code: E0308
//@ error: mismatched types
//@ twin: quote => cleared

mod table;

use integration_automation_patterns::workflow::Cleared;
use table::order_to_cash::{step, Ask};
use ui::orders::{CreateOrder, Order, Quote};

pub fn order_now(
    order: &Order,
    quote: &Quote,
    cleared: &Cleared<step::over_limit>,
) -> CreateOrder {
    let _ = (quote, cleared);
    Ask::create_order(order, quote) //@ here
}
