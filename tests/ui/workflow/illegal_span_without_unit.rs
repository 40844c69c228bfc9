//! Writing a span without its unit
//@ code: none
//@ error: the row `approval over_limit` of the workflow `job` says `within 48`: a span is a number and a unit, with a space between them, such as `48 h`
//@ twin: + h

use integration_automation_patterns::workflow;
use integration_automation_patterns::workflow::Cleared;
use job::step;
use ui::orders::{Controller, CreateOrder, ErpDesk, HeadOfFinance, Order, OrderCreated, OrderRefused, Quote, Sales};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        approval over_limit of Quote: asks Controller within 48 //@ here
            else refuse;
        pivot create_order needs over_limit: CreateOrder => OrderCreated | OrderRefused,
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
