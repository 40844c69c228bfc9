//! Declaring anew who decides about a field
//@ code: E0117
//@ error: only traits defined in the current crate can be implemented for types defined outside of the crate
//@ twin: email => Email

use integration_automation_patterns::sync::Rule;
use integration_automation_patterns::sync::declared::Ruled;
use ui::contact::field::email;

pub enum Email {}

pub fn of_the_declaration() -> Rule {
    <email as Ruled>::RULE
}

impl Ruled for email { //@ here
    type Value = String;
    const RULE: Rule = Rule::Shared;
}
