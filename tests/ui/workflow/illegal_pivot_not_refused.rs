//! A pivot that cannot be refused
//@ code: none
//@ error: the pivot `create_order` of the workflow `job` cannot be refused: write `OrderCreated | Refused`, or make it retriable, behind the pivot
//@ twin: + | OrderRefused

use integration_automation_patterns::workflow;
use job::{Any, Ask as _, This, at, start, step};
use ui::orders::{CreateOrder, ErpDesk, Order, OrderCreated, OrderRefused};

pub fn other(_: OrderRefused) {}

workflow! {
    pub mod job of Order, version 1 {
        pivot create_order: CreateOrder => OrderCreated //@ here
            , within 1 h else asks ErpDesk within 4 h;
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
