//! Settling in a role of one's own, with the proof of another one
//@ code: E0308
//@ error: mismatched types
//@ twin: Own => ErpDesk

mod table;

use integration_automation_patterns::workflow::{MaySettle, Role, made::ByTable};
use table::order_to_cash::{Parked, step};
use ui::orders::ErpDesk;

pub enum Own {}

impl Role for Own {
    const NAME: &'static str = "erp desk";
    type Key = ();
}

type Silent = Parked<step::create_order>;

pub const PROOF: ByTable<Own, Silent> = <ErpDesk as MaySettle<Silent>>::BY_TABLE; //@ here
