//! Passing over an approval that may be needed
//@ code: E0308
//@ error: mismatched types
//@ twin: stock => approved

mod table;

use integration_automation_patterns::workflow::{Advance, Asked};
use table::order_to_cash::{Awaiting, step};

pub fn hurry(
    stock: Asked<Awaiting<step::over_limit>, Advance<Awaiting<step::create_order>>>,
    approved: Advance<Awaiting<step::create_order>>,
) -> Advance<Awaiting<step::create_order>> {
    let _ = (&stock, &approved);
    stock //@ here
}
