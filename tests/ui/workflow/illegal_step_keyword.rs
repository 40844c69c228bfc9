//! Calling a step by a word of the language
//@ code: none
//@ error: a step of the workflow `job` is called `return`, which is a word of the language: give it another name
//@ twin: return => send_back

use integration_automation_patterns::workflow;
use ui::orders::{BillingDesk, InvoiceIssued, IssueInvoice, Order};
use job::{Any, Ask as _, This, at, start, step};

workflow! {
    pub mod job of Order, version 1 {
        retriable return: IssueInvoice => InvoiceIssued, //@ here
            within 2 d else asks BillingDesk within 1 d;
    }
}

impl job::Ask for Order {
    fn send_back(&self) -> IssueInvoice {
        IssueInvoice
    }
}

impl job::Undo for Order {}

impl job::Learn for Order {
    fn send_back(&mut self, _: InvoiceIssued) {}
}
