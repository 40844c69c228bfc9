//! Taking silence for an approval
//@ code: none
//@ error: the approval `over_limit` of the workflow `job` would be given by nobody: silence is no approval, write `else refuse`
//@ twin: approve => refuse

use integration_automation_patterns::workflow;
use ui::orders::{OrderCreated, OrderRefused, CreateOrder, Order, Quote, Sales, Controller, ErpDesk};
use job::{Any, Ask as _, This, at, start, step};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        approval over_limit of Quote: asks Controller within 24 h else approve; //@ here
        pivot create_order: CreateOrder => OrderCreated | OrderRefused, within 1 h else asks ErpDesk within 4 h;
    }
}

impl job::Ask for Order {
    fn over_limit(&self) -> Quote {
        Quote { total: self.total }
    }
    fn create_order(&self) -> CreateOrder {
        CreateOrder { total: self.total }
    }
}

impl job::Undo for Order {}

impl job::Learn for Order {
    fn create_order(&mut self, _: OrderCreated) {}
}
