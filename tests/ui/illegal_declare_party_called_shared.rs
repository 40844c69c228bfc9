//! Naming a party like an authority
//@ code: none
//@ error: a party to the boundary `lead` cannot be called `Shared`: the word says that a field is shared; rename the system where it is imported
//@ twin: Shared => Erp

use integration_automation_patterns::boundary;
use ui::erp::{self, Erp as Shared};
use ui::{Crm, Erp};

pub type Both = (Shared, Erp);

boundary! {
    pub mod lead between Crm and Shared { //@ here
        email: String => Crm,
    }
}

pub fn connect() -> integration_automation_patterns::sync::Capability<Erp> {
    erp::connect()
}
