//! Undoing out of order
//@ code: E0277
//@ error: `CreditReleased` does not say that an instance that is `order_to_cash::Undoing<hold_stock>` is undone
//@ label: legal here: (undone<StockFreed>, timed_out)
//@ twin: CreditReleased => StockFreed

mod table;

use integration_automation_patterns::workflow::Instance;
use table::order_to_cash::{Undoing, step};
use ui::orders::{CreditReleased, StockFreed};

pub fn first(at: Instance<Undoing<step::hold_stock>>) {
    let _ = at.undone(CreditReleased); //@ here
}
