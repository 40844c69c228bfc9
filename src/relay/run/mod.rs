//! One run of a relay: which sends are on their way, which have to be settled, and what
//! comes next.

mod claiming;
mod ending;
mod settling;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::outage::{OutageKind, Watch};
use super::outcome::Outcome;
use super::{Incident, Relay, Summary};
use crate::broker::Broker;
use crate::outbox::{Claim, HeldLease, Settlement, Store, StoreError};
use crate::sleep::{after, at};

pub(super) struct Run<'a, S, B> {
    relay: &'a Relay<S, B>,
    sends: JoinSet<(Claim, Outcome)>,
    held: HashMap<Id, Held>,
    /// The number of claims so far.
    claims: u64,
    /// When the run claims even if it has room for less than a batch.
    claims_anyhow_at: Option<Instant>,
    unsettled: Vec<Settlement>,
    cancel: watch::Sender<bool>,
    /// The outage of the broker, and the send that tries it again.
    broker: Watch,
    broker_probe: Option<Id>,
    /// The outages of single event types, and the send that tries each again.
    refused: BTreeMap<String, (Watch, Option<Id>)>,
    /// The number of calls of the store so far.
    asked: u64,
    /// The outages of the store, by the work that fails.
    store: HashMap<&'static str, Watch>,
    /// Whether the store may have something to claim.
    hungry: bool,
    /// When the retries that this relay knows of are due.
    retries: BinaryHeap<Reverse<Instant>>,
    summary: Summary,
}

/// A send that is on its way.
struct Held {
    lease: HeldLease,
    send: AbortHandle,
    /// The number of its claim.
    claim: u64,
}

/// When and why a run goes on if nothing happens before.
struct Waits {
    /// It tries the broker or the store again.
    pause: Option<Instant>,
    /// It tries an event type again.
    refusal: Option<Instant>,
    /// It claims, even if it has room for less than a batch.
    gathered: Option<Instant>,
    /// A retry is due.
    retry: Option<Instant>,
}

/// How often a run renews leases of this length.
fn renewals(lease: Duration) -> Interval {
    let third = lease.checked_div(3).unwrap_or(lease);
    let mut renewal = interval_at(after(third), third);
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    renewal
}

/// Ready once the relay is to stop.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

impl<'a, S: Store, B: Broker> Run<'a, S, B> {
    pub(super) fn new(relay: &'a Relay<S, B>) -> Self {
        Self {
            relay,
            sends: JoinSet::new(),
            held: HashMap::new(),
            claims: 0,
            claims_anyhow_at: None,
            unsettled: Vec::new(),
            cancel: watch::Sender::new(false),
            broker: Watch::default(),
            broker_probe: None,
            refused: BTreeMap::new(),
            asked: 0,
            store: HashMap::new(),
            hungry: true,
            retries: BinaryHeap::new(),
            summary: Summary::default(),
        }
    }

    pub(super) async fn run(
        mut self,
        mut stop: watch::Receiver<bool>,
        until_idle: bool,
    ) -> Summary {
        let config = &self.relay.config;
        let mut stopping: Option<Instant> = None;
        let mut renewal = renewals(config.lease);
        loop {
            // One moment for all that this run decides: what ends between two looks
            // would otherwise be waited for by neither.
            let now = Instant::now();
            if stopping.is_none() && self.may_do_both(now) {
                self.settle_and_claim().await;
                continue;
            }
            let gives_up =
                stopping.is_some_and(|grace_ends| self.store_is_gone(now, grace_ends));
            self.settle(now, gives_up).await;
            let idle = self.sends.is_empty() && self.unsettled.is_empty();
            if stopping.is_some() && (idle || gives_up) {
                return self.summary;
            }
            // Before it claims: a settlement may have outlasted the pause of an outage
            // that is to end this run.
            if until_idle && idle && !self.has_more_soon() {
                return self.summary;
            }
            if stopping.is_none()
                && self.unsettled.is_empty()
                && self.try_to_claim(now).await
            {
                continue;
            }
            let works = stopping.is_none();
            let waits = self.waits(now, works);
            let may_look = works && !self.hungry;
            tokio::select! {
                biased;
                () = told(&mut stop), if works => {
                    stopping = Some(after(config.shutdown_timeout));
                }
                Some(ended) = self.sends.join_next_with_id(), if !self.sends.is_empty() => {
                    self.ended(ended);
                    self.gather().await;
                }
                _ = renewal.tick(), if !self.sends.is_empty() => self.renew().await,
                () = at(stopping), if stopping.is_some() && !*self.cancel.borrow() => {
                    self.cancel.send_replace(true);
                }
                () = at(waits.pause), if waits.pause.is_some() => {}
                () = at(waits.refusal), if waits.refusal.is_some() => {}
                () = at(waits.gathered), if waits.gathered.is_some() => {}
                () = at(waits.retry), if waits.retry.is_some() => self.retries_are_due(),
                () = self.relay.store.wait(config.poll_interval), if may_look => {
                    self.hungry = true;
                }
                else => tokio::task::yield_now().await,
            }
        }
    }

    /// Claims, if there may be something to claim; returns whether there was.
    async fn try_to_claim(&mut self, now: Instant) -> bool {
        if let Some(event_type) = self.on_probation(now) {
            self.try_type(event_type).await;
            return true;
        }
        let may = self.hungry && self.may_claim(now);
        if may {
            self.claim().await;
        }
        may
    }

    /// What this run waits for now.
    fn waits(&self, now: Instant, works: bool) -> Waits {
        let pause = self.pause_ends(now);
        let gathers = works
            && self.hungry
            && self.room() > 0
            && pause.is_none()
            && !self.broker.pause.is_on();
        Waits {
            pause,
            refusal: self.refusal_ends(now).filter(|_| works),
            gathered: self
                .claims_anyhow_at
                .filter(|_| gathers && self.unsettled.is_empty()),
            retry: self.first_retry().filter(|_| works && !self.hungry),
        }
    }

    fn first_retry(&self) -> Option<Instant> {
        self.retries.peek().map(|Reverse(due)| *due)
    }

    /// Whether there may be something to claim and send within one poll from now. Retries
    /// are due some time after the end of their settlement, which may have taken longer
    /// than a poll.
    fn has_more_soon(&self) -> bool {
        if self.broker.pause.is_on() {
            return false;
        }
        let looks_at = Instant::now().checked_add(self.relay.config.poll_interval);
        let is_soon = |due: Instant| looks_at.is_some_and(|look| due <= look);
        self.hungry || self.first_retry().is_some_and(is_soon)
    }

    fn retries_are_due(&mut self) {
        let now = Instant::now();
        while self.first_retry().is_some_and(|due| due <= now) {
            self.retries.pop();
        }
        self.hungry = true;
    }

    fn count(&mut self, counter: fn(&mut Summary) -> &mut u64, more: usize) {
        self.relay.count(&mut self.summary, counter, more);
    }

    fn room(&self) -> usize {
        self.relay.config.in_flight.saturating_sub(self.sends.len())
    }

    fn may_claim(&self, now: Instant) -> bool {
        if self.pause_ends(now).is_some() || self.room() == 0 {
            return false;
        }
        if self.broker.pause.is_on() {
            return self.broker_probe.is_none();
        }
        // A batch, rather than one event for each that ends. Sends that have outlived a
        // whole batch may hang for long: half of the room that they leave is enough; and
        // nobody waits long for a batch.
        let hanging = self
            .held
            .values()
            .filter(|held| held.claim.saturating_add(1) < self.claims)
            .count();
        let enough = self.relay.config.in_flight.saturating_sub(hanging).div_ceil(2);
        self.sends.is_empty()
            || self.room() >= enough
            || self.claims_anyhow_at.is_some_and(|at| at <= now)
    }

    /// When the longer of the two pauses ends, if there is one.
    fn pause_ends(&self, now: Instant) -> Option<Instant> {
        let store = self.store.values().filter_map(|watch| watch.pause.ends(now)).max();
        self.broker.pause.ends(now).max(store)
    }

    fn store_fails(&self) -> bool {
        self.store.values().any(|watch| watch.pause.is_on())
    }

    /// When the first pause of an event type ends.
    fn refusal_ends(&self, now: Instant) -> Option<Instant> {
        self.refused.values().filter_map(|(watch, _)| watch.pause.ends(now)).min()
    }

    /// An event type whose pause is over.
    fn on_probation(&self, now: Instant) -> Option<String> {
        if self.pause_ends(now).is_some() || self.broker.pause.is_on() || self.room() == 0
        {
            return None;
        }
        let is_due = |(watch, probe): &(Watch, Option<Id>)| {
            watch.pause.is_on() && watch.pause.ends(now).is_none() && probe.is_none()
        };
        self.refused
            .iter()
            .find(|(_, refused)| is_due(refused))
            .map(|(event_type, _)| event_type.clone())
    }

    /// A stopping relay waits no longer for its store than for its sends: the leases end
    /// by themselves.
    fn store_is_gone(&self, now: Instant, grace_ends: Instant) -> bool {
        self.sends.is_empty() && self.store_fails() && now >= grace_ends
    }

    /// Whether a settlement and a claim can go on at the same time: no settled event
    /// blocks one that could be claimed. After a failure of the store the settlement
    /// comes first, so that the relay sends no more than it can settle; and after one of
    /// the broker too, since the run may end.
    fn may_do_both(&self, now: Instant) -> bool {
        let unkeyed =
            |settlement: &Settlement| settlement.event().ordering_key().is_none();
        let healthy = !self.store_fails() && !self.broker.pause.is_on();
        self.hungry
            && healthy
            && !self.unsettled.is_empty()
            && self.may_claim(now)
            && self.unsettled.iter().all(unkeyed)
    }

    /// The answer of the store; `None` if it failed, which is reported and delays the
    /// next call.
    fn answer<T>(
        &mut self,
        answer: Option<Result<T, StoreError>>,
        doing: &'static str,
    ) -> Option<T> {
        self.asked = self.asked.saturating_add(1);
        // A lease is not to end while it waits.
        let longest = self.relay.config.lease.checked_div(3).unwrap_or_default();
        let watch =
            self.store.entry(doing).or_insert_with(|| Watch::with_pauses_up_to(longest));
        let incident = match answer {
            Some(Ok(value)) => {
                if let Some(outage) = watch.over(self.asked) {
                    self.relay.report(&Incident::Recovered(outage));
                }
                return Some(value);
            }
            Some(Err(error)) => Incident::Store(error),
            None => Incident::StoreTimeout(doing),
        };
        if watch
            .failed(self.asked, OutageKind::Store(doing), &incident.to_string(), None)
            .is_some()
        {
            self.relay.report(&incident);
        }
        None
    }
}
