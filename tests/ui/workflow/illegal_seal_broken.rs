//! A table changed under its version, while instances run
//@ code: E0080
//@ error: evaluation panicked: version 1 of `job` was sealed with another table; this one is 0x267cd6c90bfe7205: give it version 1 + 1, and say what becomes of the instances that run (or seal it anew, if none does)
//@ twin: 0x1234567890abcdef => 0x267cd6c90bfe7205

use integration_automation_patterns::workflow;
use ui::orders::{CreditReserved, CreditRefused, CreditReleased, OrderCreated, OrderRefused, CreateOrder, Order, Sales, CreditDesk, ErpDesk, ReserveCredit, ReleaseCredit};

workflow! {
    pub mod job of Order requested by Sales, version 1 sealed 0x1234567890abcdef { //@ here
        compensatable reserve_credit: ReserveCredit => CreditReserved | CreditRefused,
            undone by ReleaseCredit => CreditReleased within 1 h else asks CreditDesk within 4 h,
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
