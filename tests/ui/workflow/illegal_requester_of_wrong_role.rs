//! Beginning an instance from another role's seat
//@ code: E0308
//@ error: mismatched types
//@ twin: controller => sales

mod table;

use integration_automation_patterns::workflow::{Seat, InstanceId};
use table::order_to_cash::{start, This};
use ui::orders::{Order, Sales, Controller};

pub fn begin(
    id: InstanceId<This>,
    order: Order,
    controller: &Seat<Controller>,
    sales: &Seat<Sales>,
) {
    let _ = (controller, sales);
    let _ = start(id, order, controller); //@ here
}
