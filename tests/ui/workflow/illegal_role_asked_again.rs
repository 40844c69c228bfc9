//! Asking a role a second time in one chain
//@ code: E0277
//@ error: `create_order` asks one role twice
//@ label: `then` asks another role, and `remind after` asks the same one again
//@ twin: ErpDesk => CreditDesk

use integration_automation_patterns::workflow;
use job::{Any, Ask as _, This, at, start, step};
use ui::orders::{CreateOrder, CreditDesk, ErpDesk, Order, OrderCreated, OrderRefused};

workflow! {
    pub mod job of Order, version 1 {
        pivot create_order: CreateOrder => OrderCreated | OrderRefused, within 1 h else
            asks ErpDesk within 4 h //@ here
            then ErpDesk within 2 d;
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

pub fn other(_: CreditDesk) {}
