//! Asking for approval on a condition of something else
//@ code: E0308
//@ error: mismatched types
//@ away: the error stands at the declaration
//@ twin: of_quote => of_order

use integration_automation_patterns::workflow;
use ui::orders::{Controller, Order, Quote, Sales};

pub fn of_order(order: &Order) -> bool {
    order.is_over_limit()
}

pub fn of_quote(quote: &Quote) -> bool {
    quote.total > 10_000
}

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        approval over_limit of Quote when of_quote: //@ here
            asks Controller within 24 h else refuse;
    }
}

impl job::Ask for Order {
    fn over_limit(&self) -> Quote {
        Quote { total: self.total }
    }
}

impl job::Undo for Order {}

impl job::Learn for Order {}
