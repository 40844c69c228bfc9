//! Calling a field by a word of the language
//@ code: none
//@ error: a field of the boundary `lead` is called `type`, which is a word of the language: write `r#type`; in the contract it is called `type`
//@ twin: type => kind

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

boundary! {
    pub mod lead between Crm and Erp {
        email: String => Crm,
        type: String => Shared, //@ here
        phone: String => Erp,
    }
}
