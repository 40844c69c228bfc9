//! Applying one system's edit as another's
//@ code: E0308
//@ error: mismatched types
//@ twin: by_crm => by_erp

use ui::{Crm, Erp, contact};

pub fn take_over(mut erp: contact::Snapshot<Erp>, by_crm: contact::Edit<Crm>, by_erp: contact::Edit<Erp>) {
    erp.edit(by_crm); //@ here
}
