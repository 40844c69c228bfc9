//! Naming a party that is no system of record
//@ code: E0277
//@ error: `Lab` is not a system of record
//@ label: needs `impl System for Lab` with its NAME and the Key that its connector keeps
//@ twin: Lab => Erp

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

pub enum Lab {}
pub type Both = (Crm, Erp);

boundary! {
    pub mod lead between Crm and
        Lab { //@ here
        email: String => Crm,
        phone: String => Shared,
    }
}
