//! One run of a relay: what is on its way, what is not settled yet, and when to do what.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout, timeout_at};

use super::moment::{after, at};
use super::outage::{Lacking, Watch};
use super::outcome::Outcome;
use super::{Incident, Relay, Summary};
use crate::audit::Action;
use crate::broker::{Broker, BrokerError, BrokerErrorKind};
use crate::crash_point::crash_point;
use crate::outbox::{
    Claim, ClaimOrder, Claimed, HeldLease, LeaseLostError, Settlement, Store, StoreError,
};
use crate::trace::EventSpan;
use crate::{AnyEnvelope, DeliveryStatus};

/// How long sends that end are gathered for the next claim, where there are few of them.
const BATCH_WAIT: Duration = Duration::from_millis(50);

/// How long sends that end are gathered for a settlement.
const TOGETHER: Duration = Duration::from_millis(1);

/// What is asked of the store, in the words of an incident.
const CLAIMING: &str = "claiming due events";
const SETTLING: &str = "settling events";

/// How much later than this process reckons an event may be due by the database's clock.
const CLOCKS_DIFFER: Duration = Duration::from_millis(5);

pub(super) struct Run<'a, S, B> {
    relay: &'a Relay<S, B>,
    sends: JoinSet<(Claim, Outcome)>,
    held: HashMap<Id, Held>,
    /// How many claims were made.
    claims: u64,
    /// When the next is made for less than a batch.
    claims_anyhow_at: Option<Instant>,
    unsettled: Vec<Settlement>,
    cancel: watch::Sender<bool>,
    /// Whether the broker takes anything, and the send that tries whether it does again.
    broker: Watch,
    broker_probe: Option<Id>,
    /// What it takes none of for now, by the type of event, and the send that tries
    /// whether it does again.
    refused: BTreeMap<String, (Watch, Option<Id>)>,
    /// How often the store was asked.
    asked: u64,
    /// Whether it answers, by what is asked of it.
    store: HashMap<&'static str, Watch>,
    /// Whether the store may have something to claim.
    hungry: bool,
    /// When the retries are due that this relay knows of.
    retries: BinaryHeap<Reverse<Instant>>,
    summary: Summary,
}

/// A send that is on its way.
struct Held {
    lease: HeldLease,
    send: AbortHandle,
    /// With which claim it came.
    claim: u64,
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
        let third = config.lease.checked_div(3).unwrap_or(config.lease);
        let mut renewal = interval_at(after(third), third);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
            if stopping.is_none() && self.unsettled.is_empty() {
                if let Some(event_type) = self.on_probation(now) {
                    self.try_type(event_type).await;
                    continue;
                }
                if self.hungry && self.may_claim(now) {
                    self.claim().await;
                    continue;
                }
            }
            let first_retry = self.retries.peek().map(|Reverse(due)| *due);
            let poll_ends = now.checked_add(config.poll_interval);
            let due_soon =
                first_retry.is_some_and(|due| poll_ends.is_some_and(|end| due <= end));
            let nothing_to_do = !self.hungry && !due_soon;
            if until_idle && idle && (nothing_to_do || self.broker.pause.is_on()) {
                return self.summary;
            }
            let works = stopping.is_none();
            let (pause, refusal) =
                (self.pause_ends(now), self.refusal_ends(now).filter(|_| works));
            let retry = first_retry.filter(|_| works && !self.hungry);
            let gathers = works
                && self.hungry
                && self.room() > 0
                && pause.is_none()
                && !self.broker.pause.is_on();
            let gathered =
                self.claims_anyhow_at.filter(|_| gathers && self.unsettled.is_empty());
            tokio::select! {
                biased;
                () = async { drop(stop.wait_for(|stop| *stop).await) }, if works => stopping = Some(after(config.shutdown_timeout)),
                Some(ended) = self.sends.join_next_with_id(), if !self.sends.is_empty() => {
                    self.ended(ended);
                    self.gather().await;
                }
                _ = renewal.tick(), if !self.sends.is_empty() => self.renew().await,
                () = at(stopping), if stopping.is_some() && !*self.cancel.borrow() => {
                    self.cancel.send_replace(true);
                }
                () = at(pause), if pause.is_some() => {}
                () = at(refusal), if refusal.is_some() => {}
                () = at(gathered), if gathered.is_some() => {}
                () = at(retry), if retry.is_some() => {
                    let now = Instant::now();
                    while self.retries.peek().is_some_and(|Reverse(due)| *due <= now) {
                        self.retries.pop();
                    }
                    self.hungry = true;
                }
                () = self.relay.store.wait(config.poll_interval), if works && !self.hungry => self.hungry = true,
                else => tokio::task::yield_now().await,
            }
        }
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

    /// When the longer of the two pauses is over, if one is on.
    fn pause_ends(&self, now: Instant) -> Option<Instant> {
        let store = self.store.values().filter_map(|watch| watch.pause.ends(now)).max();
        self.broker.pause.ends(now).max(store)
    }

    fn store_fails(&self) -> bool {
        self.store.values().any(|watch| watch.pause.is_on())
    }

    /// When the next type of event may be tried again that the broker takes none of.
    fn refusal_ends(&self, now: Instant) -> Option<Instant> {
        self.refused.values().filter_map(|(watch, _)| watch.pause.ends(now)).min()
    }

    /// A type of event that the broker took none of, and whose pause is over.
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

    /// While it stops, a relay waits for its store no longer than for its sends: the
    /// leases end by themselves.
    fn store_is_gone(&self, now: Instant, grace_ends: Instant) -> bool {
        self.sends.is_empty() && self.store_fails() && now >= grace_ends
    }

    /// Whether what has ended can be settled while more is claimed: it stands in the way
    /// of none that could be claimed. Where the store has just failed it is settled
    /// alone, so that no more is sent than can be settled.
    fn may_do_both(&self, now: Instant) -> bool {
        let unkeyed =
            |settlement: &Settlement| settlement.event().ordering_key().is_none();
        let healthy = !self.store_fails();
        self.hungry
            && healthy
            && !self.unsettled.is_empty()
            && self.may_claim(now)
            && self.unsettled.iter().all(unkeyed)
    }

    /// The claim goes first: what it hands out is on its way while the settlement is
    /// written.
    async fn settle_and_claim(&mut self) {
        let (batch, order, relay) =
            (std::mem::take(&mut self.unsettled), self.order(), self.relay);
        let time = relay.config.store_timeout;
        let claim = async {
            let claimed = timeout(time, relay.store.claim(&order)).await;
            self.claimed(claimed.ok(), order.limit);
        };
        let ((), settled) =
            tokio::join!(biased; claim, timeout(time, relay.store.settle(&batch)));
        self.settled(batch, settled.ok());
    }

    fn order(&self) -> ClaimOrder {
        let config = &self.relay.config;
        ClaimOrder {
            worker: self.relay.name.clone(),
            limit: if self.broker.pause.is_on() { 1 } else { self.room() },
            lease: config.lease,
            on_dead_letter: config.on_dead_letter,
            except: self.refused_types(),
            only: None,
        }
    }

    /// The types of event that a claim leaves where they are: of those that the broker
    /// takes none of, also those that are tried.
    fn refused_types(&self) -> Vec<String> {
        let refused = self.refused.iter().filter(|(_, (watch, _))| watch.pause.is_on());
        refused.map(|(event_type, _)| event_type.clone()).collect()
    }

    async fn claim(&mut self) {
        let order = self.order();
        let answer =
            timeout(self.relay.config.store_timeout, self.relay.store.claim(&order))
                .await;
        let probes = self.broker.pause.is_on();
        let began = self.claimed(answer.ok(), order.limit);
        if probes {
            self.broker_probe = began;
        }
    }

    /// Sends one event of a type, to see whether the broker takes it again. Where there
    /// is none now, there may be later.
    async fn try_type(&mut self, event_type: String) {
        let hungry = self.hungry;
        let order = ClaimOrder {
            limit: 1,
            except: Vec::new(),
            only: Some(event_type.clone()),
            ..self.order()
        };
        let answer =
            timeout(self.relay.config.store_timeout, self.relay.store.claim(&order))
                .await;
        let began = self.claimed(answer.ok(), order.limit);
        self.hungry = hungry;
        if let Some((watch, probe)) = self.refused.get_mut(&event_type) {
            *probe = began;
            if began.is_none() {
                watch.pause.again();
            }
        }
    }

    /// Sends what was claimed, and says which is the last of these sends.
    fn claimed(
        &mut self,
        answer: Option<Result<Claimed, StoreError>>,
        limit: usize,
    ) -> Option<Id> {
        let claimed = self.answer(answer, CLAIMING)?;
        let taken = claimed.claims.len().saturating_add(claimed.quarantined.len());
        // What was expired may be due at once; what was quarantined or put aside may have
        // stood before others.
        self.hungry = taken >= limit
            || !claimed.expired.is_empty()
            || !claimed.quarantined.is_empty()
            || claimed.blocked > 0;
        let dead = claimed
            .expired
            .iter()
            .filter(|event| event.status() == DeliveryStatus::Failed)
            .count();
        self.count(
            |summary| &mut summary.failed,
            dead.saturating_add(claimed.quarantined.len()),
        );
        self.count(|summary| &mut summary.expired, claimed.expired.len());
        for finding in claimed.quarantined {
            self.relay.report(&Incident::Quarantined(finding));
        }
        for event in &claimed.expired {
            let at = event.failure().map_or_else(Utc::now, |failure| failure.at);
            self.relay.trail.record(Action::Expire, event, event.status(), at);
        }
        if !claimed.claims.is_empty() {
            self.claims = self.claims.saturating_add(1);
            self.claims_anyhow_at = Instant::now().checked_add(BATCH_WAIT);
        }
        let mut last = None;
        for claim in claimed.claims {
            self.relay.trail.record(
                Action::Dispatch,
                &claim,
                DeliveryStatus::Dispatched,
                claim.claimed_at(),
            );
            self.count(|summary| &mut summary.claimed, 1);
            last = Some(self.send(claim));
        }
        last
    }

    fn send(&mut self, claim: Claim) -> Id {
        let (broker, time) =
            (Arc::clone(&self.relay.broker), self.relay.config.send_timeout);
        let mut cancelled = self.cancel.subscribe();
        let lease = claim.lease();
        let span = EventSpan::send(&claim, &*broker, &self.relay.name);
        let send = self.sends.spawn(async move {
            let attempt = async {
                tokio::select! {
                    answer = timeout(time, broker.send(claim.event())) => answer.map_or(Outcome::TimedOut, Outcome::Answered),
                    _ = cancelled.wait_for(|cancelled| *cancelled) => Outcome::Cancelled,
                }
            };
            let outcome = span.instrument(attempt).await;
            crash_point("after the broker's answer");
            span.end(outcome.end());
            (claim, outcome)
        });
        let id = send.id();
        self.held.insert(id, Held { lease, send, claim: self.claims });
        id
    }

    /// What a broker confirms together is settled together: what ends within a moment of
    /// the first, up to half of what may be on its way. So one half is settled, and
    /// claimed anew, while the other is sent.
    async fn gather(&mut self) {
        let (until, half) = (after(TOGETHER), self.relay.config.in_flight.div_ceil(2));
        while self.unsettled.len() < half
            && let Ok(Some(ended)) =
                timeout_at(until, self.sends.join_next_with_id()).await
        {
            self.ended(ended);
        }
    }

    fn ended(&mut self, ended: Result<(Id, (Claim, Outcome)), JoinError>) {
        let (id, (claim, outcome)) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let held = self.held.remove(&error.id());
                self.probe_ended(error.id());
                if error.is_panic() {
                    self.count(|summary| &mut summary.panicked, 1);
                    self.relay.report(&Incident::SendPanicked(
                        held.map(|held| held.lease.event),
                    ));
                }
                return;
            }
        };
        let claim_number = self.held.remove(&id).map_or(self.claims, |held| held.claim);
        self.probe_ended(id);
        // The next of its key may be due now.
        self.hungry |= claim.ordering_key().is_some();
        self.watch(claim_number, &claim, &outcome);
        self.unsettled.push(outcome.settle(claim, self.relay.config.send_timeout));
    }

    /// Whatever came of it, the next try may be made.
    fn probe_ended(&mut self, id: Id) {
        for probe in self
            .refused
            .values_mut()
            .map(|(_, probe)| probe)
            .chain([&mut self.broker_probe])
        {
            *probe = probe.filter(|probe| *probe != id);
        }
    }

    /// What an outcome says of the broker: whether it takes anything, and whether it
    /// takes events of this type.
    fn watch(&mut self, number: u64, claim: &Claim, outcome: &Outcome) {
        let event_type = claim.event().event_type();
        let error = match outcome {
            Outcome::Answered(answer) => answer.as_ref().err(),
            Outcome::TimedOut => {
                // Nobody knows, unless it was to show whether the broker takes anything.
                if let Some((watch, _)) = self
                    .refused
                    .get_mut(event_type)
                    .filter(|(watch, _)| watch.pause.is_on())
                {
                    let of = Lacking::Route(event_type.to_owned());
                    let outage = watch.failed(number, of, "no answer in time", None);
                    outage
                        .into_iter()
                        .for_each(|outage| self.relay.report(&Incident::Outage(outage)));
                }
                return;
            }
            Outcome::Cancelled => return,
        };
        let broken = match error.map(BrokerError::kind) {
            Some(BrokerErrorKind::Unreachable) => Some(Lacking::Broker),
            Some(BrokerErrorKind::Unavailable) => Some(Lacking::Room),
            Some(BrokerErrorKind::Unroutable) => {
                Some(Lacking::Route(event_type.to_owned()))
            }
            Some(BrokerErrorKind::Transient | BrokerErrorKind::Permanent) | None => None,
        };
        let by_type = matches!(broken, Some(Lacking::Route(_)));
        if let (Some(of), Some(error)) = (broken, error) {
            let watch = if by_type {
                &mut self.refused.entry(event_type.to_owned()).or_default().0
            } else {
                &mut self.broker
            };
            let outage = watch.failed(number, of, error.reason(), error.retry_after());
            outage
                .into_iter()
                .for_each(|outage| self.relay.report(&Incident::Outage(outage)));
            if !by_type {
                return;
            }
        } else if let Some((watch, _)) = self.refused.get_mut(event_type) {
            // It has looked at this event, and so takes its type.
            if let Some(outage) = watch.over(number) {
                self.refused.remove(event_type);
                self.relay.report(&Incident::Over(outage));
            }
        }
        if let Some(outage) = self.broker.over(number) {
            self.relay.report(&Incident::Over(outage));
        }
    }

    /// Settles what has ended, where settling is not what failed last; or all the same,
    /// before the relay gives up.
    async fn settle(&mut self, now: Instant, anyhow: bool) {
        let pauses =
            self.store.get(SETTLING).is_some_and(|watch| watch.pause.ends(now).is_some());
        if self.unsettled.is_empty() || pauses && !anyhow {
            return;
        }
        let batch = std::mem::take(&mut self.unsettled);
        let answer =
            timeout(self.relay.config.store_timeout, self.relay.store.settle(&batch))
                .await;
        self.settled(batch, answer.ok());
    }

    fn settled(
        &mut self,
        batch: Vec<Settlement>,
        answer: Option<Result<Vec<LeaseLostError>, StoreError>>,
    ) {
        let Some(lost) = self.answer(answer, SETTLING) else {
            self.unsettled = batch;
            return;
        };
        for settlement in batch {
            if lost.iter().any(|lost| lost.event == *settlement.event().id()) {
                continue;
            }
            let counter: fn(&mut Summary) -> &mut u64 = match settlement.event() {
                _ if settlement.released().is_some() => |summary| &mut summary.released,
                AnyEnvelope::Retrying(_) => {
                    let due =
                        settlement.next_attempt_at().unwrap_or_else(|| settlement.at());
                    let wait = due
                        .signed_duration_since(settlement.at())
                        .to_std()
                        .unwrap_or_default();
                    let due =
                        Instant::now().checked_add(wait.saturating_add(CLOCKS_DIFFER));
                    self.retries.extend(due.map(Reverse));
                    |summary| &mut summary.retrying
                }
                AnyEnvelope::Failed(_) => |summary| &mut summary.failed,
                _ => |summary| &mut summary.acknowledged,
            };
            self.count(counter, 1);
            let (action, at) = (settlement.action(), settlement.at());
            self.relay.trail.record(action, settlement.event(), settlement.status(), at);
            // What was given back is due when the pause is over.
            self.hungry |= settlement.released().is_some();
        }
        self.lose(lost);
    }

    async fn renew(&mut self) {
        let config = &self.relay.config;
        let held: Vec<HeldLease> =
            self.held.values().map(|held| held.lease.clone()).collect();
        let answer =
            timeout(config.store_timeout, self.relay.store.renew(&held, config.lease))
                .await;
        let Some(lost) = self.answer(answer.ok(), "renewing leases") else { return };
        for held in self.held.values() {
            if lost.iter().any(|lost| lost.event == held.lease.event) {
                held.send.abort();
            }
        }
        self.lose(lost);
    }

    fn lose(&mut self, lost: Vec<LeaseLostError>) {
        for lost in lost {
            self.count(|summary| &mut summary.lost, 1);
            self.relay.report(&Incident::LeaseLost(lost));
        }
    }

    /// What the store answered; nothing where it failed, which is reported, and makes the
    /// next call wait.
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
                    self.relay.report(&Incident::Over(outage));
                }
                return Some(value);
            }
            Some(Err(error)) => Incident::Store(error),
            None => Incident::StoreTimeout(doing),
        };
        if watch
            .failed(self.asked, Lacking::Store(doing), &incident.to_string(), None)
            .is_some()
        {
            self.relay.report(&incident);
        }
        None
    }
}
