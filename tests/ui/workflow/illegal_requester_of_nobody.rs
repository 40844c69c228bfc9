//! Having a role begin that nobody can have
//@ code: E0277
//@ error: `Nobody` is not a role that people decide in
//@ label: needs `impl Role for Nobody` with its NAME and the Key that the login keeps
//@ away: the error stands at the declaration
//@ twin: Nobody => Sales

use integration_automation_patterns::workflow;
use ui::orders::{CreateOrder, ErpDesk, Order, OrderCreated, OrderRefused, Sales};

pub enum Nobody {}

pub type Requester = Nobody; //@ here

workflow! {
    pub mod job of Order requested by Requester, version 1 {
        pivot create_order: CreateOrder => OrderCreated | OrderRefused, within 1 h else asks ErpDesk within 4 h;
    }
}

impl job::Ask for Order {
    fn create_order(&self) -> CreateOrder {
        CreateOrder { total: self.total }
    }
}

impl job::Undo for Order {}

impl job::Learn for Order {
    fn create_order(&mut self, _: OrderCreated) {}
}

pub fn other(_: Sales) {}
