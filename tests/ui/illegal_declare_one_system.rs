//! Declaring a boundary for one system
//@ code: none
//@ error: the boundary `lead` is between one system: a boundary is between two or more, `between Crm and ...`
//@ twin: { => and Erp {

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

pub type Both = (Crm, Erp);

boundary! {
    pub mod lead between Crm { //@ here
        email: String => Crm,
    }
}
