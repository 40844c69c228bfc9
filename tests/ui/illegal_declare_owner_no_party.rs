//! Declaring an owner that is not a party
//@ code: E0277
//@ error: `ui::Hr` is not a party to this boundary
//@ label: the parties are the systems that the declaration names behind `between`
//@ twin: Hr => Erp

use integration_automation_patterns::boundary;
use ui::{Crm, Erp, Hr};

boundary! {
    pub mod lead between Crm and Erp {
        email: String => Crm,
        badge: String => Hr, //@ here
    }
}
