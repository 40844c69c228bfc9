//! Putting a write of one's own among the changes of a plan
//@ code: E0594
//@ error: cannot assign to data in dereference of `Changes<'_, Crm>`
//@ twin: changes => mine

use integration_automation_patterns::sync::Write;
use ui::{Crm, contact};

pub struct Mine<'a> {
    pub status: Option<Write<'a, u8>>,
}

pub fn alter<'a>(changes: &mut contact::Changes<'a, Crm>, mine: &mut Mine<'a>, write: Write<'a, u8>) {
    changes.status = Some(write); //@ here
}
