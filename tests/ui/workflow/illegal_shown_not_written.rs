//! Showing people what cannot be stored
//@ code: E0277
//@ error: `Draft` cannot be stored or sent by a workflow
//@ label: needs `impl Wire for Draft`, with how it is written to bytes and read back
//@ away: the error stands at the declaration
//@ twin: Draft => Quote

use integration_automation_patterns::workflow;
use integration_automation_patterns::workflow::Cleared;
use ui::orders::{Controller, CreateOrder, ErpDesk, Order, OrderCreated, OrderRefused, Quote, Sales};

pub struct Draft {
    pub total: u64,
}

pub type Shown = Draft; //@ here

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        approval over_limit of Shown when Order::is_over_limit: asks Controller within 24 h else refuse;
        pivot create_order needs over_limit: CreateOrder => OrderCreated | OrderRefused,
            within 1 h else asks ErpDesk within 4 h;
    }
}

impl job::Ask for Order {
    fn over_limit(&self) -> Shown {
        Shown { total: self.total }
    }

    fn create_order(&self, _: &Cleared<job::step::over_limit>) -> CreateOrder {
        CreateOrder { total: self.total }
    }
}

impl job::Undo for Order {}

impl job::Learn for Order {
    fn create_order(&mut self, _: OrderCreated) {}
}

pub fn other(_: Quote) {}
