//! Adding a state from another crate
//@ code: E0277
//@ error: `Archived` cannot become a state of the event lifecycle: its states are fixed
//@ label: the states are Pending, Dispatched, Acknowledged, Processed, Retrying, Failed and Skipped
//@ twin: State => Stage

use integration_automation_patterns::DeliveryStatus;
use integration_automation_patterns::state::State;

pub trait Stage {
    const STATUS: DeliveryStatus;
    type Next;
}

pub fn states<S: State + ?Sized>() {}

#[derive(Debug, Clone, Copy)]
pub struct Archived;

impl State for Archived { //@ here
    const STATUS: DeliveryStatus = DeliveryStatus::Processed;
    type Next = ();
}
