//! Deciding without a seat
//@ code: E0451
//@ error: fields `actor`, `decision` and `role` of struct `Ruling` are private
//@ twin: forged => lent

mod table;

use integration_automation_patterns::Decision;
use integration_automation_patterns::workflow::{Actor, Ruling};
use ui::orders::Controller;

macro_rules! forged {
    ($actor:ident $decision:ident $ruling:ident) => {
        Ruling { actor: $actor, decision: $decision, role: std::marker::PhantomData }
    };
}

macro_rules! lent {
    ($actor:ident $decision:ident $ruling:ident) => {
        $ruling
    };
}

pub fn sneak(
    actor: Actor,
    decision: Decision,
    ruling: Ruling<Controller>,
) -> Ruling<Controller> {
    let _ = (&actor, &decision, &ruling);
    forged!(actor decision ruling) //@ here
}
