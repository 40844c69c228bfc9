//! Asking a role that nobody can have at every step
//@ code: E0277
//@ error: `Nobody` is not a role that people decide in
//@ label: needs `impl Role for Nobody` with its NAME and the Key that the login keeps
//@ away: the error stands at the declaration
//@ twin: Nobody => ErpDesk

use integration_automation_patterns::workflow;
use ui::orders::{CreateOrder, ErpDesk, InvoiceIssued, IssueInvoice, Order, OrderCreated, OrderRefused};

pub enum Nobody {}

pub type Desk = Nobody; //@ here

workflow! {
    pub mod job of Order, version 1 {
        pivot create_order: CreateOrder => OrderCreated | OrderRefused,
            within 1 h else asks Desk within 4 h;
        retriable notify_billing: IssueInvoice => InvoiceIssued, within 2 d else asks Desk within 1 d;
    }
}

impl job::Ask for Order {
    fn create_order(&self) -> CreateOrder {
        CreateOrder { total: self.total }
    }

    fn notify_billing(&self) -> IssueInvoice {
        IssueInvoice
    }
}

impl job::Undo for Order {}

impl job::Learn for Order {
    fn create_order(&mut self, _: OrderCreated) {}
    fn notify_billing(&mut self, _: InvoiceIssued) {}
}

pub fn other(_: ErpDesk) {}
