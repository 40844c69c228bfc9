//! Scheduling another attempt of a finished event
//@ code: E0277
//@ error: an envelope cannot go from `skipped` to `dispatched`
//@ label: of legal next states it has none: `skipped` is final
//@ twin: gone => waiting

use integration_automation_patterns::state::{Retrying, Skipped};
use integration_automation_patterns::Envelope;

pub fn schedule(gone: Envelope<Skipped>, waiting: Envelope<Retrying>) {
    let _ = gone.next_attempt_at(); //@ here
}
