//! Forgetting a stage of the old version
//@ code: E0004
//@ error: non-exhaustive patterns: `table::order_to_cash::Any::Undoing(_)` not covered
//@ twin: + Old::Undoing(_) => to.refuse("a person"),

mod table;

use integration_automation_patterns::workflow;
use integration_automation_patterns::workflow::{Follow, Follows, RecordError};
use table::order_to_cash::{self as version_one, Any as Old};
use ui::orders::{BillingDesk, InvoiceIssued, IssueInvoice, Order, Sales};

workflow! {
    pub mod order_to_cash of Order requested by Sales, version 2 follows version_one {
        retriable notify_billing: IssueInvoice => InvoiceIssued,
            within 2 d else asks BillingDesk within 1 d;
    }
}

impl Follows<version_one::This> for order_to_cash::This {
    fn follow(old: Old, to: Follow<Self>) -> Result<order_to_cash::Any, RecordError> {
        match old { //@ here
            Old::Awaiting(_) | Old::Forestalling(_) | Old::Parked(_) => to.refuse("a person"),
            Old::Stuck(_) => to.refuse("a person"),
            Old::Completed(_) | Old::Undone(_) | Old::GivenUp(_) => to.refuse("it is over"),
        }
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
