//! The proof of a commit is made up
//@ code: E0451
//@ error: field `acker` of struct `Committed` is private
//@ twin: Committed => Claimed

use integration_automation_patterns::inbox::Committed;

pub struct Claimed<A> {
    pub acker: A,
}

pub fn forge<A>(acker: A) {
    let _ = Committed { acker }; //@ here
}
