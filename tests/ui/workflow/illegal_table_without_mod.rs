//! Declaring a table that is no module
//@ code: none
//@ error: the workflow `job` is declared as `pub mod job of Data requested by Role, version 1 { kind step: ...; ... }`, where `requested by Role` may be left out
//@ twin: pub => mod

use integration_automation_patterns::workflow;
use job::{Any, Ask as _, This, at, start, step};
use ui::orders::{BillingDesk, InvoiceIssued, IssueInvoice, Order};

workflow! {
    pub job of Order, version 1 { //@ here
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
