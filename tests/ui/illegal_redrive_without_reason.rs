//! Redriving a dead letter without a reason
//@ code: E0308
//@ error: mismatched types
//@ twin: "on-call" => decision

use integration_automation_patterns::state::Failed;
use integration_automation_patterns::{Decision, Envelope};

pub fn redrive(dead: Envelope<Failed>, decision: Decision) {
    let _ = dead.redrive("on-call"); //@ here
}
