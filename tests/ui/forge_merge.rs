//! Making up by a function what a person must decide
//@ code: E0277
//@ error: no rule settles this field: it has an owner, or a person decides on it
//@ label: a rule settles a conflict on a `Shared` field
//@ twin: status => nickname

use ui::contact;

pub fn settle(rules: contact::Rules<'_, '_>) {
    rules.status.merge(|_, _| None); //@ here
}
