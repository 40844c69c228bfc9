//! Misspelling whom a step asks
//@ code: none
//@ error: the row `retriable notify_billing` of the workflow `job` says `ask`: it is `asks Role within 4 h`
//@ twin: ask => asks

use integration_automation_patterns::workflow;
use job::{Any, Ask as _, This, at, start, step};
use ui::orders::{BillingDesk, InvoiceIssued, IssueInvoice, Order};

workflow! {
    pub mod job of Order, version 1 {
        retriable notify_billing: IssueInvoice => InvoiceIssued,
            within 2 d else ask BillingDesk within 1 d; //@ here
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
