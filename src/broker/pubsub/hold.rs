//! What a listener holds of its subscription: messages that wait, messages in hand, and
//! those whose retry is not due. The client renews the deadlines of all of them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use google_cloud_pubsub::model::Message;
use google_cloud_pubsub::subscriber::handler::Handler;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::order::{Key, Order};
use super::reading::read;
use super::retries::{Retries, Then};
use crate::Envelope;
use crate::broker::BrokerError;
use crate::state::Pending;

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
    state: Mutex<State>,
    /// Something can be handed out, or failed.
    pub(super) arrived: Notify,
    /// Another retry waits.
    waits: Notify,
    closed: Notify,
}

struct State {
    order: Order,
    retries: Retries,
    held: HashMap<u64, Held>,
    numbers: u64,
    failed: Option<BrokerError>,
    phase: Phase,
    /// When the server was heard last, or what it is heard for was done.
    heard: Instant,
}

/// How far the listener has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Nobody listens any more, and the stream is still open: what went back now would
    /// come to it again, and stay with it until its deadline is over.
    Closing,
    /// The stream has ended.
    Closed,
}

/// A message, with what acks it. Dropped, it goes back to the server.
struct Held {
    message: Message,
    handler: Handler,
    received: Instant,
    redelivered: bool,
}

impl Hold {
    pub(super) fn new(subscription: Arc<str>, max_lease: Duration) -> Self {
        let state = State {
            order: Order::default(),
            retries: Retries::new(max_lease),
            held: HashMap::new(),
            numbers: 0,
            failed: None,
            phase: Phase::Open,
            heard: Instant::now(),
        };
        let (arrived, waits) = (Notify::new(), Notify::new());
        let (state, closed) = (Mutex::new(state), Notify::new());
        Self { subscription, state, arrived, waits, closed }
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
        state.heard = received;
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
        while let Some((key, number)) = state.order.next() {
            let Some(held) = state.held.get(&number) else { continue };
            let event = read(&held.message, &self.subscription);
            let redelivered = held.redelivered;
            return Some(Ok(HandedOut { event, redelivered, key, number }));
        }
        state.failed.take().map(Err)
    }

    /// Turns to each retry when it is due, without an end: also where nobody asks for the
    /// next message, what is to go back to the server goes.
    pub(super) async fn turn(&self) -> Infallible {
        loop {
            let due = self.state().next_due();
            tokio::select! {
                () = self.waits.notified() => {}
                () = crate::sleep::at(due) => {
                    self.state().turn_to_what_is_due(Instant::now());
                    self.arrived.notify_one();
                }
            }
        }
    }

    /// The message is dealt with: its handler, to ack it by.
    pub(super) fn done(&self, number: u64, key: &Key) -> Option<Handler> {
        let mut state = self.state();
        state.order.done(key);
        state.is_settled();
        let held = state.held.remove(&number);
        drop(state);
        self.arrived.notify_one();
        held.map(|held| held.handler)
    }

    /// The message is handed out again after a while, here, and before all others of its
    /// key: the server knows no delay, and could let a later one pass.
    pub(super) fn again(&self, number: u64, key: Key, after: Duration) {
        let mut state = self.state();
        state.is_settled();
        match state.phase {
            Phase::Open => state.retry(number, key, after),
            // It goes back with all others.
            Phase::Closing => state.order.again(key, number),
            Phase::Closed => drop(state.held.remove(&number)),
        }
        drop(state);
        self.arrived.notify_one();
        self.waits.notify_one();
    }

    /// Nobody listens any more.
    pub(super) fn close(&self) {
        let mut state = self.state();
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
        }
        drop(state);
        self.closed.notify_one();
    }

    /// Until nobody listens any more.
    pub(super) async fn closed(&self) {
        if self.state().phase == Phase::Open {
            self.closed.notified().await;
        }
    }

    /// The server has answered.
    pub(super) fn hear(&self) {
        self.state().heard = Instant::now();
    }

    /// Until nothing was heard of the server for so long.
    pub(super) async fn quiet(&self, quiet: Duration) {
        loop {
            let heard = self.state().heard.elapsed();
            if heard >= quiet {
                return;
            }
            sleep(quiet.saturating_sub(heard)).await;
        }
    }

    /// Gives back all that is in nobody's hands, now that the stream has ended.
    pub(super) fn give_back(&self) {
        let mut state = self.state();
        state.phase = Phase::Closed;
        let State { order, retries, held, .. } = &mut *state;
        for number in order.drain().into_iter().chain(retries.drain()) {
            held.remove(&number);
        }
    }
}

impl State {
    /// Where the listener has ended, its ack may still bring the next of its key.
    fn is_settled(&mut self) {
        if self.phase != Phase::Open {
            self.heard = Instant::now();
        }
    }

    fn retry(&mut self, number: u64, key: Key, after: Duration) {
        let Some(held) = self.held.get_mut(&number) else { return };
        held.redelivered = true;
        self.retries.wait(number, key, held.received, Instant::now(), after);
    }

    /// When the next retry is due; once nobody listens, none is.
    fn next_due(&self) -> Option<Instant> {
        self.retries.next_due().filter(|_| self.phase == Phase::Open)
    }

    fn turn_to_what_is_due(&mut self, now: Instant) {
        if self.phase != Phase::Open {
            return;
        }
        while let Some((number, key, then)) = self.retries.take_due(now) {
            match then {
                Then::Again => self.order.again(key, number),
                Then::Back => {
                    self.held.remove(&number);
                    for behind in self.order.back(&key) {
                        self.held.remove(&behind);
                    }
                }
            }
        }
    }
}
