//! Approving what one has asked for: one role asks and decides
//@ code: E0277
//@ error: the role that asks for `over_limit` decides on it
//@ label: four eyes need two roles: ask another one than `requested by` names
//@ twin: Sales => HeadOfFinance

use integration_automation_patterns::workflow;
use ui::orders::{OrderCreated, OrderRefused, CreateOrder, Order, Quote, Sales, Controller, HeadOfFinance, ErpDesk};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        approval over_limit of Quote:
            asks Controller within 24 h then Sales within 24 h else refuse; //@ here
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
