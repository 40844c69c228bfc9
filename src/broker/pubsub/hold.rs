//! What a listener holds of its subscription: messages that wait, messages in hand, and
//! those whose retry is not due. The client renews the deadlines of all of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use google_cloud_pubsub::model::Message;
use google_cloud_pubsub::subscriber::handler::Handler;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::order::{Key, Order};
use super::reading::read;
use crate::Envelope;
use crate::broker::BrokerError;
use crate::state::Pending;

/// So long before its lease ends, a message goes back to the server.
const BEFORE_THE_END: Duration = Duration::from_secs(30);

/// A message as it is handed out.
pub(super) struct HandedOut {
    pub(super) event: Envelope<Pending>,
    pub(super) redelivered: bool,
    pub(super) key: Key,
    /// The number under which it is held.
    pub(super) number: u64,
}

/// Shared by a listener, its stream and its deliveries.
pub(super) struct Hold {
    pub(super) subscription: Arc<str>,
    /// How long the client renews the deadline of a message.
    max_lease: Duration,
    state: Mutex<State>,
    /// Something can be handed out, or failed.
    pub(super) arrived: Notify,
    /// Nobody listens any more.
    pub(super) closed: Notify,
}

#[derive(Default)]
struct State {
    order: Order,
    held: HashMap<u64, Held>,
    numbers: u64,
    due: BTreeMap<(Instant, u64), (Key, Then)>,
    failed: Option<BrokerError>,
    closed: bool,
}

/// A message, with what acks it. Dropped, it goes back to the server.
struct Held {
    message: Message,
    handler: Handler,
    received: Instant,
    redelivered: bool,
}

/// What becomes of a message when its retry is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Again,
    /// Its lease ends before that.
    Back,
}

impl Hold {
    pub(super) fn new(subscription: Arc<str>, max_lease: Duration) -> Self {
        Self {
            subscription,
            max_lease,
            state: Mutex::default(),
            arrived: Notify::new(),
            closed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was received, in its order.
    pub(super) fn keep(&self, message: Message, handler: Handler) {
        let key = &message.ordering_key;
        let key: Key = (!key.is_empty()).then(|| key.as_str().into());
        // Without a dead-letter policy nobody counts.
        let redelivered = handler.delivery_attempt().is_none_or(|attempt| attempt > 1);
        let received = Instant::now();
        let mut state = self.state();
        state.numbers = state.numbers.saturating_add(1);
        let number = state.numbers;
        state.held.insert(number, Held { message, handler, received, redelivered });
        state.order.push(key, number);
        drop(state);
        self.arrived.notify_one();
    }

    pub(super) fn fail(&self, error: BrokerError) {
        self.state().failed = Some(error);
        self.arrived.notify_one();
    }

    /// The next message to hand out, or why there is none.
    pub(super) fn next(&self) -> Option<Result<HandedOut, BrokerError>> {
        let mut state = self.state();
        state.turn_to_what_is_due(Instant::now());
        while let Some((key, number)) = state.order.next() {
            let Some(held) = state.held.get(&number) else { continue };
            let event = read(&held.message, &self.subscription);
            let redelivered = held.redelivered;
            return Some(Ok(HandedOut { event, redelivered, key, number }));
        }
        state.failed.take().map(Err)
    }

    /// When the next retry is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.state().due.keys().next().map(|(at, _)| *at)
    }

    /// The message is dealt with: its handler, to ack it by.
    pub(super) fn done(&self, number: u64, key: &Key) -> Option<Handler> {
        let mut state = self.state();
        state.order.done(key);
        let held = state.held.remove(&number);
        drop(state);
        self.arrived.notify_one();
        held.map(|held| held.handler)
    }

    /// The message is handed out again after a while, here, and before all others of its
    /// key: the server knows no delay, and could let a later one pass.
    pub(super) fn again(&self, number: u64, key: Key, after: Duration) {
        let mut state = self.state();
        if state.closed {
            state.held.remove(&number);
            return;
        }
        let Some(held) = state.held.get_mut(&number) else { return };
        held.redelivered = true;
        let leased = self.max_lease.saturating_sub(BEFORE_THE_END);
        let left = leased.saturating_sub(held.received.elapsed());
        let then = if after < left { Then::Again } else { Then::Back };
        let at = crate::sleep::after(after.min(left));
        state.due.insert((at, number), (key, then));
        drop(state);
        self.arrived.notify_one();
    }

    /// Nobody listens any more: what comes after that is only kept from this stream.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.closed.notify_one();
    }

    /// Gives back all that is in nobody's hands.
    pub(super) fn give_back(&self) {
        let mut state = self.state();
        let mut numbers = state.order.drain();
        let due = std::mem::take(&mut state.due);
        numbers.extend(due.into_keys().map(|(_, number)| number));
        for number in numbers {
            state.held.remove(&number);
        }
    }
}

impl State {
    fn turn_to_what_is_due(&mut self, now: Instant) {
        while let Some(first) = self.due.first_entry() {
            let (at, number) = *first.key();
            if at > now {
                return;
            }
            match first.remove() {
                (key, Then::Again) => self.order.again(key, number),
                (key, Then::Back) => {
                    self.held.remove(&number);
                    for behind in self.order.back(&key) {
                        self.held.remove(&behind);
                    }
                }
            }
        }
    }
}
