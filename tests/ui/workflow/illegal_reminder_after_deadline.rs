//! Reminding people once the deadline has passed
//@ code: E0277
//@ error: `over_limit` reminds people once their time has passed
//@ label: `remind after` a shorter span than `within`
//@ twin: 3 => 1

use integration_automation_patterns::workflow;
use ui::orders::{Controller, CreateOrder, ErpDesk, Order, OrderCreated, OrderRefused, Quote, Sales};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        approval over_limit of Quote: asks Controller within 2 d remind after 3 d else refuse; //@ here
        pivot create_order: CreateOrder => OrderCreated | OrderRefused,
            within 1 h else asks ErpDesk within 4 h;
    }
}

impl job::Ask for Order {
    fn over_limit(&self) -> Quote {
        Quote { total: self.total }
    }

    fn create_order(&self) -> CreateOrder {
        CreateOrder { total: self.total }
    }
}

impl job::Undo for Order {}

impl job::Learn for Order {
    fn create_order(&mut self, _: OrderCreated) {}
}
