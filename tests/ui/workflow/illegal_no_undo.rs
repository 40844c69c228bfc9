//! A step to be compensated that nobody can undo
//@ code: none
//@ error: the compensatable step `reserve_credit` of the workflow `job` does not say how it is undone: write `undone by Command => Reply within 1 h else asks Role within 4 h`, or make it the pivot
//@ twin: + undone by ReleaseCredit => CreditReleased within 1 h else asks CreditDesk within 4 h,

use integration_automation_patterns::workflow;
use ui::orders::{CreditReserved, CreditRefused, CreditReleased, OrderCreated, OrderRefused, CreateOrder, Order, Sales, CreditDesk, ErpDesk, ReserveCredit, ReleaseCredit};
use job::{Any, Ask as _, This, at, start, step};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        compensatable reserve_credit: ReserveCredit => CreditReserved | CreditRefused, //@ here
            within 15 min else undo;
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
