//! Writing a field that another system owns
//@ code: E0277
//@ error: `Crm` may not write `billing_address`: its system of record is `Erp`
//@ label: this edit speaks for `Crm`; `edit` with the capability of `Erp` may write it
//@ twin: billing_address => email

use ui::{Crm, contact};

pub fn import(edit: contact::Edit<Crm>) {
    let _ = edit.billing_address("1 Main St"); //@ here
}
