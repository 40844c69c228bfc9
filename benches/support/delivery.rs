//! What the benches of delivery send and receive: one event, a broker that confirms at
//! once, and a consumer that has every delivery at hand.

#![allow(dead_code, reason = "no bench uses everything")]

use std::collections::VecDeque;
use std::error::Error;
use std::time::Duration;

use integration_automation_patterns::broker::{
    Ack, Broker, BrokerError, Consumer, Delivery,
};
use integration_automation_patterns::state::{Dispatched, Pending};
use integration_automation_patterns::{Envelope, EventId, RawEvent};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

pub(crate) const PAYLOAD: &str = r#"{"lead":{"name":"Ada Lovelace","company":"Analytical Engines","email":"ada@engines.example","phone":"+44 20 7946 0000","source":"fair","owner":"north","score":42,"notes":"met at the stand; wants a call in the first week of next month"}}"#;

/// An event as programs write it: a fresh id, a correlation, a label, some 250 bytes.
pub(crate) fn event() -> Envelope<Pending> {
    Envelope::builder("crm", RawEvent::new("crm.lead.created", PAYLOAD))
        .id(EventId::generate())
        .correlation_id("import-2026-01-05")
        .tag("region", "eu-west-1")
        .build()
        .expect("the event is well-formed")
}

/// A broker that confirms at once.
pub(crate) struct AtOnce;

impl Broker for AtOnce {
    const SYSTEM: &'static str = "at_once";

    async fn send(&self, _: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        Ok(())
    }
}

/// A consumer that has every delivery at hand.
pub(crate) struct Ready(VecDeque<Delivery<Taken>>);

impl Ready {
    pub(crate) fn new(events: usize) -> Self {
        Self((0..events).map(|_| Delivery::new(event(), Taken)).collect())
    }
}

impl Consumer for Ready {
    type Acker = Taken;

    async fn next(&mut self) -> Result<Option<Delivery<Taken>>, BrokerError> {
        Ok(self.0.pop_front())
    }
}

/// An answer that costs nothing.
pub(crate) struct Taken;

impl Ack for Taken {
    async fn ack(self) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn nack(self, _: Duration) -> Result<(), BrokerError> {
        Ok(())
    }
}
