//! Copying the capability to speak for a system
//@ code: E0277
//@ error: the capability to speak for `Crm` cannot be copied
//@ label: lend it as `&Capability<Crm>`, or let the connector mint another one
//@ twin: clone => lend

use integration_automation_patterns::sync::Capability;
use ui::Crm;

pub trait Lend {
    fn lend(&self) -> &Self;
}

impl Lend for Capability<Crm> {
    fn lend(&self) -> &Self {
        self
    }
}

pub fn keep(capability: &Capability<Crm>) {
    let _ = capability.clone(); //@ here
}
