//! Giving two roles one name, so that the vote of one counts as the other's
//@ code: E0080
//@ error: evaluation panicked: `Director` has the NAME of another role of this table: votes are counted by it, and so each role has its own
//@ away: the error stands at the declaration
//@ twin: "controller" => "director"

use integration_automation_patterns::workflow;
use integration_automation_patterns::workflow::Role;
use ui::orders::{Controller, CreateOrder, ErpDesk, Order, OrderCreated, OrderRefused, Quote, Sales};

pub enum Director {}

pub struct DirectorKey(());

impl Role for Director {
    const NAME: &'static str = "controller"; //@ here
    type Key = DirectorKey;
}

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        approval over_limit of Quote:
            asks Controller within 24 h then 2 of Director within 24 h else refuse;
        pivot create_order: CreateOrder => OrderCreated | OrderRefused,
            within 1 h else asks ErpDesk within 4 h;
    }
}

impl job::Ask for Order {
    fn over_limit(&self) -> Quote {
        Quote { total: self.total }
    }

    fn create_order(&self) -> CreateOrder {
        CreateOrder { total: self.total }
    }
}

impl job::Undo for Order {}

impl job::Learn for Order {
    fn create_order(&mut self, _: OrderCreated) {}
}
