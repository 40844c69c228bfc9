//! Waiting for an answer no time at all
//@ code: E0277
//@ error: `create_order` leaves no time: nobody answers within 0
//@ label: each span of the row is 1 s at least
//@ twin: 0 => 4

use integration_automation_patterns::workflow;
use ui::orders::{CreateOrder, ErpDesk, Order, OrderCreated, OrderRefused};

workflow! {
    pub mod job of Order, version 1 {
        pivot create_order: CreateOrder => OrderCreated | OrderRefused, within 1 h else asks ErpDesk within 0 h; //@ here
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
