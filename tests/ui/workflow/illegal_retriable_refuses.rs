//! A step behind the pivot that can be refused
//@ code: none
//@ error: the retriable step `notify_billing` of the workflow `job` can be refused by `OrderRefused`: behind it nothing is undone, so it must succeed in the end; or make it the pivot
//@ twin: -

use integration_automation_patterns::workflow;
use ui::orders::{OrderRefused, InvoiceIssued, Order, Sales, BillingDesk, IssueInvoice};
use job::{Any, Ask as _, This, at, start, step};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        retriable notify_billing: IssueInvoice => InvoiceIssued
            | OrderRefused //@ here
            , within 1 d else asks BillingDesk within 1 d;
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
