//! Asking for an approval of people who have no role
//@ code: E0277
//@ error: `Nobody` is not a role that people decide in
//@ label: needs `impl Role for Nobody` with its NAME and the Key that the login keeps
//@ twin: Nobody => Controller

use integration_automation_patterns::workflow;
use ui::orders::{Controller, Order, Quote, Sales};

pub enum Nobody {}

workflow! {
    pub mod job of Order requested by Sales, version 1 {
        approval over_limit of Quote: asks Nobody within 24 h else refuse; //@ here
    }
}

impl job::Ask for Order {
    fn over_limit(&self) -> Quote {
        Quote { total: self.total }
    }
}

impl job::Undo for Order {}

impl job::Learn for Order {}
