//! Declaring a field that cannot be compared
//@ code: E0277
//@ error: `f64` cannot be the type of a field: a plan compares values with `Eq`, and clones them
//@ label: needs `#[derive(Clone, PartialEq, Eq)]`; a float has no `Eq`: take a type of one precision, such as whole cents
//@ twin: f64 => u64

use integration_automation_patterns::boundary;
use ui::{Crm, Erp};

boundary! {
    pub mod lead between Crm and Erp {
        email: String => Crm,
        amount: f64 => Shared, //@ here
        phone: String => Erp,
    }
}

pub fn plan<'a>(
    crm: &'a lead::Snapshot<Crm>,
    erp: &'a lead::Snapshot<Erp>,
    known: &'a lead::Bases,
) -> lead::Plan<'a> {
    let mut plan = lead::reconcile(crm, erp, known);
    plan.rules().amount.prefer(0);
    plan
}

pub fn next(plan: &lead::Plan<'_>) -> lead::Bases {
    let writes = plan.amount.writes().count();
    let asked = plan.amount.review("L-1", "amount", ["crm", "erp"]).is_some();
    if writes == 0 || asked { lead::Bases::default() } else { plan.next() }
}

pub fn try_out(plan: lead::Plan<'_>, mut crm: lead::Snapshot<Crm>, mut erp: lead::Snapshot<Erp>) -> bool {
    plan.apply(lead::Answers::default(), &mut crm, &mut erp).is_ok()
}
