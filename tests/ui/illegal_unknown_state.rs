//! Naming a state that does not exist
//@ code: E0277
//@ error: `Lost` is not a state of the event lifecycle
//@ label: the states are Pending, Dispatched, Acknowledged, Processed, Retrying, Failed and Skipped
//@ twin: Lost => Failed

use integration_automation_patterns::Envelope;
use integration_automation_patterns::state::Failed;

pub struct Lost;

pub fn find(_: Envelope<Lost>, _: Envelope<Failed>) {} //@ here
