//! Declaring a field in some builds only
//@ code: none
//@ error: the boundary `lead` has a field only under `cfg(dead_code)`: a contract is the same in every build; declare two boundaries, each under its `cfg`
//@ twin: cfg => allow

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

boundary! {
    pub mod lead between Crm and Erp {
        email: String => Crm,
        #[cfg(dead_code)] //@ here
        phone: String => Erp,
    }
}
