//! Running an effect without checking for duplicates
//@ code: E0308
//@ error: mismatched types
//@ twin: delivery => first

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::Fresh;

fn create_invoice<Tx, A>(_: &Fresh<Tx, A>) {}

pub fn handle<Tx, A>(delivery: &Delivery<A>, first: &Fresh<Tx, A>) {
    create_invoice::<Tx, A>(delivery); //@ here
}
