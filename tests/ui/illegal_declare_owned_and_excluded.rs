//! Declaring a field as exchanged and excluded
//@ code: E0080
//@ error: evaluation panicked: the field `email` of the boundary `lead` is declared twice: it has one authority, or is excluded
//@ also: duplicate matcher binding
//@ twin: email => phone

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

boundary! {
    pub mod lead between Crm and Erp {
        email: String => Crm,
        excluded email: String, //@ here
    }
}
