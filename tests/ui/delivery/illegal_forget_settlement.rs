//! Forgetting to store what became of a claimed event
//@ code: unused_must_use
//@ error: unused `Settlement` that must be used
//@ twin: forget => keep

#![deny(unused_must_use)]

use integration_automation_patterns::outbox::{Claim, Settlement};

fn forget(settlement: Settlement) -> Settlement {
    settlement
}

fn keep(_: Settlement) {}

pub fn settle(claim: Claim) {
    forget(claim.acknowledge()); //@ here
    let _ = keep;
}
