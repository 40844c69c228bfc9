//! A plan writes what a person must decide
//@ code: E0599
//@ error: no method named `writes` found for struct `ManualField<'a, T, N>` in the current scope
//@ twin: status => email

use integration_automation_patterns::sync::Question;
use ui::contact;

pub fn carry_out(plan: contact::Plan<'_>) -> Option<Question> {
    let _ = plan.status.writes(); //@ here
    plan.status.question()
}
