//! Awaiting a reply that nobody can read
//@ code: E0277
//@ error: `Held` cannot be stored or sent by a workflow
//@ label: needs `impl Wire for Held`, with how it is written to bytes and read back
//@ note: with the feature `serde`, `impl WireJson for Held {}` writes it as JSON
//@ away: the error stands at the declaration
//@ twin: Held => StockHeld

use integration_automation_patterns::{Event, workflow};
use ui::orders::{ErpDesk, HoldStock, Order, StockHeld, StockRefused};

pub struct Held;

impl Event for Held {
    const TYPE: &'static str = "erp.stock.kept";
}

pub type Reply = Held; //@ here

workflow! {
    pub mod job of Order, version 1 {
        pivot hold_stock: HoldStock => Reply | StockRefused,
            within 15 min else forestall within 10 min, then asks ErpDesk within 4 h;
    }
}

impl job::Ask for Order {
    fn hold_stock(&self) -> HoldStock {
        HoldStock
    }
}

impl job::Undo for Order {}

impl job::Learn for Order {
    fn hold_stock(&mut self, _: Reply) {}
}

pub fn other(_: StockHeld) {}
