//! Speaking for another system
//@ code: E0308
//@ error: mismatched types
//@ twin: Crm => Hr

use integration_automation_patterns::sync::Capability;
use ui::{Crm, Hr, hr};

pub fn connect() {
    let _ = Capability::<Crm>::mint(&hr::Key::of_the_connector()); //@ here
}
