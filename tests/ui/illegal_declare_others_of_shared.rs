//! What others may do is declared of a field that nobody owns
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
