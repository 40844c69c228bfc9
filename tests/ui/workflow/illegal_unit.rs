//! A deadline in an unknown unit
//@ code: E0277
//@ error: a span is in a unit that there is not
//@ label: a span is in `s`, `min`, `h` or `d`, such as `15 min`
//@ twin: m => min

use integration_automation_patterns::workflow;
use ui::orders::{CreditReserved, CreditRefused, CreditReleased, OrderCreated, OrderRefused, CreateOrder, Order, Sales, CreditDesk, ErpDesk, ReserveCredit, ReleaseCredit};
use job::{Any, Ask as _, This, at, start, step};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        compensatable reserve_credit: ReserveCredit => CreditReserved | CreditRefused,
            undone by ReleaseCredit => CreditReleased within 1 h else asks CreditDesk within 4 h,
            within 15 m else undo; //@ here
        pivot create_order: CreateOrder => OrderCreated | OrderRefused, within 1 h else asks ErpDesk within 4 h;
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
