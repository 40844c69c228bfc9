//! Undoing a step by the command that does it
//@ code: E0277
//@ error: `hold_stock` is undone by the command that does it
//@ label: an undo is a command of its own
//@ twin: HoldStock => FreeStock

use integration_automation_patterns::workflow;
use ui::orders::{ErpDesk, FreeStock, HoldStock, Order, StockFreed, StockHeld, StockRefused};

macro_rules! undone_by {
    ($undo:ident) => {
        workflow! {
            pub mod job of Order, version 1 {
                compensatable hold_stock: HoldStock => StockHeld | StockRefused,
                    undone by $undo => StockFreed within 1 h else asks ErpDesk within 4 h,
                    within 15 min else undo;
            }
        }

        impl job::Undo for Order {
            fn hold_stock(&self) -> $undo {
                $undo
            }
        }
    };
}

undone_by!(HoldStock); //@ here

impl job::Ask for Order {
    fn hold_stock(&self) -> HoldStock {
        HoldStock
    }
}

impl job::Learn for Order {
    fn hold_stock(&mut self, _: StockHeld) {}
}

pub fn other(_: FreeStock) {}
