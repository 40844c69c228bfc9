//! Approving in a role that is not asked
//@ code: E0277
//@ error: `ErpDesk` may not decide on an instance that is `order_to_cash::Awaiting<over_limit>`
//@ label: legal here: (decide<(Controller, HeadOfFinance)>, amend, timed_out, cancel)
//@ twin: erp => controller

mod table;

use integration_automation_patterns::workflow::{Instance, Ruling, Seen};
use table::order_to_cash::{Awaiting, step};
use ui::orders::{Controller, ErpDesk};

pub fn fine(
    at: Instance<Awaiting<step::over_limit>>,
    erp: Ruling<ErpDesk>,
    controller: Ruling<Controller>,
    seen: Seen,
) {
    let _ = (&erp, &controller);
    let _ = at.approve(erp, seen); //@ here
}
