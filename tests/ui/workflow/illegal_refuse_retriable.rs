//! Refusing what must succeed
//@ code: E0277
//@ error: `OrderRefused` does not refuse an instance that is `order_to_cash::Awaiting<notify_billing>`
//@ label: legal here: (done<InvoiceIssued>, timed_out)
//@ twin: invoice => order

mod table;

use integration_automation_patterns::workflow::Instance;
use table::order_to_cash::{Awaiting, step};
use ui::orders::OrderRefused;

pub fn no(
    invoice: Instance<Awaiting<step::notify_billing>>,
    order: Instance<Awaiting<step::create_order>>,
) {
    let _ = (&invoice, &order);
    let _ = invoice.refused(OrderRefused); //@ here
}
