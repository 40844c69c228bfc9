//! Signing an amendment in a role that one has no seat of
//@ code: E0616
//@ error: field `role` of struct `By` is private
//@ twin: -

use integration_automation_patterns::workflow::By;

pub fn sneak(by: &mut By) {
    let _ = &by;
    by.role = Some("controller"); //@ here
}
