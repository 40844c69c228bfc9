//! Taking a step from a state that the event has left
//@ code: E0382
//@ error: use of moved value: `event`
//@ twin: event => sent

use integration_automation_patterns::Envelope;
use integration_automation_patterns::state::Pending;

pub fn relay(event: Envelope<Pending>) {
    let sent = event.dispatch();
    let _ = event.skip("duplicate"); //@ here
}
