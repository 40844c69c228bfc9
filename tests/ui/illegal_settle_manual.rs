//! Settling in a program what a person must decide
//@ code: E0277
//@ error: `Crm` may not write `status`: only a person decides on it
//@ label: this edit speaks for `Crm`; `decided` with a `Decision` may write it
//@ twin: by_crm => decided

use integration_automation_patterns::sync::Steward;
use ui::{Crm, contact};

pub fn settle(by_crm: contact::Edit<Crm>, decided: contact::Edit<Steward>) {
    let _ = by_crm.status(1); //@ here
}
