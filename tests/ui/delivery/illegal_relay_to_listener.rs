//! Having a relay send to the end of a broker that receives
//@ code: E0277
//@ error: a relay cannot send to `Listener`
//@ label: needs a `Broker`: the sending side of an adapter, an `AnyBroker`, or one of your own
//@ twin: listener => broker

use integration_automation_patterns::broker::in_process;
use integration_automation_patterns::outbox::sqlite::Outbox;
use integration_automation_patterns::relay::Relay;

pub fn relay(outbox: Outbox) {
    let (broker, listener) = in_process(16);
    let _ = (&broker, &listener);
    let _ = Relay::new("relay", outbox, listener, Default::default()); //@ here
}
