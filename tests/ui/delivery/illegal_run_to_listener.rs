//! Running a relay that sends to the end of a broker that receives
//@ code: E0277
//@ error: a relay cannot send to `Listener`
//@ label: needs a `Broker`: the sending side of an adapter, an `AnyBroker`, or one of your own
//@ also: the method `run` exists for struct `integration_automation_patterns::relay::Relay<S, Listener>`, but its trait bounds were not satisfied
//@ twin: listener => broker

use integration_automation_patterns::broker::in_process;
use integration_automation_patterns::outbox::Store;
use integration_automation_patterns::relay::Relay;

pub async fn run<S: Store>(outbox: S) {
    let (broker, listener) = in_process(16);
    let _ = (&broker, &listener);
    let relay = Relay::new("relay", outbox, listener, Default::default()).unwrap(); //@ here
    let relay = relay.on_incident(|incident| println!("{incident}"));
    let summary = relay.run(async {}).await;
    assert_eq!(relay.progress(), summary);
}
