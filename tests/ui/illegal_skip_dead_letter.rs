//! Skipping a dead letter in a program
//@ code: E0277
//@ error: an envelope cannot go from `failed` to `skipped`
//@ label: only a person decides on `failed`: (pending, skipped)
//@ twin: dead => retrying

use integration_automation_patterns::state::{Failed, Retrying};
use integration_automation_patterns::Envelope;

pub fn sweep(dead: Envelope<Failed>, retrying: Envelope<Retrying>) {
    let _ = dead.skip("too old"); //@ here
}
