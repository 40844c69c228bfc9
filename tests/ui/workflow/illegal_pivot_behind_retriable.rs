//! A step that can be refused behind one that must succeed
//@ code: none
//@ error: the pivot `create_order` of the workflow `job` stands behind the retriable step `notify_billing`: the order is compensatable steps and approvals, then one pivot or none, then retriable steps
//@ twin: -

use integration_automation_patterns::workflow;
use ui::orders::{OrderCreated, OrderRefused, InvoiceIssued, CreateOrder, Order, Sales, ErpDesk, BillingDesk, IssueInvoice};
use job::{Any, Ask as _, This, at, start, step};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        retriable notify_billing: IssueInvoice => InvoiceIssued, within 1 d else asks BillingDesk within 1 d;
        pivot create_order: CreateOrder => OrderCreated | OrderRefused, within 1 h else asks ErpDesk within 4 h; //@ here
    }
}

impl job::Ask for Order {
    fn notify_billing(&self) -> IssueInvoice {
        IssueInvoice
    }
}

impl job::Undo for Order {}

impl job::Learn for Order {
    fn notify_billing(&mut self, _: InvoiceIssued) {}
}
