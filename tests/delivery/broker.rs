//! A broker whose behaviour a test decides, and that remembers what it was sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use integration_automation_patterns::Envelope;
use integration_automation_patterns::broker::{Broker, BrokerError};
use integration_automation_patterns::state::Dispatched;
use tokio::sync::Notify;

/// What the broker does with an event, by its id and the number of the send, from 1.
pub(crate) type Behaviour = dyn Fn(&str, usize) -> Does + Send + Sync;

#[derive(Clone)]
#[allow(dead_code, reason = "not every suite needs all of them")]
pub(crate) enum Does {
    Ack,
    ConfirmAfter(Duration),
    Answer(BrokerError),
    Hang,
    Panic,
}

#[derive(Clone)]
pub(crate) struct Scripted(Arc<Inner>);

struct Inner {
    behaviour: Box<Behaviour>,
    sends: Mutex<HashMap<String, usize>>,
    confirmed: Mutex<Vec<String>>,
    under_way: Mutex<(usize, usize)>,
    sent: Notify,
}

impl Scripted {
    pub(crate) fn new(
        behaviour: impl Fn(&str, usize) -> Does + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            behaviour: Box::new(behaviour),
            sends: Mutex::default(),
            confirmed: Mutex::default(),
            under_way: Mutex::default(),
            sent: Notify::new(),
        }))
    }

    /// The ids in the order of their confirmation.
    pub(crate) fn confirmed(&self) -> Vec<String> {
        self.0.confirmed.lock().unwrap().clone()
    }

    pub(crate) fn sends(&self, id: &str) -> usize {
        self.0.sends.lock().unwrap().get(id).copied().unwrap_or(0)
    }

    /// The most sends that were under way at once.
    pub(crate) fn most(&self) -> usize {
        self.0.under_way.lock().unwrap().1
    }

    /// Ready once `wanted` events are confirmed.
    pub(crate) async fn confirms(&self, wanted: usize) {
        loop {
            let sent = self.0.sent.notified();
            if self.confirmed().len() >= wanted {
                return;
            }
            sent.await;
        }
    }

    /// Ready once an event has been sent so often.
    pub(crate) async fn sent(&self, id: &str, times: usize) {
        loop {
            let sent = self.0.sent.notified();
            if self.sends(id) >= times {
                return;
            }
            sent.await;
        }
    }
}

/// A send that is under way until it is dropped.
struct UnderWay<'a>(&'a Inner);

impl<'a> UnderWay<'a> {
    fn begin(inner: &'a Inner) -> Self {
        let mut count = inner.under_way.lock().unwrap();
        count.0 += 1;
        count.1 = count.1.max(count.0);
        Self(inner)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.lock().unwrap().0 -= 1;
    }
}

impl Broker for Scripted {
    const SYSTEM: &'static str = "scripted";

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        let _under_way = UnderWay::begin(&self.0);
        let id = event.id().to_string();
        let times = {
            let mut sends = self.0.sends.lock().unwrap();
            let times = sends.entry(id.clone()).or_default();
            *times += 1;
            *times
        };
        self.0.sent.notify_waiters();
        match (self.0.behaviour)(&id, times) {
            Does::Ack => {}
            Does::ConfirmAfter(time) => tokio::time::sleep(time).await,
            Does::Answer(error) => return Err(error),
            Does::Hang => std::future::pending().await,
            Does::Panic => panic!("the broker's code has a bug (a test)"),
        }
        self.0.confirmed.lock().unwrap().push(id);
        self.0.sent.notify_waiters();
        Ok(())
    }
}
