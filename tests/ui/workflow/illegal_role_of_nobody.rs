//! Asking a role that nobody can have
//@ code: E0277
//@ error: `Nobody` is not a role that people decide in
//@ label: needs `impl Role for Nobody` with its NAME and the Key that the login keeps
//@ twin: Nobody => ErpDesk

use integration_automation_patterns::workflow;
use ui::orders::{OrderCreated, OrderRefused, CreateOrder, Order, Sales, ErpDesk};

pub enum Nobody {}

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        pivot create_order: CreateOrder => OrderCreated | OrderRefused,
            within 1 h else asks Nobody within 4 h; //@ here
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
