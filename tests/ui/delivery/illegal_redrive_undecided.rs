//! Redriving dead letters without a person's decision
//@ code: E0308
//@ error: mismatched types
//@ twin: reason => decision

use std::time::Duration;

use integration_automation_patterns::Decision;
use integration_automation_patterns::outbox::Redrive;

pub fn redrive(decision: Decision, reason: String, window: Duration) {
    let _ = Redrive::new(reason, window); //@ here
}
