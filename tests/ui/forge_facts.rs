//! Resetting the attempts of an event
//@ code: E0596
//@ error: cannot borrow data in dereference of `Envelope<retrying>` as mutable
//@ twin: event => record

use integration_automation_patterns::state::Retrying;
use integration_automation_patterns::{Envelope, Record};

pub fn swap(mut event: Envelope<Retrying>, mut other: Box<Envelope<Retrying>>, mut record: Box<Record>) {
    let _ = &mut *event; //@ here
}
