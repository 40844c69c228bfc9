//! Planning a write that a person must decide
//@ code: E0277
//@ error: a plan does not write this field: only a person decides on it
//@ label: its `question` is put to a person, and `settle` with the answer gives the writes
//@ twin: status => email

use integration_automation_patterns::sync::Question;
use ui::contact;

pub fn carry_out(plan: contact::Plan<'_>) -> Option<Question> {
    let _ = plan.status.writes(); //@ here
    plan.status.question()
}
