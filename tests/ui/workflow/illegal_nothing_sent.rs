//! Not saying what any step sends
//@ code: E0277
//@ error: `Draft` does not say what is sent for each step of this workflow
//@ label: needs `impl Ask for Draft`, with a method for each step
//@ away: the error stands at the declaration
//@ twin: Draft => Order

use integration_automation_patterns::workflow;
use integration_automation_patterns::workflow::{Wire, WireError};
use ui::orders::{ErpDesk, FreeStock, HoldStock, Order, StockFreed, StockHeld, StockRefused};

pub struct Draft;

impl Wire for Draft {
    fn write(&self) -> Result<Vec<u8>, WireError> {
        Ok(Vec::new())
    }

    fn read(_: &[u8]) -> Result<Self, WireError> {
        Ok(Self)
    }
}

pub type Data = Draft; //@ here

workflow! {
    pub mod job of Data, version 1 {
        compensatable hold_stock: HoldStock => StockHeld | StockRefused,
            undone by FreeStock => StockFreed within 1 h else asks ErpDesk within 4 h,
            within 15 min else undo;
    }
}

impl job::Ask for Order {
    fn hold_stock(&self) -> HoldStock {
        HoldStock
    }
}

impl job::Undo for Data {
    fn hold_stock(&self) -> FreeStock {
        FreeStock
    }
}

impl job::Learn for Data {
    fn hold_stock(&mut self, _: StockHeld) {}
}

pub fn other(_: Order) {}
