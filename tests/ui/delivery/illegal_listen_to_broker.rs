//! Having a worker listen to the end of a broker that sends
//@ code: E0277
//@ error: a worker cannot listen to `InProcess`
//@ label: needs a `Consumer`: what an adapter's `listen` returns, an `AnyConsumer`, or one of your own
//@ twin: broker => listener

use integration_automation_patterns::broker::in_process;
use integration_automation_patterns::inbox::InboxConfig;
use integration_automation_patterns::inbox::sqlite::{Worker, handlers};

pub fn work(inbox: InboxConfig) {
    let (broker, listener) = in_process(16);
    let handlers = handlers().otherwise(|_, _| Ok(()));
    let _ = (&broker, &listener);
    let _ = Worker::open("erp.db", inbox, broker, handlers, Default::default()); //@ here
}
