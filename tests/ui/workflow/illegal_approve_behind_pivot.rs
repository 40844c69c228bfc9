//! Asking for an approval when it is too late to refuse
//@ code: none
//@ error: the approval `over_limit` of the workflow `job` stands behind the pivot `create_order`, where a refusal comes too late: ask before the pivot
//@ twin: -

use integration_automation_patterns::workflow;
use ui::orders::{CreditReserved, CreditRefused, CreditReleased, OrderCreated, OrderRefused, CreateOrder, Order, Quote, Sales, Controller, CreditDesk, ErpDesk, ReserveCredit, ReleaseCredit};
use job::{Any, Ask as _, This, at, start, step};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        compensatable reserve_credit: ReserveCredit => CreditReserved | CreditRefused,
            undone by ReleaseCredit => CreditReleased within 1 h else asks CreditDesk within 4 h,
            within 15 min else undo;
        pivot create_order: CreateOrder => OrderCreated | OrderRefused, within 1 h else asks ErpDesk within 4 h;
        approval over_limit of Quote: asks Controller within 24 h else refuse; //@ here
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
