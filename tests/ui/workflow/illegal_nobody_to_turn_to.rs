//! A deadline with nobody to turn to
//@ code: none
//@ error: the step `create_order` of the workflow `job` has a deadline, and nobody to turn to when it passes: write `within 1 h else asks Role within 4 h`
//@ twin: + else asks ErpDesk within 4 h

use integration_automation_patterns::workflow;
use ui::orders::{OrderCreated, OrderRefused, CreateOrder, Order, Sales, ErpDesk};
use job::{Any, Ask as _, This, at, start, step};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        pivot create_order: CreateOrder => OrderCreated | OrderRefused, within 1 h //@ here
            ;
    }
}

impl job::Ask for Order {
    fn create_order(&self) -> CreateOrder {
        CreateOrder { total: self.total }
    }
}

impl job::Undo for Order {}

impl job::Learn for Order {
    fn create_order(&mut self, _: OrderCreated) {}
}
