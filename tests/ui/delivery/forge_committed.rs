//! Making up the proof of a commit
//@ code: E0451
//@ error: field `answer` of struct `Committed` is private
//@ twin: Committed => Claimed

use integration_automation_patterns::inbox::Committed;

pub struct Claimed<A> {
    pub answer: A,
}

pub fn forge<A>(answer: A) {
    let _ = Committed { answer }; //@ here
}
