//! Putting another record's entry into a plan
//@ code: E0596
//@ error: cannot borrow data in dereference of `Plan<'_>` as mutable
//@ twin: plan => held

use std::mem::swap;

use integration_automation_patterns::sync::declared::{Entry, Owned, Reject};
use ui::contact;

pub type OfEmail<'a> = Entry<'a, contact::field::email, Owned<Reject>, 2>;

pub struct Held<'a> {
    pub email: OfEmail<'a>,
}

pub fn exchange<'a>(plan: &mut contact::Plan<'a>, held: &mut Held<'a>, other: &mut OfEmail<'a>) {
    swap(&mut plan.email, other); //@ here
}
