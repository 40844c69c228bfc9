//! Taking a reply of another step
//@ code: E0277
//@ error: `InvoiceIssued` does not answer an instance that is `order_to_cash::Awaiting<reserve_credit>`
//@ label: legal here: (done<CreditReserved>, refused<CreditRefused>, timed_out, cancel)
//@ twin: InvoiceIssued => CreditReserved

mod table;

use integration_automation_patterns::workflow::Instance;
use table::order_to_cash::{Awaiting, step};
use ui::orders::{CreditReserved, InvoiceIssued};

pub fn early(at: Instance<Awaiting<step::reserve_credit>>) {
    let _ = at.done(InvoiceIssued); //@ here
}
