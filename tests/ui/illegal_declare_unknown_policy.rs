//! Declaring what others may do in an unknown word
//@ code: none
//@ error: others may do one of three things with the field `email` of the boundary `lead`: `Reject` (nothing), `Queue` (propose) or `Overwrite` (change it until the next synchronisation); found `Ignore`
//@ twin: Ignore => Queue

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

boundary! {
    pub mod lead between Crm and Erp {
        email: String => Crm (others Ignore), //@ here
    }
}
