//! Writing an excluded field
//@ code: E0277
//@ error: `Crm` may not write `internal_notes`: it is excluded from this boundary
//@ label: nobody may: each system keeps its own
//@ twin: internal_notes => nickname

use ui::{Crm, contact};

pub fn import(edit: contact::Edit<Crm>) {
    let _ = edit.internal_notes("rude"); //@ here
}
