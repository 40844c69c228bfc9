//! Settling a silent pivot in a role that is not asked
//@ code: E0277
//@ error: `Sales` may not settle an instance that is `order_to_cash::Parked<create_order>`
//@ label: legal here: (settle<(ErpDesk,)>, done<OrderCreated>, refused<OrderRefused>, timed_out)
//@ twin: sales => erp

mod table;

use integration_automation_patterns::workflow::{Instance, Ruling};
use table::order_to_cash::{Parked, step};
use ui::orders::{Sales, ErpDesk};

pub fn settle(
    at: Instance<Parked<step::create_order>>,
    sales: Ruling<Sales>,
    erp: Ruling<ErpDesk>,
) {
    let _ = (&sales, &erp);
    let _ = at.settle(sales); //@ here
}
