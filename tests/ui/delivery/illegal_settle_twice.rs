//! Settling a claimed event twice
//@ code: E0382
//@ error: use of moved value: `claim`
//@ twin: claim => other

use integration_automation_patterns::outbox::{Claim, Settlement};

pub fn settle(claim: Claim, other: Claim) -> [Settlement; 2] {
    let failed = claim.fail("timeout");
    let settled = claim.acknowledge(); //@ here
    [failed, settled]
}
