//! Declaring a field as one that may be empty
//@ code: none
//@ error: the field `owner` of the boundary `lead` is an `Option`, and every field may be empty as it is: write the type within, and clear the field by `None`
//@ twin: Option => Vec

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

boundary! {
    pub mod lead between Crm and Erp {
        email: String => Crm,
        owner: Option<String> => Shared, //@ here
        phone: String => Erp,
    }
}
