//! A program deciding in a person's place
//@ code: E0277
//@ error: `Steward` is not a system of record
//@ label: needs `impl System for Steward` with its NAME and the Key that its connector keeps
//@ twin: Steward => Crm

use integration_automation_patterns::sync::{Capability, Steward};
use ui::{Crm, contact};

pub type Edits = (contact::Edit<Crm>, contact::Edit<Steward>);

pub fn decide(_: &Capability<Steward>) {} //@ here
