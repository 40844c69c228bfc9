//! Declaring a field that cannot be compared
//@ code: E0277
//@ error: `f64` cannot be the type of a field: a plan compares values with `Eq`, and clones them
//@ label: needs `#[derive(Clone, PartialEq, Eq)]`; a float has no `Eq`: take a type of one precision, such as whole cents
//@ twin: f64 => u64

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

boundary! {
    pub mod lead between Crm and Erp {
        email: String => Crm,
        amount: f64 => Shared, //@ here
        phone: String => Erp,
    }
}
