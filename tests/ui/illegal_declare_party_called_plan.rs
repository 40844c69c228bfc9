//! Naming a party like a type of the boundary
//@ code: none
//@ error: a party to the boundary `lead` cannot be called `Plan`: a type of that name is made in the boundary's module; rename the system where it is imported
//@ away: the error stands at the declaration
//@ twin: Plan => Erp

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

pub use ui::Erp as Plan;

boundary! {
    pub mod lead between Crm and Plan { //@ here
        email: String => Shared,
    }
}

pub fn erp() -> Option<Erp> {
    None
}
