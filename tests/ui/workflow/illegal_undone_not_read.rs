//! Awaiting the reply to an undo that nobody can read
//@ code: E0277
//@ error: `Freed` cannot be stored or sent by a workflow
//@ label: needs `impl Wire for Freed`, with how it is written to bytes and read back
//@ away: the error stands at the declaration
//@ twin: Freed => StockFreed

use integration_automation_patterns::{Event, workflow};
use ui::orders::{ErpDesk, FreeStock, HoldStock, Order, StockFreed, StockHeld, StockRefused};

pub struct Freed;

impl Event for Freed {
    const TYPE: &'static str = "erp.stock.let_go";
}

pub type Reply = Freed; //@ here

workflow! {
    pub mod job of Order, version 1 {
        compensatable hold_stock: HoldStock => StockHeld | StockRefused,
            undone by FreeStock => Reply within 1 h else asks ErpDesk within 4 h,
            within 15 min else undo;
    }
}

impl job::Ask for Order {
    fn hold_stock(&self) -> HoldStock {
        HoldStock
    }
}

impl job::Undo for Order {
    fn hold_stock(&self) -> FreeStock {
        FreeStock
    }
}

impl job::Learn for Order {
    fn hold_stock(&mut self, _: StockHeld) {}
}

pub fn other(_: StockFreed) {}
