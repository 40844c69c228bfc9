//! Declaring a field that borrows its value
//@ code: none
//@ error: the field `owner` of the boundary `lead` is a reference, and a value outlives what it was read from: write an owned type, such as `String` for `&str`
//@ twin: -

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

boundary! {
    pub mod lead between Crm and Erp {
        email: String => Crm,
        owner: &str => Shared, //@ here
        phone: String => Erp,
    }
}
