//! Counting the versions of a workflow from 0
//@ code: E0277
//@ error: a workflow has no version 0
//@ label: its first version is `version 1`
//@ twin: 0 => 1

use integration_automation_patterns::workflow;
use job::{Any, Ask as _, This, at, start, step};
use ui::orders::{BillingDesk, InvoiceIssued, IssueInvoice, Order};

workflow! {
    pub mod job of Order, version 0 { //@ here
        retriable notify_billing: IssueInvoice => InvoiceIssued,
            within 2 d else asks BillingDesk within 1 d;
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
