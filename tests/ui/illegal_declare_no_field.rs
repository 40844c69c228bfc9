//! Declaring a boundary without fields
//@ code: none
//@ error: the boundary `lead` exchanges no field: declare one as `name: Type => A` with a system, `Shared` or `Manual` for `A`
//@ twin: {} => { email: String => Crm }

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

boundary! {
    pub mod lead between Crm and Erp {} //@ here
}
