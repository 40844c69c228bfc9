//! A program decides in a person's place
//@ code: E0277
//@ error: `Steward` is not a party to this boundary
//@ label: the parties are the systems that the declaration names behind `between`
//@ twin: Steward => Crm

use integration_automation_patterns::sync::{Capability, Steward};
use ui::{Crm, contact};

pub fn decide(capability: Capability<Crm>) {
    let _: contact::Edit<Steward> = contact::Edit::by(&capability); //@ here
}
