//! Beginning an instance under the id of another workflow
//@ code: E0308
//@ error: mismatched types
//@ twin: id => own

mod table;

use integration_automation_patterns::workflow::{Seat, InstanceId};
use table::order_to_cash::{start, This};
use ui::orders::{Order, Sales};

pub enum Other {}

pub fn begin(id: InstanceId<Other>, own: InstanceId<This>, order: Order, seat: &Seat<Sales>) {
    let _ = (&id, &own);
    let _ = start(id, order, seat); //@ here
}
