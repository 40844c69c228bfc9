//! A quorum of nobody
//@ code: E0277
//@ error: `over_limit` asks 0 people
//@ label: a level asks `N of Role`, and N is 1 at least
//@ twin: 0 => 2

use integration_automation_patterns::workflow;
use ui::orders::{OrderCreated, OrderRefused, CreateOrder, Order, Quote, Sales, Controller, ErpDesk};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        approval over_limit of Quote: asks 0 of Controller within 24 h else refuse; //@ here
        pivot create_order: CreateOrder => OrderCreated | OrderRefused, within 1 h else asks ErpDesk within 4 h;
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
