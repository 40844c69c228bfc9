//! Using a workflow that is over
//@ code: E0277
//@ error: `InvoiceIssued` does not answer an instance that is `completed<This>`
//@ label: legal here: NothingItIsOver
//@ twin: completed => awaiting

mod table;

use integration_automation_patterns::workflow::{Instance, Completed};
use table::order_to_cash::{Awaiting, step, This};
use ui::orders::InvoiceIssued;

pub fn again(completed: Instance<Completed<This>>, awaiting: Instance<Awaiting<step::notify_billing>>) {
    let _ = (&completed, &awaiting);
    let _ = completed.done(InvoiceIssued); //@ here
}
