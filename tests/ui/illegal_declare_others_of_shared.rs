//! Declaring what others may do with a field that has no owner
//@ code: none
//@ error: the field `email` of the boundary `lead` has no owner, and so no others: only behind a system can `(others ...)` stand
//@ twin: Shared => Crm

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

boundary! {
    pub mod lead between Crm and Erp {
        email: String => Shared (others Queue), //@ here
    }
}
