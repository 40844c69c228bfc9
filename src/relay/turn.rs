//! One run of a relay: what is on its way, what is not settled yet, and when to do what.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::outage::Watch;
use super::{Incident, Outage, Relay, Summary};
use crate::audit::Action;
use crate::broker::{Broker, SendError, SendErrorKind};
use crate::crash_point::point;
use crate::hop::Hop;
use crate::outbox::{Claim, ClaimOrder, Claimed, HeldLease, LeaseLost, Settlement, Store, StoreError};
use crate::{AnyEnvelope, DeliveryStatus};

/// How long sends that end are gathered for the next claim, where there are few of them.
const BATCH_WAIT: Duration = Duration::from_millis(50);

/// How much later than this process reckons an event may be due by the database's clock.
const CLOCKS_DIFFER: Duration = Duration::from_millis(5);

pub(super) struct Turn<'a, S, B> {
    relay: &'a Relay<S, B>,
    sends: JoinSet<(Claim, Outcome)>,
    held: HashMap<Id, Held>,
    /// How many claims were made.
    claims: u64,
    /// When the next is made for less than a batch.
    claims_anyhow_at: Option<Instant>,
    unsettled: Vec<Settlement>,
    cancel: watch::Sender<bool>,
    /// Whether the broker can be reached.
    broker: Watch,
    /// What it takes none of for now, by the type of event.
    refused: HashMap<String, Watch>,
    /// How often the store was asked.
    asked: u64,
    /// Whether it answers, by what is asked of it.
    store: HashMap<&'static str, Watch>,
    /// Whether the store may have something to claim.
    hungry: bool,
    /// When the first retry is due that this relay knows of.
    next_due: Option<Instant>,
    summary: Summary,
}

/// A send that is on its way.
struct Held {
    lease: HeldLease,
    send: AbortHandle,
    /// With which claim it came.
    claim: u64,
}

enum Outcome {
    Answered(Result<(), SendError>),
    TimedOut,
    Cancelled,
}

impl Outcome {
    /// As the span of the send tells it.
    fn told(&self) -> Result<&'static str, &'static str> {
        match self {
            Self::Answered(Ok(())) => Ok("confirmed"),
            Self::Answered(Err(error)) => Err(match error.kind() {
                SendErrorKind::Unreachable => "unreachable",
                SendErrorKind::Unavailable => "unavailable",
                SendErrorKind::Transient => "transient",
                SendErrorKind::Permanent => "permanent",
            }),
            Self::TimedOut => Err("timed_out"),
            Self::Cancelled => Err("stopped"),
        }
    }
}

impl<'a, S: Store, B: Broker> Turn<'a, S, B> {
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
            refused: HashMap::new(),
            asked: 0,
            store: HashMap::new(),
            hungry: true,
            next_due: None,
            summary: Summary::default(),
        }
    }

    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>, until_idle: bool) -> Summary {
        let settings = &self.relay.settings;
        let mut stopping: Option<Instant> = None;
        let third = settings.lease.checked_div(3).unwrap_or(settings.lease);
        let mut renewal = interval_at(after(third), third);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if stopping.is_none() && self.may_do_both() {
                self.settle_and_claim().await;
                continue;
            }
            self.settle().await;
            let idle = self.sends.is_empty() && self.unsettled.is_empty();
            if stopping.is_some_and(|grace_ends| idle || self.store_is_gone(grace_ends)) {
                return self.summary;
            }
            if stopping.is_none() && self.hungry && self.unsettled.is_empty() && self.may_claim() {
                self.claim().await;
                continue;
            }
            let poll_ends = Instant::now().checked_add(settings.poll);
            let due_soon = self.next_due.is_some_and(|due| poll_ends.is_some_and(|end| due <= end));
            let nothing_to_do = !self.hungry && !due_soon;
            if until_idle && idle && (nothing_to_do || self.broker.pause.is_on()) {
                return self.summary;
            }
            let due = [self.next_due, self.refusal_ends()].into_iter().flatten().min();
            let gathered = self.claims_anyhow_at.filter(|_| {
                let gathers = self.hungry && self.room() > 0 && self.unsettled.is_empty();
                gathers && stopping.is_none() && !self.broker.pause.is_on() && self.pause_ends().is_none()
            });
            let (pause, due) = (self.pause_ends(), due.filter(|_| !self.hungry && stopping.is_none()));
            tokio::select! {
                biased;
                () = async { drop(stop.wait_for(|stop| *stop).await) }, if stopping.is_none() => stopping = Some(after(settings.grace)),
                Some(ended) = self.sends.join_next_with_id(), if !self.sends.is_empty() => {
                    self.ended(ended);
                    while let Some(ended) = self.sends.try_join_next_with_id() {
                        self.ended(ended);
                    }
                }
                _ = renewal.tick(), if !self.sends.is_empty() => self.renew().await,
                () = sleep_until(stopping.unwrap_or_else(Instant::now)), if stopping.is_some() && !*self.cancel.borrow() => {
                    self.cancel.send_replace(true);
                }
                () = sleep_until(pause.unwrap_or_else(Instant::now)), if pause.is_some() => {}
                () = sleep_until(gathered.unwrap_or_else(Instant::now)), if gathered.is_some() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    (self.hungry, self.next_due) = (true, None);
                }
                () = self.relay.store.wait(settings.poll), if stopping.is_none() && !self.hungry => self.hungry = true,
                else => tokio::task::yield_now().await,
            }
        }
    }

    fn count(&mut self, counter: fn(&mut Summary) -> &mut u64, more: usize) {
        self.relay.count(&mut self.summary, counter, more);
    }

    fn room(&self) -> usize {
        self.relay.settings.in_flight.saturating_sub(self.sends.len())
    }

    fn may_claim(&self) -> bool {
        if self.pause_ends().is_some() {
            return false;
        }
        if self.sends.is_empty() || self.broker.pause.is_on() {
            return self.sends.is_empty();
        }
        // A batch, rather than one event for each that ends. Sends that have outlived a whole batch may hang for long: half of
        // the room that they leave is enough; and nobody waits long for a batch.
        let hanging = self.held.values().filter(|held| held.claim.saturating_add(1) < self.claims).count();
        let enough = self.relay.settings.in_flight.saturating_sub(hanging).div_ceil(2).max(1);
        self.room() >= enough || self.room() > 0 && self.claims_anyhow_at.is_some_and(|at| at <= Instant::now())
    }

    /// When the longer of the two pauses is over, if one is on.
    fn pause_ends(&self) -> Option<Instant> {
        self.broker.pause.ends().max(self.store_pause_ends())
    }

    fn store_pause_ends(&self) -> Option<Instant> {
        self.store.values().filter_map(|watch| watch.pause.ends()).max()
    }

    fn store_fails(&self) -> bool {
        self.store.values().any(|watch| watch.pause.is_on())
    }

    /// When the next type of event may be tried again that the broker takes none of.
    fn refusal_ends(&self) -> Option<Instant> {
        self.refused.values().filter_map(|watch| watch.pause.ends()).min()
    }

    /// While it stops, a relay waits for its store no longer than for its sends: the leases end by themselves.
    fn store_is_gone(&self, grace_ends: Instant) -> bool {
        self.sends.is_empty() && self.store_fails() && Instant::now() >= grace_ends
    }

    /// Whether what has ended can be settled while more is claimed: it stands in the way of none that could be claimed. Where
    /// the store has just failed it is settled alone, so that no more is sent than can be settled.
    fn may_do_both(&self) -> bool {
        let unkeyed = |settlement: &Settlement| settlement.event().ordering_key().is_none();
        let healthy = !self.store_fails();
        self.hungry && healthy && !self.unsettled.is_empty() && self.may_claim() && self.unsettled.iter().all(unkeyed)
    }

    async fn settle_and_claim(&mut self) {
        let (batch, order, relay) = (std::mem::take(&mut self.unsettled), self.order(), self.relay);
        let time = relay.settings.store_timeout;
        let (settled, claimed) =
            tokio::join!(timeout(time, relay.store.settle(&batch)), timeout(time, relay.store.claim(&order)));
        self.claimed(claimed.ok(), order.limit);
        self.settled(batch, settled.ok());
    }

    fn order(&self) -> ClaimOrder {
        let settings = &self.relay.settings;
        ClaimOrder {
            worker: self.relay.name.clone(),
            limit: if self.broker.pause.is_on() { 1 } else { self.room() },
            lease: settings.lease,
            after_failure: settings.after_failure,
            except: self.paused_types(),
        }
    }

    fn paused_types(&self) -> Vec<String> {
        let paused = self.refused.iter().filter(|(_, watch)| watch.pause.ends().is_some());
        paused.map(|(event_type, _)| event_type.clone()).collect()
    }

    async fn claim(&mut self) {
        let order = self.order();
        let answer = timeout(self.relay.settings.store_timeout, self.relay.store.claim(&order)).await;
        self.claimed(answer.ok(), order.limit);
    }

    fn claimed(&mut self, answer: Option<Result<Claimed, StoreError>>, limit: usize) {
        let Some(claimed) = self.answer(answer, "claiming due events") else { return };
        let taken = claimed.claims.len().saturating_add(claimed.quarantined.len());
        // What was expired may be due at once; what was quarantined or put aside may have stood before others.
        self.hungry =
            taken >= limit || !claimed.expired.is_empty() || !claimed.quarantined.is_empty() || claimed.blocked > 0;
        let dead = claimed.expired.iter().filter(|event| event.status() == DeliveryStatus::Failed).count();
        self.count(|summary| &mut summary.failed, dead.saturating_add(claimed.quarantined.len()));
        self.count(|summary| &mut summary.expired, claimed.expired.len());
        for (event, why) in claimed.quarantined {
            self.relay.report(&Incident::Quarantined { event, why });
        }
        for event in &claimed.expired {
            let at = event.failure().map_or_else(Utc::now, |failure| failure.at);
            self.relay.trail.record(Action::Expire, event, event.status(), at);
        }
        if !claimed.claims.is_empty() {
            self.claims = self.claims.saturating_add(1);
            self.claims_anyhow_at = Instant::now().checked_add(BATCH_WAIT);
        }
        for claim in claimed.claims {
            self.relay.trail.record(Action::Dispatch, &claim, DeliveryStatus::Dispatched, claim.claimed_at());
            self.count(|summary| &mut summary.claimed, 1);
            self.send(claim);
        }
    }

    fn send(&mut self, claim: Claim) {
        let (broker, time) = (Arc::clone(&self.relay.broker), self.relay.settings.send_timeout);
        let mut cancelled = self.cancel.subscribe();
        let lease = claim.lease();
        let hop = Hop::send(&claim, &*broker, &self.relay.name);
        let send = self.sends.spawn(async move {
            let attempt = async {
                tokio::select! {
                    answer = timeout(time, broker.send(claim.event())) => answer.map_or(Outcome::TimedOut, Outcome::Answered),
                    _ = cancelled.wait_for(|cancelled| *cancelled) => Outcome::Cancelled,
                }
            };
            let outcome = hop.instrument(attempt).await;
            point("after the broker's answer");
            hop.end(outcome.told());
            (claim, outcome)
        });
        self.held.insert(send.id(), Held { lease, send, claim: self.claims });
    }

    fn ended(&mut self, ended: Result<(Id, (Claim, Outcome)), JoinError>) {
        let (id, (claim, outcome)) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let held = self.held.remove(&error.id());
                if error.is_panic() {
                    self.count(|summary| &mut summary.panicked, 1);
                    self.relay.report(&Incident::SendPanicked(held.map(|held| held.lease.event)));
                }
                return;
            }
        };
        let claim_number = self.held.remove(&id).map_or(self.claims, |held| held.claim);
        // The next of its key may be due now.
        self.hungry |= claim.ordering_key().is_some();
        self.watch(claim_number, &claim, &outcome);
        self.unsettled.push(match outcome {
            Outcome::Answered(Ok(())) => claim.acknowledge(),
            Outcome::Answered(Err(error)) => match error.kind() {
                SendErrorKind::Unreachable | SendErrorKind::Unavailable => claim.give_back(error.reason()),
                SendErrorKind::Transient => claim.fail(error.reason()).wait_at_least(error.wait().unwrap_or_default()),
                SendErrorKind::Permanent => claim.reject(error.reason()),
            },
            Outcome::TimedOut => {
                let time = self.relay.settings.send_timeout;
                claim.fail(format!("the broker did not confirm within {time:?}"))
            }
            Outcome::Cancelled => claim.give_back("the relay was stopped"),
        });
    }

    /// What an outcome says of the broker: whether it can be reached, and whether it takes events of this type.
    fn watch(&mut self, number: u64, claim: &Claim, outcome: &Outcome) {
        // Of a send without an answer, nobody knows.
        let Outcome::Answered(answer) = outcome else { return };
        let event_type = claim.event().event_type();
        match answer {
            Err(error) if error.kind() == SendErrorKind::Unreachable => {
                let outage = self.broker.failed(number, None, error.reason(), error.wait());
                return outage.into_iter().for_each(|outage| self.relay.report(&Incident::Unreachable(outage)));
            }
            Err(error) if error.kind() == SendErrorKind::Unavailable => {
                let watch = self.refused.entry(event_type.to_owned()).or_default();
                let outage = watch.failed(number, Some(event_type), error.reason(), error.wait());
                outage.into_iter().for_each(|outage| self.relay.report(&Incident::Unavailable(outage)));
            }
            Err(_) => {}
            Ok(()) => {
                let ended = self.refused.get_mut(event_type).and_then(|watch| watch.over(number));
                ended.into_iter().for_each(|outage| self.relay.report(&Incident::Over(outage)));
            }
        }
        let ended = self.broker.over(number);
        ended.into_iter().for_each(|outage| self.relay.report(&Incident::Over(outage)));
    }

    async fn settle(&mut self) {
        if self.unsettled.is_empty() || self.store_pause_ends().is_some() {
            return;
        }
        let batch = std::mem::take(&mut self.unsettled);
        let answer = timeout(self.relay.settings.store_timeout, self.relay.store.settle(&batch)).await;
        self.settled(batch, answer.ok());
    }

    fn settled(&mut self, batch: Vec<Settlement>, answer: Option<Result<Vec<LeaseLost>, StoreError>>) {
        let Some(lost) = self.answer(answer, "settling events") else {
            self.unsettled = batch;
            return;
        };
        for settlement in batch {
            if lost.iter().any(|lost| lost.event == *settlement.event().id()) {
                continue;
            }
            let counter: fn(&mut Summary) -> &mut u64 = match settlement.event() {
                _ if settlement.given_back().is_some() => |summary| &mut summary.given_back,
                AnyEnvelope::Retrying(_) => {
                    let due = settlement.next_attempt_at().unwrap_or_else(|| settlement.at());
                    let wait = due.signed_duration_since(settlement.at()).to_std().unwrap_or_default();
                    let due = Instant::now().checked_add(wait.saturating_add(CLOCKS_DIFFER));
                    self.next_due = [self.next_due, due].into_iter().flatten().min();
                    |summary| &mut summary.retrying
                }
                AnyEnvelope::Failed(_) => |summary| &mut summary.failed,
                _ => |summary| &mut summary.acknowledged,
            };
            self.count(counter, 1);
            let (action, at) = (settlement.action(), settlement.at());
            self.relay.trail.record(action, settlement.event(), settlement.status(), at);
            // What was given back is due when the pause is over.
            self.hungry |= settlement.given_back().is_some();
        }
        self.lose(lost);
    }

    async fn renew(&mut self) {
        let settings = &self.relay.settings;
        let held: Vec<HeldLease> = self.held.values().map(|held| held.lease.clone()).collect();
        let answer = timeout(settings.store_timeout, self.relay.store.renew(&held, settings.lease)).await;
        let Some(lost) = self.answer(answer.ok(), "renewing leases") else { return };
        for held in self.held.values() {
            if lost.iter().any(|lost| lost.event == held.lease.event) {
                held.send.abort();
            }
        }
        self.lose(lost);
    }

    fn lose(&mut self, lost: Vec<LeaseLost>) {
        for lost in lost {
            self.count(|summary| &mut summary.lost, 1);
            self.relay.report(&Incident::LeaseLost(lost));
        }
    }

    /// What the store answered; nothing where it failed, which is reported, and makes the next call wait.
    fn answer<T>(&mut self, answer: Option<Result<T, StoreError>>, doing: &'static str) -> Option<T> {
        self.asked = self.asked.saturating_add(1);
        let watch = self.store.entry(doing).or_default();
        let incident = match answer {
            Some(Ok(value)) => {
                if let Some(Outage { lasted, failures, .. }) = watch.over(self.asked) {
                    self.relay.report(&Incident::StoreOver { doing, lasted, failures });
                }
                return Some(value);
            }
            Some(Err(error)) => Incident::Store(error),
            None => Incident::StoreTimeout(doing),
        };
        if watch.failed(self.asked, None, &incident.to_string(), None).is_some() {
            self.relay.report(&incident);
        }
        None
    }
}

/// Now and so long, or what for a process is never.
fn after(wait: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(wait).or_else(|| now.checked_add(NEVER)).unwrap_or(now)
}
