//! A compensatable step behind the pivot, where nothing is undone any more
//@ code: none
//@ error: the compensatable step `hold_stock` of the workflow `job` stands behind the pivot `create_order`, where nothing is undone any more: move it before the pivot, or make it retriable
//@ twin: -

use integration_automation_patterns::workflow;
use ui::orders::{CreditReserved, CreditRefused, CreditReleased, StockHeld, StockFreed, OrderCreated, OrderRefused, CreateOrder, Order, Sales, CreditDesk, ErpDesk, HoldStock, StockRefused, FreeStock, ReserveCredit, ReleaseCredit};
use job::{Any, Ask as _, This, at, start, step};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        compensatable reserve_credit: ReserveCredit => CreditReserved | CreditRefused,
            undone by ReleaseCredit => CreditReleased within 1 h else asks CreditDesk within 4 h,
            within 15 min else undo;
        pivot create_order: CreateOrder => OrderCreated | OrderRefused, within 1 h else asks ErpDesk within 4 h;
        compensatable hold_stock: HoldStock => StockHeld | StockRefused, undone by FreeStock => StockFreed within 1 h else asks ErpDesk within 4 h, within 15 min else undo; //@ here
    }
}

impl job::Ask for Order {
    fn reserve_credit(&self) -> ReserveCredit {
        ReserveCredit
    }
    fn create_order(&self) -> CreateOrder {
        CreateOrder { total: self.total }
    }
}

impl job::Undo for Order {
    fn reserve_credit(&self) -> ReleaseCredit {
        ReleaseCredit
    }
}

impl job::Learn for Order {
    fn reserve_credit(&mut self, _: CreditReserved) {}
    fn create_order(&mut self, _: OrderCreated) {}
}
