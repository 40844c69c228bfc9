//! Approving with what was granted for another stage
//@ code: E0308
//@ error: mismatched types
//@ twin: settled => approved

mod table;

use integration_automation_patterns::workflow::{Decides, Granted, Instance};
use table::order_to_cash::{Awaiting, Parked, step};
use ui::orders::Controller;

pub fn sneak(
    at: Instance<Awaiting<step::over_limit>>,
    settled: Granted<Parked<step::create_order>>,
    approved: Granted<Awaiting<step::over_limit>>,
) {
    let _ = (&settled, &approved);
    let _ = <Controller as Decides<Awaiting<step::over_limit>>>::approved(at, settled); //@ here
}
