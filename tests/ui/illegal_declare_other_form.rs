//! Declaring a boundary in a form that does not exist
//@ code: none
//@ error: a boundary is declared as `pub mod name between System and System { field: Type => Authority, ... }`, with the systems by their plain names
//@ twin: or => and

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

boundary! {
    pub mod lead between Crm or Erp { //@ here
        email: String => Crm,
    }
}
