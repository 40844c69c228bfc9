//! Passing one system's data for another's
//@ code: E0308
//@ error: mismatched types
//@ twin: crm => erp

use ui::{Crm, Erp, contact};

pub fn plan(of_crm: &contact::Snapshot<Crm>, crm: &contact::Snapshot<Crm>, erp: &contact::Snapshot<Erp>) {
    let _ = contact::reconcile(of_crm, crm, &contact::Bases::default()); //@ here
}
