//! Following a table that is no earlier version
//@ code: E0277
//@ error: `table::order_to_cash::This` is no earlier version of this workflow
//@ label: an earlier version has the same name and a lower version
//@ twin: 1 => 2

mod table;

use integration_automation_patterns::workflow;
use integration_automation_patterns::workflow::{Follow, Follows, RecordError};
use table::order_to_cash::{self as version_one, Any as Old};
use ui::orders::{BillingDesk, InvoiceIssued, IssueInvoice, Order};

workflow! {
    pub mod order_to_cash of Order, version 1 follows version_one { //@ here
        retriable notify_billing: IssueInvoice => InvoiceIssued,
            within 2 d else asks BillingDesk within 1 d;
    }
}

impl Follows<version_one::This> for order_to_cash::This {
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
