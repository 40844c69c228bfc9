//! Declaring a field as one that may be empty, by another name
//@ code: E0080
//@ error: evaluation panicked: the field `owner` of the boundary `lead` is an `Option`, and every field may be empty as it is: write the type within, and clear the field by `None`
//@ twin: Maybe => String

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

pub type Maybe = std::option::Option<String>;

boundary! {
    pub mod lead between Crm and Erp {
        email: String => Crm,
        owner: Maybe => Shared, //@ here
        phone: String => Erp,
    }
}
