//! Running the effect of a duplicate
//@ code: E0599
//@ error: no method named `event` found for struct `Committed<A>` in the current scope
//@ twin: Duplicate => New

use integration_automation_patterns::inbox::Receipt;

pub fn handle<Tx, A>(receipt: Receipt<Tx, A>) {
    if let Receipt::Duplicate(first) = receipt { let _ = first.event(); } //@ here
}
