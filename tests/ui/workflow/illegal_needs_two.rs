//! Binding a pivot to two approvals
//@ code: none
//@ error: the pivot `create_order` of the workflow `job` needs more than one approval: write `needs` with the one that shows what is sent; the others are decided before it all the same
//@ twin: -

use integration_automation_patterns::workflow;
use integration_automation_patterns::workflow::Cleared;
use job::step;
use ui::orders::{Controller, CreateOrder, ErpDesk, HeadOfFinance, Order, OrderCreated, OrderRefused, Quote, Sales};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        approval over_limit of Quote: asks Controller within 24 h else refuse;
        pivot create_order needs over_limit
            , by_finance //@ here
            : CreateOrder => OrderCreated | OrderRefused,
            within 1 h else asks ErpDesk within 4 h;
    }
}

impl job::Ask for Order {
    fn over_limit(&self) -> Quote {
        Quote { total: self.total }
    }
    fn create_order(&self, cleared: &Cleared<step::over_limit>) -> CreateOrder {
        CreateOrder { total: cleared.shown().total }
    }
}

impl job::Undo for Order {}

impl job::Learn for Order {
    fn create_order(&mut self, _: OrderCreated) {}
}
