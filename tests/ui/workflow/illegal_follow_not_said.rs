//! A new version that does not say how the old instances go on
//@ code: E0277
//@ error: `order_to_cash::This` does not say how the instances of `table::order_to_cash::This` go on
//@ label: needs `impl Follows<table::order_to_cash::This> for order_to_cash::This`, with an arm for each stage
//@ away: the error stands at the declaration
//@ twin: Over => Follows

mod table;

use integration_automation_patterns::workflow;
use integration_automation_patterns::workflow::{Follow, Follows, RecordError, Workflow};
use table::order_to_cash::{self as version_one, Any as Old};
use ui::orders::{BillingDesk, InvoiceIssued, IssueInvoice, Order};

workflow! {
    pub mod order_to_cash of Order, version 2 follows version_one {
        retriable notify_billing: IssueInvoice => InvoiceIssued,
            within 2 d else asks BillingDesk within 1 d;
    }
}

pub trait Over<Old: Workflow>: Workflow {
    fn follow(old: Old::Any, to: Follow<Self>) -> Result<Self::Any, RecordError>;
}

impl Over<version_one::This> for order_to_cash::This { //@ here
    fn follow(_: Old, to: Follow<Self>) -> Result<order_to_cash::Any, RecordError> {
        to.refuse("a person goes on with it")
    }
}

impl order_to_cash::Ask for Order {
    fn notify_billing(&self) -> IssueInvoice {
        IssueInvoice
    }
}

impl order_to_cash::Undo for Order {}

impl order_to_cash::Learn for Order {
    fn notify_billing(&mut self, _: InvoiceIssued) {}
}
