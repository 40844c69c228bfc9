//! Forgetting the `else` before what follows from silence
//@ code: none
//@ error: the row `approval over_limit` of the workflow `job` lacks `else`: what follows from silence is `else refuse`
//@ twin: + else

use integration_automation_patterns::workflow;
use job::{Any, Ask as _, This, at, start, step};
use ui::orders::{BillingDesk, Controller, InvoiceIssued, IssueInvoice, Order, Quote, Sales};

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        approval over_limit of Quote: asks Controller within 24 h //@ here
            refuse;
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
