//! An approval that a retriable step needs
//@ code: none
//@ error: the retriable step `notify_billing` of the workflow `job` needs an approval, and only a pivot sends what was approved: leave `needs` out, since each approval holds back the rows behind it
//@ twin: -

use integration_automation_patterns::workflow;
use job::{Any, Ask as _, This, at, start, step};
use ui::orders::{BillingDesk, Controller, InvoiceIssued, IssueInvoice, Order, Quote, Sales};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        approval over_limit of Quote: asks Controller within 24 h else refuse;
        retriable notify_billing
            needs over_limit //@ here
            : IssueInvoice => InvoiceIssued, within 2 d else asks BillingDesk within 1 d;
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
