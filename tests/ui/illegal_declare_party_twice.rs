//! Naming a party twice
//@ code: E0080
//@ error: evaluation panicked: a boundary is between different systems, and two of its parties have the same NAME, or one has none
//@ twin: Crm => Erp

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

pub type Both = (Crm, Erp);

boundary! {
    pub mod lead between Crm and
        Crm { //@ here
        email: String => Shared,
    }
}
