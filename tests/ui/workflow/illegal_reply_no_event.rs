//! Awaiting a reply that is no event
//@ code: E0277
//@ error: `Created` does not say which event it is
//@ label: needs `impl Event for Created` with its TYPE, or to be carried as `RawEvent` bytes
//@ away: the error stands at the declaration
//@ twin: Created => OrderCreated

use integration_automation_patterns::workflow;
use integration_automation_patterns::workflow::{Wire, WireError};
use ui::orders::{CreateOrder, ErpDesk, Order, OrderCreated, OrderRefused};

pub struct Created;

impl Wire for Created {
    fn write(&self) -> Result<Vec<u8>, WireError> {
        Ok(Vec::new())
    }

    fn read(_: &[u8]) -> Result<Self, WireError> {
        Ok(Self)
    }
}

pub type Reply = Created; //@ here

workflow! {
    pub mod job of Order, version 1 {
        pivot create_order: CreateOrder => Reply | OrderRefused,
            within 1 h else forestall within 10 min, then asks ErpDesk within 4 h;
    }
}

impl job::Ask for Order {
    fn create_order(&self) -> CreateOrder {
        CreateOrder { total: self.total }
    }
}

impl job::Undo for Order {}

impl job::Learn for Order {
    fn create_order(&mut self, _: Reply) {}
}

pub fn other(_: OrderCreated) {}
