//! One reply for yes and for no
//@ code: E0277
//@ error: nobody can tell whether `create_order` is done or refused: its replies are one event
//@ label: the event behind `|` is another than the one before it
//@ twin: OrderCreated => OrderRefused

use integration_automation_patterns::workflow;
use ui::orders::{OrderCreated, OrderRefused, CreateOrder, Order, Sales, ErpDesk};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        pivot create_order: CreateOrder => OrderCreated
            | OrderCreated, //@ here
            within 1 h else asks ErpDesk within 4 h;
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
