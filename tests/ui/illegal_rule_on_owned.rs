//! Settling by a rule a field that has an owner
//@ code: E0277
//@ error: no rule settles this field: it has an owner, or a person decides on it
//@ label: a rule settles a conflict on a `Shared` field
//@ twin: email => nickname

use ui::contact;

pub fn settle(rules: contact::Rules<'_, '_>) {
    rules.email.prefer(0); //@ here
}
