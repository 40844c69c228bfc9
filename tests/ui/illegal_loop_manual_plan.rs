//! Carrying out, write by write, what a person must decide
//@ code: E0277
//@ error: a plan does not write this field: only a person decides on it
//@ label: its `question` is put to a person, and `settle` with the answer gives the writes
//@ twin: status => email

use ui::contact;

pub fn places(plan: &contact::Plan<'_>) -> Vec<usize> {
    let mut places = Vec::new();
    for write in plan.status.writes() { //@ here
        places.push(write.to());
    }
    places
}
