//! Forestalling a step that is undone
//@ code: none
//@ error: the compensatable step `hold_stock` of the workflow `job` is forestalled by its undo: write `else undo`, or `else asks Role within 4 h`
//@ twin: forestall => asks

use integration_automation_patterns::workflow;
use ui::orders::{ErpDesk, FreeStock, HoldStock, Order, StockFreed, StockHeld, StockRefused};

macro_rules! silent {
    (asks) => {
        silent! { [asks ErpDesk within 4 h] }
    };
    (forestall) => {
        silent! { [forestall within 10 min, then asks ErpDesk within 4 h] }
    };
    ([$($then:tt)+]) => {
        workflow! {
            pub mod job of Order, version 1 {
                compensatable hold_stock: HoldStock => StockHeld | StockRefused,
                    undone by FreeStock => StockFreed within 1 h else asks ErpDesk within 4 h,
                    within 15 min else $($then)+;
            }
        }
    };
}

silent!(forestall); //@ here

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
