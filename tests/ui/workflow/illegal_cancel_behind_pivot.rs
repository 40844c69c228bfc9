//! Cancelling when the pivot is sent
//@ code: E0277
//@ error: an instance that is `order_to_cash::Awaiting<notify_billing>` cannot be cancelled: its pivot is sent, or it is over
//@ label: legal here: (done<InvoiceIssued>, timed_out)
//@ twin: sent => before

mod table;

use integration_automation_patterns::Decision;
use integration_automation_patterns::workflow::Instance;
use table::order_to_cash::{Awaiting, step};


pub fn cancel(
    sent: Instance<Awaiting<step::notify_billing>>,
    before: Instance<Awaiting<step::hold_stock>>,
    why: Decision,
) {
    let _ = (&sent, &before);
    let _ = sent.cancel(why); //@ here
}
