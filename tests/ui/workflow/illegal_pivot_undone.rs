//! Undoing a pivot
//@ code: none
//@ error: the pivot `create_order` of the workflow `job` is not undone: leave `undone by` out, or make it compensatable, before the pivot
//@ twin: -

use integration_automation_patterns::workflow;
use job::{Any, Ask as _, This, at, start, step};
use ui::orders::{CreateOrder, ErpDesk, FreeStock, Order, OrderCreated, OrderRefused, StockFreed};

pub fn other(_: FreeStock, _: StockFreed) {}

workflow! {
    pub mod job of Order, version 1 {
        pivot create_order: CreateOrder => OrderCreated | OrderRefused,
            undone by FreeStock => StockFreed within 1 h else asks ErpDesk within 4 h, //@ here
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
