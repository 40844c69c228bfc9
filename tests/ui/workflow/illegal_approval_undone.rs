//! Undoing an approval
//@ code: none
//@ error: the approval `over_limit` of the workflow `job` has nothing of its own to undo: write `else refuse`, and the steps before it are undone
//@ twin: undo => refuse

use integration_automation_patterns::workflow;
use job::{Any, Ask as _, This, at, start, step};
use ui::orders::{BillingDesk, Controller, InvoiceIssued, IssueInvoice, Order, Quote, Sales};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        approval over_limit of Quote: asks Controller within 24 h else undo; //@ here
        retriable notify_billing: IssueInvoice => InvoiceIssued,
            within 2 d else asks BillingDesk within 1 d;
    }
}

impl job::Ask for Order {
    fn over_limit(&self) -> Quote {
        Quote { total: self.total }
    }

    fn notify_billing(&self) -> IssueInvoice {
        IssueInvoice
    }
}

impl job::Undo for Order {}

impl job::Learn for Order {
    fn notify_billing(&mut self, _: InvoiceIssued) {}
}
