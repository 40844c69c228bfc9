//! Naming a handler by what carries every event
//@ code: E0277
//@ error: `RawEvent` does not say which event it is
//@ label: needs `impl Event for RawEvent` with its TYPE; `.otherwise(..)` takes every event
//@ twin: -

use integration_automation_patterns::RawEvent;
use integration_automation_patterns::broker::Listener;
use integration_automation_patterns::inbox::InboxConfig;
use integration_automation_patterns::inbox::sqlite::{Worker, handlers};

pub async fn handle(inbox: InboxConfig, listener: Listener) {
    let handlers = handlers()
        .on::<RawEvent>().effect(|_, _| Ok(())) //@ here
        .otherwise(|_, _| Ok(()));
    let worker = Worker::open("erp.db", inbox, listener, handlers, Default::default());
    let _ = worker.unwrap().run(async {}).await;
    let _ = RawEvent::DEFAULT_SCHEMA_VERSION;
}
