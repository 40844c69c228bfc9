//! Declaring a field of a type without its derives
//@ code: E0277
//@ error: `Money` cannot be the type of a field: a plan compares values with `Eq`, and clones them
//@ label: needs `#[derive(Clone, PartialEq, Eq)]`; a float has no `Eq`: take a type of one precision, such as whole cents
//@ twin: Money => u64

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

#[derive(Clone)]
pub struct Money(pub u64);

boundary! {
    pub mod lead between Crm and Erp {
        email: String => Crm,
        balance: Money => Erp, //@ here
    }
}
