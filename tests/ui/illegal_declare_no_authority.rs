//! Declaring a field without an authority
//@ code: none
//@ error: the field `phone` of the boundary `lead` has no authority: write `phone: String => A` with a system, `Shared` or `Manual` for `A`, or `excluded phone: String`
//@ twin: , => => Crm,

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

boundary! {
    pub mod lead between Crm and Erp {
        email: String => Crm,
        phone: String, //@ here
    }
}
