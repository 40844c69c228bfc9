//! A pivot that needs what is no approval
//@ code: E0277
//@ error: a pivot needs an approval, and `reserve_credit` is none
//@ label: `needs` names an `approval` of this table
//@ also: method `create_order` has an incompatible type for trait
//@ twin: reserve_credit => over_limit

use integration_automation_patterns::workflow;
use integration_automation_patterns::workflow::Cleared;
use ui::orders::{CreditReserved, CreditRefused, CreditReleased, OrderCreated, OrderRefused, CreateOrder, Order, Quote, Sales, Controller, CreditDesk, ErpDesk, ReserveCredit, ReleaseCredit};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        compensatable reserve_credit: ReserveCredit => CreditReserved | CreditRefused,
            undone by ReleaseCredit => CreditReleased within 1 h else asks CreditDesk within 4 h,
            within 15 min else undo;
        approval over_limit of Quote: asks Controller within 24 h else refuse;
        pivot create_order needs reserve_credit: CreateOrder => OrderCreated | OrderRefused, //@ here
            within 1 h else asks ErpDesk within 4 h;
    }
}

impl job::Ask for Order {
    fn reserve_credit(&self) -> ReserveCredit {
        ReserveCredit
    }
    fn over_limit(&self) -> Quote {
        Quote { total: self.total }
    }
    fn create_order(&self, cleared: &Cleared<job::step::over_limit>) -> CreateOrder {
        CreateOrder { total: cleared.shown().total }
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
