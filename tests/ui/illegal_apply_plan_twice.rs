//! Applying a plan twice
//@ code: E0382
//@ error: use of moved value: `plan`
//@ twin: plan => again

use ui::{Crm, Erp, contact};

pub fn synchronise(plan: contact::Plan<'_>, again: contact::Plan<'_>, mut crm: contact::Snapshot<Crm>, mut erp: contact::Snapshot<Erp>) {
    let _ = plan.apply(contact::Answers::default(), &mut crm, &mut erp);
    let _ =
        plan //@ here
            .apply(contact::Answers::default(), &mut crm, &mut erp);
}
