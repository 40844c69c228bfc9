//! Applying a plan to the wrong system
//@ code: E0277
//@ error: a store of `Erp` is not where `Crm` keeps its records
//@ label: wanted a store whose `System` is `Crm`: one for each system, in the order of the declaration
//@ twin: backup => crm

use ui::{Crm, Erp, contact};

pub fn synchronise(
    plan: contact::Plan<'_>,
    mut crm: contact::Snapshot<Crm>,
    mut backup: contact::Snapshot<Erp>,
    mut erp: contact::Snapshot<Erp>,
) {
    let (crm, backup) = (&mut crm, &mut backup);
    let _ = plan.apply(contact::Answers::default(), backup, &mut erp); //@ here
}
