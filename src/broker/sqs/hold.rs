//! What a listener holds of its queue: messages that wait and messages in hand, none of
//! which anybody else sees until it is settled.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::buffer::{Buffer, Group};
use super::queue::Queue;
use super::settling::{Answer, Settling, seconds};
use crate::Envelope;
use crate::broker::{BrokerError, BrokerErrorKind};
use crate::state::Pending;

/// How long SQS lets anybody hold a message in all.
pub(super) const LONGEST_HOLD: Duration = Duration::from_secs(12 * 60 * 60);

/// Less than that by what a request may take.
const LAST_RENEWAL: Duration = Duration::from_secs(12 * 60 * 60 - 60);

/// A message as it was fetched.
pub(super) struct Fetched {
    pub(super) event: Envelope<Pending>,
    pub(super) redelivered: bool,
    /// The number under which it is held.
    pub(super) number: u64,
}

/// Shared by a listener, its poll and its deliveries.
pub(super) struct Hold {
    pub(super) queue: Arc<Queue>,
    pub(super) visibility: Duration,
    settling: Settling,
    state: Mutex<State>,
    /// Something can be handed out, or failed.
    pub(super) arrived: Notify,
    /// More may be fetched, or nothing is wanted any more.
    pub(super) room: Notify,
}

#[derive(Default)]
struct State {
    buffer: Buffer<Fetched>,
    /// The handles of all that is held, and when each was received.
    held: BTreeMap<u64, (Arc<str>, Instant)>,
    numbers: u64,
    failed: Option<BrokerError>,
    closed: bool,
}

impl Hold {
    pub(super) fn new(queue: Arc<Queue>, visibility: Duration) -> Arc<Self> {
        let settling = Settling::start(&queue);
        let hold = Arc::new(Self {
            queue,
            visibility,
            settling,
            state: Mutex::default(),
            arrived: Notify::new(),
            room: Notify::new(),
        });
        tokio::spawn(renew(Arc::downgrade(&hold), visibility));
        hold
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was received, in its order, or gives it back where nobody listens any
    /// more.
    pub(super) fn keep(
        &self,
        received: impl Iterator<Item = (Option<Group>, Arc<str>, Envelope<Pending>, bool)>,
    ) {
        let mut state = self.state();
        let now = Instant::now();
        for (group, handle, event, redelivered) in received {
            state.numbers = state.numbers.saturating_add(1);
            let number = state.numbers;
            state.held.insert(number, (handle, now));
            state.buffer.push(group, Fetched { event, redelivered, number });
        }
        if state.closed {
            self.release(&mut state);
        }
        drop(state);
        self.arrived.notify_one();
    }

    pub(super) fn fail(&self, error: BrokerError) {
        self.state().failed = Some(error);
        self.arrived.notify_one();
    }

    /// The next message to hand out, or why there is none.
    pub(super) fn next(&self) -> Option<Result<(Option<Group>, Fetched), BrokerError>> {
        let mut state = self.state();
        let next = state.buffer.next().map(Ok);
        let next = next.or_else(|| state.failed.take().map(Err));
        drop(state);
        self.room.notify_one();
        next
    }

    /// Whether more may be fetched; nothing where nobody listens any more.
    pub(super) fn has_room(&self) -> Option<bool> {
        let state = self.state();
        (!state.closed).then(|| state.buffer.has_room())
    }

    /// The message is dealt with.
    pub(super) fn delete(&self, number: u64, group: Option<&Group>) -> Option<Answer> {
        let mut state = self.state();
        if let Some(group) = group {
            state.buffer.done(group);
        }
        let deleted = state.held.remove(&number);
        drop(state);
        self.arrived.notify_one();
        deleted.map(|(handle, _)| self.settling.delete(handle))
    }

    /// The message comes again after a while. Those of its group that wait behind it go
    /// back with it, the last one first, so that none passes it.
    pub(super) fn again(
        &self,
        number: u64,
        group: Option<&Group>,
        after: Duration,
    ) -> Option<Answer> {
        let mut state = self.state();
        let behind = group.map(|group| state.buffer.back(group)).unwrap_or_default();
        let mut changes = state.drop_all(behind);
        if let Some((handle, received)) = state.held.remove(&number) {
            let left = LAST_RENEWAL.saturating_sub(received.elapsed());
            changes.push((handle, seconds(after.min(left))));
        }
        let answer = (!changes.is_empty()).then(|| self.settling.change(changes));
        drop(state);
        self.room.notify_one();
        answer
    }

    /// Nobody listens any more: what waits is visible to others at once, and what is
    /// still fetched too.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        self.release(&mut state);
        drop(state);
        self.room.notify_one();
    }

    fn release(&self, state: &mut State) {
        let waiting = state.buffer.drain();
        let changes = state.drop_all(waiting);
        if !changes.is_empty() {
            drop(self.settling.change(changes));
        }
    }

    /// Under the lock, so that no renewal follows the end of what it renews.
    fn renew_all(&self) -> Option<Answer> {
        let state = self.state();
        let young = |(_, received): &&(Arc<str>, Instant)| {
            received.elapsed() < LAST_RENEWAL.saturating_sub(self.visibility)
        };
        let young = state.held.values().filter(young);
        let seconds = seconds(self.visibility);
        let changes: Vec<_> =
            young.map(|(handle, _)| (Arc::clone(handle), seconds)).collect();
        (!changes.is_empty()).then(|| self.settling.change(changes))
    }
}

impl State {
    /// Gives messages back at once, the last one first.
    fn drop_all(&mut self, messages: Vec<Fetched>) -> Vec<(Arc<str>, i32)> {
        let of_each = messages.into_iter().rev();
        let handles = of_each.filter_map(|message| self.held.remove(&message.number));
        handles.map(|(handle, _)| (handle, 0)).collect()
    }
}

/// A third of it, so that after a request that fails there is time for another.
fn between_renewals(visibility: Duration) -> Duration {
    visibility.checked_div(3).unwrap_or(visibility)
}

/// Renews what is held, until nobody holds anything.
async fn renew(hold: Weak<Hold>, visibility: Duration) {
    loop {
        tokio::time::sleep(between_renewals(visibility)).await;
        let Some(held) = hold.upgrade() else { return };
        if let Some(answer) = held.renew_all() {
            tokio::spawn(renewed(Weak::clone(&hold), answer));
        }
    }
}

/// Says that nothing can be renewed, as without the permission: else a handler that is
/// slower than the visibility timeout would run twice, and nobody know why. What concerns
/// one message alone, its own answer tells.
async fn renewed(hold: Weak<Hold>, answer: Answer) {
    let Ok(Err(refused)) = answer.await else { return };
    if let (BrokerErrorKind::Unavailable, Some(hold)) = (refused.kind(), hold.upgrade()) {
        let why = refused.reason();
        hold.fail(BrokerError::unavailable(format!(
            "what is in hand is not renewed, and may be delivered again: {why}"
        )));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else one request that is lost lets a handler run twice.
    #[test]
    fn a_renewal_that_fails_leaves_time_for_another() {
        for visibility in [Duration::from_secs(2), LONGEST_HOLD] {
            let second = between_renewals(visibility).saturating_mul(2);
            assert!(second < visibility, "{second:?} of {visibility:?}");
        }
    }
}
