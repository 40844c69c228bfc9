//! Redriving a live event
//@ code: E0277
//@ error: an envelope cannot go from `dispatched` to `pending`
//@ label: legal next states of `dispatched`: (acknowledged, processed, retrying, failed, skipped)
//@ twin: sent => dead

use integration_automation_patterns::state::{Dispatched, Failed};
use integration_automation_patterns::{Decision, Envelope};

pub fn redrive(sent: Envelope<Dispatched>, dead: Envelope<Failed>, decision: Decision) {
    let _ = sent.redrive(decision); //@ here
}
