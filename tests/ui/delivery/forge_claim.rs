//! Making up a claim for an event that another relay holds
//@ code: none
//@ error: cannot construct `Claim` with struct literal syntax due to private fields
//@ twin: Claim => Draft

use integration_automation_patterns::Envelope;
use integration_automation_patterns::outbox::Claim;
use integration_automation_patterns::state::Dispatched;

pub struct Draft {
    pub event: Envelope<Dispatched>,
}

pub fn forge(event: Envelope<Dispatched>) {
    let _ = Claim { event }; //@ here
}
