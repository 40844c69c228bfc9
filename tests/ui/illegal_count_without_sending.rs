//! Counting an attempt without making it
//@ code: E0616
//@ error: field `attempts` of struct `Facts` is private
//@ twin: event => record

use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Envelope, Record};

pub fn count(mut event: Envelope<Pending>, mut record: Record) {
    event.attempts += 1; //@ here
}
