//! Deciding without a seat
//@ code: E0451
//@ error: fields `actor`, `decision` and `role` of struct `Ruling` are private
//@ twin: forged => lent

mod table;

use integration_automation_patterns::workflow::{Ruling, Actor};

use ui::orders::Controller;

macro_rules! forged {
    ($actor:ident $decision:ident) => {
        Ruling { actor: $actor, decision: $decision, role: std::marker::PhantomData }
    };
}

macro_rules! lent {
    ($($any:tt)*) => {
        unimplemented!()
    };
}

pub fn sneak(
    actor: Actor,
    decision: integration_automation_patterns::Decision,
) -> Ruling<Controller> {
    let _ = (&actor, &decision);
    forged!(actor decision) //@ here
}
