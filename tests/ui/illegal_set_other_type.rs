//! Setting a field to a value of another type
//@ code: E0277
//@ error: `{integer}` is no value for a field of type `String`
//@ label: wanted `String`, or an `Option` of it, where `None` clears the field
//@ twin: 7 => None

use ui::{Crm, contact};

pub fn import(edit: contact::Edit<Crm>) {
    let _ = edit.email(7); //@ here
}
