//! Writing as a system that is not a party
//@ code: E0277
//@ error: `Hr` is not a party to this boundary
//@ label: the parties are the systems that the declaration names behind `between`
//@ twin: hr => erp

use integration_automation_patterns::sync::Capability;
use ui::{Erp, Hr, contact};

pub fn import(hr: Capability<Hr>, erp: Capability<Erp>) {
    let _ = contact::edit(&hr); //@ here
}
