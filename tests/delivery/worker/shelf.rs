//! A broker on a shelf: it delivers in order, delivers again what was not acked, and
//! loses the acks that a test says.

use std::collections::BTreeMap;
use std::time::Duration;

use integration_automation_patterns::Envelope;
use integration_automation_patterns::broker::{Ack, BrokerError, Consumer, Delivery};
use integration_automation_patterns::state::Pending;
use tokio::sync::watch;

/// A message, as it stands on the shelf.
pub(super) struct Message {
    pub(super) event: Box<dyn Fn() -> Envelope<Pending> + Send + Sync>,
    /// Whether its next delivery says that there was one before.
    pub(super) again: bool,
    /// How many of its acks are lost on their way.
    pub(super) lost_acks: u32,
}

/// What stands on it, by place, and how much has left it.
#[derive(Default)]
struct Stock {
    waiting: BTreeMap<usize, Message>,
    /// In the hands of consumers.
    taken: usize,
    deliveries: usize,
    /// Where the next goes that stands behind all others.
    end: usize,
}

impl Stock {
    fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.taken == 0
    }
}

/// Any number of consumers share it.
#[derive(Clone)]
pub(super) struct Shelf(watch::Sender<Stock>);

impl Shelf {
    pub(super) fn of(messages: Vec<Message>) -> Self {
        let end = messages.len();
        let waiting = messages.into_iter().enumerate().collect();
        Self(watch::Sender::new(Stock { waiting, end, ..Stock::default() }))
    }

    /// Returns when so many deliveries were made, or no more will be.
    pub(super) async fn until_delivered(&self, deliveries: usize) {
        let seen = |stock: &Stock| stock.deliveries >= deliveries || stock.is_over();
        let mut receiver = self.0.subscribe();
        drop(receiver.wait_for(seen).await.expect("the shelf stands"));
    }

    /// Returns when all is acked.
    pub(super) async fn until_over(&self) {
        self.until_delivered(usize::MAX).await;
    }

    fn take(&self) -> Option<Delivery<Held>> {
        let mut taken = None;
        self.0.send_if_modified(|stock| {
            taken = stock.waiting.pop_first();
            stock.taken += usize::from(taken.is_some());
            stock.deliveries += usize::from(taken.is_some());
            taken.is_some()
        });
        let (place, message) = taken?;
        let (event, again) = ((message.event)(), message.again);
        let held = Held { place, message: Some(message), shelf: self.clone() };
        Some(Delivery::new(event, held).redelivered(again))
    }
}

impl Consumer for Shelf {
    type Acker = Held;

    async fn next(&mut self) -> Result<Option<Delivery<Held>>, BrokerError> {
        let mut receiver = self.0.subscribe();
        loop {
            let offers = |stock: &Stock| !stock.waiting.is_empty();
            drop(receiver.wait_for(offers).await.expect("the shelf stands"));
            if let Some(taken) = self.take() {
                return Ok(Some(taken));
            }
        }
    }
}

/// A message in the hands of a consumer. Dropped, it goes back to its place.
pub(super) struct Held {
    place: usize,
    message: Option<Message>,
    shelf: Shelf,
}

impl Held {
    /// Puts the message back, at its place or behind all others.
    fn put_back(&mut self, behind: bool) {
        let Some(message) = self.message.take() else { return };
        let place = self.place;
        self.shelf.0.send_modify(|stock| {
            let place = if behind { stock.end } else { place };
            stock.end += usize::from(behind);
            stock.taken -= 1;
            stock.waiting.insert(place, Message { again: true, ..message });
        });
    }
}

impl Ack for Held {
    async fn ack(mut self) -> Result<(), BrokerError> {
        if let Some(message) = self.message.as_mut().filter(|held| held.lost_acks > 0) {
            message.lost_acks -= 1;
            self.put_back(false);
            return Err(BrokerError::transient("the ack is lost"));
        }
        self.message = None;
        self.shelf.0.send_modify(|stock| stock.taken -= 1);
        Ok(())
    }

    async fn nack(mut self, _: Duration) -> Result<(), BrokerError> {
        self.put_back(true);
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.put_back(false);
    }
}
