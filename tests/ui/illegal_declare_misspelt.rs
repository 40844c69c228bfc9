//! Declaring a field in a form that does not exist
//@ code: none
//@ error: a field of the boundary `lead` is `name: Type => A` with a system, `Shared` or `Manual` for `A`, or `excluded name: Type`; this is neither: `kept phone: String,`
//@ twin: kept => excluded

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

boundary! {
    pub mod lead between Crm and Erp {
        email: String => Crm,
        kept phone: String, //@ here
    }
}
