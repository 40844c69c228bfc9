//! Discarding a live event
//@ code: E0277
//@ error: an envelope cannot go from `pending` to `skipped`
//@ label: legal next states of `pending`: (dispatched, skipped)
//@ twin: event => dead

use integration_automation_patterns::state::{Failed, Pending};
use integration_automation_patterns::{Decision, Envelope};

pub fn discard(event: Envelope<Pending>, dead: Envelope<Failed>, decision: Decision) {
    let _ = event.discard(decision); //@ here
}
