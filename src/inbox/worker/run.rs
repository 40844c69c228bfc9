//! One run of a worker: what it takes, what is being handled, and when it rests.

use std::time::Duration;

use chrono::Utc;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::lanes::Lanes;
use super::queue::{InHand, Queue};
use super::turns::{TookUp, Turns, take_up};
use super::{Inbox, Incident, Summary, Worker};
use crate::EventId;
use crate::broker::{Ack, BrokerError, BrokerErrorKind, Consumer, Delivery};
use crate::inbox::Handled;
use crate::inbox::order::TAKING_UP;
use crate::reason::reason;
use crate::relay::{Outage, OutageKind};
use crate::sleep::{after, at};
use crate::store::StoreError;

/// What is asked of the database, in the words of an incident.
const HANDLING: &str = "handling an event";
const PURGING: &str = "purging the inbox";

/// A consumer that has waited so long without an error is connected.
const CONNECTED_AFTER: Duration = Duration::from_secs(15);

/// Deliveries that are handled in less are fast.
const FAST: Duration = Duration::from_millis(250);

pub(super) struct Run<'w, I, C: Consumer> {
    worker: &'w Worker<I, C>,
    queue: Queue<C::Acker>,
    /// How many deliveries may wait: about as many as are handled while a broker waits.
    room: usize,
    /// Whether the database has answered a look since it last failed.
    answers: bool,
    /// Whether the consumer has said that no delivery will come any more.
    ended: bool,
    /// When the broker is reckoned to be connected, if it says nothing until then.
    connected_at: Option<Instant>,
    /// When something last arrived, or was last dealt with.
    busy_at: Instant,
    purge_at: Option<Instant>,
    turns: Turns,
    summary: Summary,
}

/// What became of the deliveries that one lane had.
struct Attempted {
    attempt: u64,
    numbers: Vec<u64>,
    /// What is stored of each, by its counter in the summary.
    stored: Vec<Counter>,
    /// Whether the inbox holds any of them.
    held: bool,
    error: Option<StoreError>,
    unanswered: Vec<(EventId, String)>,
    took: Duration,
}

type Counter = fn(&mut Summary) -> &mut u64;

impl<'w, I: Inbox, C: Consumer> Run<'w, I, C>
where
    C::Acker: 'static,
{
    pub(super) fn new(worker: &'w Worker<I, C>) -> Self {
        let now = Instant::now();
        Self {
            worker,
            queue: Queue::new(),
            room: worker.lanes,
            answers: false,
            ended: false,
            connected_at: None,
            busy_at: now,
            purge_at: Some(now),
            turns: Turns::new(now),
            summary: Summary::default(),
        }
    }

    pub(super) async fn run(
        mut self,
        mut stop: watch::Receiver<bool>,
        until_idle: bool,
    ) -> Summary {
        let worker = self.worker;
        // Another run may have it.
        let mut consumer = tokio::select! {
            biased;
            () = stopped(&mut stop) => return self.summary,
            consumer = worker.consumer.lock() => consumer,
        };
        let (mut lanes, mut looks, mut purges, mut turns) =
            (Lanes::new(), Lanes::new(), Lanes::new(), Lanes::new());
        let mut stopping: Option<Instant> = None;
        loop {
            let now = Instant::now();
            let works = stopping.is_none();
            if works {
                while let Some(next) = self.next_to_handle(now, lanes.len()) {
                    lanes.begin(attempt(worker, worker.number_of_try(), next));
                }
                if looks.is_empty() && lanes.is_empty() && self.must_look(now) {
                    looks.begin(look(worker, worker.number_of_try()));
                }
                if purges.is_empty() && self.purge_at.is_some_and(|at| at <= now) {
                    self.purge_at = None;
                    purges.begin(purge(worker, worker.number_of_try()));
                }
                if turns.is_empty() && self.turns.begin(now, self.rests()) {
                    turns.begin(take_up(worker, worker.number_of_try()));
                }
                self.reckon_connected(now);
            }
            let handles = !lanes.is_empty() || !turns.is_empty();
            let is_over = purges.is_empty() && self.is_over(now, until_idle);
            if !handles && (!works || is_over) {
                return self.summary;
            }
            let takes = works && self.takes(now);
            let wake = self.wakes_at(now, until_idle).filter(|_| works);
            tokio::select! {
                biased;
                () = stopped(&mut stop), if works => {
                    stopping = Some(after(worker.config.shutdown_timeout));
                    for released in self.queue.release() {
                        worker.state().in_hand.remove(&released);
                    }
                }
                ended = lanes.next(), if !lanes.is_empty() => self.attempted(ended),
                look = looks.next(), if !looks.is_empty() => {
                    self.looked(look, lanes.len());
                }
                gone = purges.next(), if !purges.is_empty() => self.purged(gone),
                taken = turns.next(), if !turns.is_empty() => self.took_up(taken),
                () = at(stopping) => return self.summary,
                () = at(wake) => {}
                next = consumer.next(), if takes => self.received(next),
            }
        }
    }

    /// The next deliveries that a lane may handle. While the database fails, one at a
    /// time tries whether it does again.
    fn next_to_handle(
        &mut self,
        now: Instant,
        handled: usize,
    ) -> Option<Vec<InHand<C::Acker>>> {
        let (lanes, most) = {
            let state = self.worker.state();
            match state.store.pause.ends(now) {
                Some(_) => (0, 1),
                None if state.store.pause.is_on() => (usize::from(self.answers), 1),
                None => (self.worker.lanes, self.worker.batch),
            }
        };
        let free = lanes.checked_sub(handled).filter(|free| *free > 0)?;
        let share = self.queue.len().div_ceil(free).min(most);
        Some(self.queue.take(share)).filter(|taken| !taken.is_empty())
    }

    fn must_look(&self, now: Instant) -> bool {
        let state = self.worker.state();
        let pause = &state.store.pause;
        pause.is_on() && pause.ends(now).is_none() && !self.answers
    }

    /// Whether the database is not to be asked.
    fn rests(&self) -> bool {
        self.worker.state().store.pause.is_on()
    }

    fn takes(&self, now: Instant) -> bool {
        let state = self.worker.state();
        let rests = state.store.pause.is_on() || state.broker.pause.ends(now).is_some();
        !self.ended && !rests && self.queue.len() < self.room
    }

    /// Whether there is nothing left to do, with nothing being handled.
    fn is_over(&self, now: Instant, until_idle: bool) -> bool {
        let state = self.worker.state();
        if state.store.pause.is_on() {
            return until_idle;
        }
        let is_idle = self.ended
            || state.broker.pause.is_on()
            || self.idle_at().is_some_and(|at| at <= now);
        let is_idle = is_idle && !self.turns.is_wanted;
        self.queue.len() == 0 && is_idle && (until_idle || self.ended)
    }

    fn idle_at(&self) -> Option<Instant> {
        self.busy_at.checked_add(self.worker.config.poll_interval)
    }

    /// When there may be something to do, whatever broker and database say until then.
    fn wakes_at(&self, now: Instant, until_idle: bool) -> Option<Instant> {
        let state = self.worker.state();
        let pauses = [state.store.pause.ends(now), state.broker.pause.ends(now)];
        let idle = self.idle_at().filter(|_| until_idle);
        let moments = [self.purge_at, idle, self.connected_at, self.turns.at];
        pauses.into_iter().chain(moments).flatten().filter(|at| *at > now).min()
    }

    fn received(&mut self, next: Result<Option<Delivery<C::Acker>>, BrokerError>) {
        match next {
            Ok(Some(delivery)) => {
                self.busy_at = Instant::now();
                let number = self.worker.number_of_try();
                self.worker.state().in_hand.insert(number, self.busy_at);
                self.count(|summary| &mut summary.received, 1);
                self.queue.push(InHand { number, delivery });
                self.connected();
            }
            Ok(None) => {
                self.ended = true;
                self.connected();
            }
            Err(error) => {
                let tried = self.worker.number_of_try();
                let kind = match error.kind() {
                    BrokerErrorKind::Unavailable => OutageKind::Unavailable,
                    _ => OutageKind::Unreachable,
                };
                let outage = self.worker.state().broker.failed(
                    tried,
                    kind,
                    error.reason(),
                    error.retry_after(),
                );
                self.connected_at = None;
                self.report_outage(outage);
            }
        }
    }

    fn reckon_connected(&mut self, now: Instant) {
        if self.connected_at.is_some_and(|at| at <= now) {
            return self.connected();
        }
        let waits = {
            let state = self.worker.state();
            state.broker.pause.is_on() && state.broker.pause.ends(now).is_none()
        };
        if waits && self.connected_at.is_none() {
            self.connected_at = now.checked_add(CONNECTED_AFTER);
        }
    }

    fn connected(&mut self) {
        self.connected_at = None;
        let tried = self.worker.number_of_try();
        let over = self.worker.state().broker.over(tried);
        self.report_over(over);
    }

    fn attempted(&mut self, attempted: Attempted) {
        let Attempted { attempt, numbers, stored, held, error, unanswered, took } =
            attempted;
        self.busy_at = Instant::now();
        self.queue.done(&numbers);
        self.worker.state().in_hand.retain(|number, _| !numbers.contains(number));
        self.make_room(numbers.len(), took);
        self.turns.after(held, &self.worker.config);
        let lost = numbers.len().saturating_sub(stored.len());
        for counter in &stored {
            self.count(*counter, 1);
        }
        if !stored.is_empty() {
            self.worker.state().last_stored_at = Some(Utc::now());
        }
        match error {
            None => self.store_answered(attempt),
            Some(error) => self.store_failed(attempt, &reason(&error)),
        }
        self.count(
            |summary| &mut summary.unstored,
            u64::try_from(lost).unwrap_or(u64::MAX),
        );
        for (event, reason) in unanswered {
            self.count(|summary| &mut summary.unanswered, 1);
            self.worker.report(&Incident::Unanswered { event, reason });
        }
    }

    /// What waits is to be handled soon, or its broker delivers it to another consumer:
    /// room for twice what was fast, and for half of what was slow.
    fn make_room(&mut self, handled: usize, took: Duration) {
        let room = if took < FAST {
            self.room.max(handled.saturating_mul(2))
        } else {
            handled.div_ceil(2)
        };
        let most = self.worker.lanes.saturating_mul(self.worker.batch);
        self.room = room.clamp(self.worker.lanes, most.max(self.worker.lanes));
    }

    fn looked(&mut self, look: (u64, Result<(), String>), handled: usize) {
        let (tried, answer) = look;
        match answer {
            Err(reason) => self.store_failed(tried, &reason),
            // What waits shows whether it stores anything.
            Ok(()) => {
                self.answers = true;
                if self.queue.len() == 0 && handled == 0 {
                    self.store_answered(tried);
                }
            }
        }
    }

    fn store_answered(&mut self, tried: u64) {
        let over = self.worker.state().store.over(tried);
        self.report_over(over);
    }

    fn store_failed(&mut self, tried: u64, reason: &str) {
        self.answers = false;
        let of = OutageKind::Store(HANDLING);
        let outage = self.worker.state().store.failed(tried, of, reason, None);
        self.report_outage(outage);
    }

    fn purged(&mut self, (tried, answer): (u64, Result<(u64, bool), String>)) {
        let now = Instant::now();
        match answer {
            Ok((gone, is_all)) => {
                self.count(|summary| &mut summary.purged, gone);
                let wait = self.worker.config.purge_interval;
                self.purge_at = Some(if is_all { after(wait) } else { now });
                let over = self.worker.state().purge.over(tried);
                self.report_over(over);
            }
            Err(reason) => {
                let of = OutageKind::Store(PURGING);
                let (outage, ends) = {
                    let purge = &mut self.worker.state().purge;
                    (purge.failed(tried, of, &reason, None), purge.pause.ends(now))
                };
                self.purge_at = Some(ends.unwrap_or(now));
                self.report_outage(outage);
            }
        }
    }

    fn took_up(&mut self, taken: TookUp) {
        let TookUp { tried, answer, took } = taken;
        match answer {
            Ok(taken) => {
                self.turns.again(&taken, took, &self.worker.config);
                if taken.any() {
                    self.busy_at = Instant::now();
                    self.worker.state().last_stored_at = Some(Utc::now());
                }
                self.count(|summary| &mut summary.processed, taken.processed);
                self.count(|summary| &mut summary.retrying, taken.retrying);
                self.count(|summary| &mut summary.dead_lettered, taken.dead_lettered);
                self.count(|summary| &mut summary.overdue, taken.overdue);
                let over = self.worker.state().held.over(tried);
                self.report_over(over);
            }
            Err(error) => {
                let of = OutageKind::Store(TAKING_UP);
                let (outage, ends) = {
                    let held = &mut self.worker.state().held;
                    let outage = held.failed(tried, of, &reason(&error), None);
                    (outage, held.pause.ends(Instant::now()))
                };
                self.turns.failed(ends);
                self.report_outage(outage);
            }
        }
    }

    fn count(&mut self, counter: fn(&mut Summary) -> &mut u64, more: u64) {
        let mut state = self.worker.state();
        for summary in [&mut self.summary, &mut state.summary] {
            let count = counter(summary);
            *count = count.saturating_add(more);
        }
    }

    fn report_outage(&self, outage: Option<Outage>) {
        outage.into_iter().for_each(|one| self.worker.report(&Incident::Outage(one)));
    }

    fn report_over(&self, outage: Option<Outage>) {
        outage.into_iter().for_each(|one| self.worker.report(&Incident::Recovered(one)));
    }
}

/// A worker that runs no more holds nothing, however its run ended.
impl<I, C: Consumer> Drop for Run<'_, I, C> {
    fn drop(&mut self) {
        self.worker.state().in_hand.clear();
    }
}

/// Handles deliveries in their order, and acks or nacks each as it is stored.
async fn attempt<I: Inbox, C: Consumer>(
    worker: &Worker<I, C>,
    attempt: u64,
    taken: Vec<InHand<C::Acker>>,
) -> Attempted
where
    C::Acker: 'static,
{
    let began = Instant::now();
    let numbers = taken.iter().map(|one| one.number).collect();
    let deliveries: Vec<_> = taken.into_iter().map(|one| one.delivery).collect();
    let ids: Vec<EventId> =
        deliveries.iter().map(|one| one.facts().id().clone()).collect();
    let (mut stored, mut error, mut answers) = (Vec::new(), None, Lanes::new());
    let mut held = false;
    for (place, settled) in worker.inbox.process_all(deliveries).await {
        match settled {
            Ok(handled) => {
                stored.push(counter(&handled));
                held |= matches!(handled, Handled::Held(_));
                answers.begin(answer(place, handled, worker.config.ack_timeout));
            }
            Err(failed) => error = Some(failed),
        }
    }
    let took = began.elapsed();
    let mut unanswered = Vec::new();
    while !answers.is_empty() {
        if let (place, Err(reason)) = answers.next().await {
            unanswered.extend(ids.get(place).map(|id| (id.clone(), reason)));
        }
    }
    Attempted { attempt, numbers, stored, held, error, unanswered, took }
}

fn counter<A>(handled: &Handled<A>) -> Counter {
    match handled {
        Handled::Processed(_) => |summary| &mut summary.processed,
        Handled::Duplicate(_) => |summary| &mut summary.duplicates,
        Handled::Forestalled(_) => |summary| &mut summary.forestalled,
        Handled::DeadLettered(_) => |summary| &mut summary.dead_lettered,
        Handled::RetryLater(_) => |summary| &mut summary.retrying,
        Handled::Held(_) => |summary| &mut summary.held,
    }
}

async fn answer<A: Ack>(
    place: usize,
    handled: Handled<A>,
    time: Duration,
) -> (usize, Result<(), String>) {
    let answered = match timeout(time, handled.settle()).await {
        Ok(answered) => answered.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {time:?}")),
    };
    (place, answered)
}

/// Looks whether the database answers.
async fn look<I: Inbox, C: Consumer>(
    worker: &Worker<I, C>,
    tried: u64,
) -> (u64, Result<(), String>) {
    let answer = in_time(worker.config.store_timeout, worker.inbox.look());
    (tried, answer.await)
}

/// Purges one batch, and says how many events are gone, and whether that was all.
async fn purge<I: Inbox, C: Consumer>(
    worker: &Worker<I, C>,
    tried: u64,
) -> (u64, Result<(u64, bool), String>) {
    const BATCH: usize = 10_000;
    let answer = in_time(worker.config.store_timeout, worker.inbox.purge(BATCH)).await;
    let is_all = |gone: u64| usize::try_from(gone).is_ok_and(|gone| gone < BATCH);
    (tried, answer.map(|gone| (gone, is_all(gone))))
}

async fn in_time<T>(
    time: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, String> {
    match timeout(time, work).await {
        Ok(answer) => answer.map_err(|error| reason(&error)),
        Err(_) => Err(format!("no answer within {time:?}")),
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}
