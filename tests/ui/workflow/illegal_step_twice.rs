//! Naming two steps alike
//@ code: none
//@ error: `notify` is a step of the workflow `job` twice: a reply names its step, and so no two have one name
//@ twin: notify => remind

use integration_automation_patterns::workflow;
use ui::orders::{BillingDesk, InvoiceIssued, IssueInvoice, Order};

macro_rules! two_steps {
    ($first:ident and then $second:ident) => {
        workflow! {
            pub mod job of Order, version 1 {
                retriable $first: IssueInvoice => InvoiceIssued, within 2 d else asks BillingDesk within 1 d;
                retriable $second: IssueInvoice => InvoiceIssued, within 1 d else asks BillingDesk within 1 d;
            }
        }
        says! { $second }
    };
}

macro_rules! says {
    (notify) => {};
    ($second:ident) => {
        impl job::Ask for Order {
            fn notify(&self) -> IssueInvoice {
                IssueInvoice
            }

            fn $second(&self) -> IssueInvoice {
                IssueInvoice
            }
        }

        impl job::Undo for Order {}

        impl job::Learn for Order {
            fn notify(&mut self, _: InvoiceIssued) {}

            fn $second(&mut self, _: InvoiceIssued) {}
        }
    };
}

two_steps! {
    notify
    and then notify //@ here
}
