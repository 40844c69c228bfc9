//! A login whose key anybody can make
//@ code: E0080
//@ error: evaluation panicked: the key of `Desk` is `Default`, and so anybody can decide in that role: a key is a struct with a private field, which the login makes
//@ away: the error stands at the declaration
//@ twin: u8 => Key

use integration_automation_patterns::workflow;
use integration_automation_patterns::workflow::Role;
use ui::orders::{CreateOrder, InvoiceIssued, IssueInvoice, Order, OrderCreated};

pub struct Key(());

pub enum Desk {}

impl Role for Desk {
    const NAME: &'static str = "desk";
    type Key = u8; //@ here
}

workflow! {
    pub mod job of Order, version 1 {
        retriable create_order: CreateOrder => OrderCreated, within 2 d else asks Desk within 1 d;
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

pub fn key() -> Key {
    Key(())
}
