//! Passing the entry of one field for another's
//@ code: E0308
//@ error: mismatched types
//@ twin: email => nickname

use integration_automation_patterns::sync::declared::{Entry, Shared};
use ui::contact;

pub fn about_nickname<const N: usize>(_: &Entry<'_, contact::field::nickname, Shared, N>) {}

pub fn take(plan: &contact::Plan<'_>) {
    about_nickname(&plan.email); //@ here
}
