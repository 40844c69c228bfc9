//! Writing a number of people as a word
//@ code: none
//@ error: the row `approval over_limit` of the workflow `job` asks `two of Controller`: how many people is a number, such as `2 of Controller`
//@ twin: two => 2

use integration_automation_patterns::workflow;
use integration_automation_patterns::workflow::Cleared;
use job::step;
use ui::orders::{Controller, CreateOrder, ErpDesk, HeadOfFinance, Order, OrderCreated, OrderRefused, Quote, Sales};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        approval over_limit of Quote: asks two of Controller within 24 h else refuse; //@ here
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
