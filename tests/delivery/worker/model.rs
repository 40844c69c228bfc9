//! A model of the worker: lanes, batches, failures, redeliveries, lost acks, restarts, a
//! second worker and the order of keys, as they may come together; and what holds of
//! every such run.

use std::collections::BTreeMap;
use std::time::Duration;

use integration_automation_patterns::Envelope;
use integration_automation_patterns::inbox::worker::{
    ByKey, OnDeadLetter, Summary, WorkerConfig,
};
use integration_automation_patterns::state::Pending;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::shelf::{Message, Shelf};
use super::{Does, Gate, How, Works, keyed_lead};

/// The attempts that `How` gives an event.
const ATTEMPTS: u32 = 3;

/// The key whose events all write: their effects have an order.
const WRITES: u8 = 0;

/// One event, and how the broker delivers it.
#[derive(Debug, Clone)]
struct Sent {
    key: Option<u8>,
    does: Does,
    lost_acks: u32,
    /// Further copies of it: behind how many later events, and whether the broker says
    /// that it is a redelivery.
    copies: Vec<(usize, bool)>,
    /// Behind how many later events it comes, where the worker keeps the order.
    late: usize,
}

/// One run.
#[derive(Debug, Clone)]
struct Script {
    events: Vec<Sent>,
    lanes: usize,
    batch: usize,
    /// The deliveries after which the worker stops, and another one starts.
    stops: Vec<usize>,
    /// Whether two workers share what is left then.
    together: bool,
    /// Whether the worker keeps the order of each key, whatever the broker does with it.
    ordered: bool,
}

fn script(lanes: usize) -> impl Strategy<Value = Script> {
    let does = prop_oneof![
        6 => Just(Does::Write),
        2 => (1..ATTEMPTS).prop_map(Does::FailFirst),
        1 => Just(Does::Fail),
        1 => Just(Does::Panic),
        1 => Just(Does::Refuse),
        1 => Just(Does::Orphan),
    ];
    let copies = prop::collection::vec((0..6_usize, any::<bool>()), 0..2);
    let key = prop::option::weighted(0.7, 0..3_u8);
    let sent = (key, does, 0..2_u32, copies, 0..6_usize).prop_map(
        |(key, does, lost_acks, copies, late)| {
            let does = if key == Some(WRITES) { Does::Write } else { does };
            Sent { key, does, lost_acks, copies, late }
        },
    );
    let events = prop::collection::vec(sent, 1..24);
    let stops = prop::collection::vec(1..30_usize, 0..3);
    let is = any::<bool>;
    (events, 1..=lanes, 1..10_usize, stops, is(), is()).prop_map(
        |(events, lanes, batch, stops, together, ordered)| Script {
            events,
            lanes,
            batch,
            stops,
            together,
            ordered,
        },
    )
}

impl Script {
    /// The messages, in the order in which the broker has them.
    fn messages(&self) -> Vec<Message> {
        let mut placed = Vec::new();
        for (place, sent) in self.events.iter().enumerate() {
            let event = || {
                let (sent, after) = (sent.clone(), self.before(place));
                Box::new(move || event(place, &sent, after.as_deref()))
            };
            let first =
                Message { event: event(), again: false, lost_acks: sent.lost_acks };
            let late = if self.ordered { sent.late } else { 0 };
            placed.push((place + late, first));
            for (behind, again) in &sent.copies {
                let copy = Message { event: event(), again: *again, lost_acks: 0 };
                placed.push((place + behind, copy));
            }
        }
        placed.sort_by_key(|(place, _)| *place);
        placed.into_iter().map(|(_, message)| message).collect()
    }

    /// The event before this one, of its key.
    fn before(&self, place: usize) -> Option<String> {
        let key = self.events[place].key?;
        (0..place).rfind(|before| self.events[*before].key == Some(key)).map(id)
    }

    /// Whether an event must come to its effect, where that is certain. Two workers that
    /// have a copy each may count one attempt as two.
    fn must_succeed(&self, sent: &Sent) -> Option<bool> {
        match sent.does {
            Does::Write | Does::Wait => Some(true),
            Does::FailFirst(_) if self.together && !sent.copies.is_empty() => None,
            Does::FailFirst(_) => Some(true),
            Does::Fail | Does::Panic | Does::Refuse | Does::Orphan | Does::Busy => {
                Some(false)
            }
        }
    }
}

fn id(place: usize) -> String {
    format!("{place:02}")
}

/// An event, which names the one before it as an outbox does.
fn event(place: usize, sent: &Sent, after: Option<&str>) -> Envelope<Pending> {
    let key = sent.key.map(|key| key.to_string()).unwrap_or_default();
    let event = keyed_lead(&id(place), &key, sent.does);
    let Some(after) = after else { return event };
    let builder = Envelope::builder("crm", event.payload().clone());
    let builder = builder.id(event.id().clone()).ordering_key(key);
    builder.tag("keyafter", after).build().expect("an event")
}

/// What a run has left.
struct Left {
    summary: Summary,
    /// The effects, in their order.
    effects: Vec<String>,
    /// The state of each event, and its attempts.
    states: BTreeMap<String, (String, u32)>,
    /// How many events follow from these.
    followed: usize,
}

async fn run<D: Works>(script: &Script) -> Left {
    let database = D::fresh().await;
    let shelf = Shelf::of(script.messages());
    let config = WorkerConfig::default().lanes(script.lanes).batch(script.batch);
    let config = config.poll_interval(Duration::from_millis(20));
    let by_key = ByKey::default().on_dead_letter(OnDeadLetter::Skip);
    let config = if script.ordered { config.order(by_key) } else { config };
    let worker = async || {
        let how = How { config: config.clone(), ..How::default() };
        database.work(shelf.clone(), Gate::closed(), how).await
    };
    let mut summaries = Vec::new();
    for deliveries in &script.stops {
        let stopped = worker().await;
        shelf.until_delivered(*deliveries).await;
        summaries.push(stopped.end().await);
    }
    let second = if script.together { Some(worker().await) } else { None };
    let last = worker().await;
    shelf.until_over().await;
    let open = "SELECT id FROM inbox_event WHERE status NOT IN ('processed', 'failed')";
    while !database.texts(open).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    summaries.push(last.end().await);
    if let Some(second) = second {
        summaries.push(second.end().await);
    }
    let states = "SELECT id || ' ' || status || ' ' || CAST(attempts AS text) \
                  FROM inbox_event";
    let states = database.texts(states).await.into_iter().map(|row| {
        let mut words = row.split(' ').map(str::to_owned);
        let mut word = || words.next().expect("three words");
        (word(), (word(), word().parse().expect("a number")))
    });
    Left {
        summary: summaries.into_iter().fold(Summary::default(), sum),
        effects: database.texts("SELECT name FROM effect ORDER BY place").await,
        states: states.collect(),
        followed: database.texts("SELECT id FROM outbox_event").await.len(),
    }
}

fn sum(mut all: Summary, one: Summary) -> Summary {
    all.processed += one.processed;
    all.dead_lettered += one.dead_lettered;
    all.unstored += one.unstored;
    all
}

/// Every effect once, nothing lost, and what fails alone.
fn check(script: &Script, left: &Left) -> Result<(), TestCaseError> {
    prop_assert_eq!(left.states.len(), script.events.len(), "each event is remembered");
    let mut processed = 0;
    for (place, sent) in script.events.iter().enumerate() {
        let (id, must) = (id(place), script.must_succeed(sent));
        let effects = left.effects.iter().filter(|effect| **effect == id).count();
        let (state, attempts) = &left.states[&id];
        let succeeded = state == "processed";
        prop_assert!(succeeded || state == "failed", "{} is {}", id, state);
        prop_assert_eq!(effects, usize::from(succeeded), "the effects of {}", &id);
        prop_assert!(must.is_none_or(|must| must == succeeded), "{} is {}", id, state);
        processed += usize::from(succeeded);
        prop_assert!(*attempts <= ATTEMPTS, "the attempts of {}", &id);
        if !script.together && !succeeded {
            let spent = if sent.does == Does::Refuse { 1 } else { ATTEMPTS };
            prop_assert_eq!(*attempts, spent, "the attempts of {}", &id);
        }
    }
    prop_assert_eq!(left.effects.len(), processed, "no other effect");
    prop_assert_eq!(left.followed, processed, "what follows is made once");
    let unstored = left.summary.unstored;
    prop_assert!(script.together || unstored == 0, "{unstored} were refused");
    prop_assert_eq!(left.summary.processed, processed as u64, "the effects, as counted");
    let dead = (script.events.len() - processed) as u64;
    let counted = left.summary.dead_lettered;
    // Of two workers that have a copy each, one may bury an event whose last attempt the
    // other has begun, and which then succeeds.
    let may_be_buried = |(place, sent): &(usize, &Sent)| {
        let is_processed = left.states[&id(*place)].0 == "processed";
        script.together && is_processed && !sent.copies.is_empty()
    };
    let events = script.events.iter().enumerate();
    let most = dead + events.filter(may_be_buried).count() as u64;
    let agrees = (dead..=most).contains(&counted);
    prop_assert!(agrees, "{counted} of {dead} to {most} dead letters are counted");
    Ok(())
}

/// Where the worker keeps the order, the effects of every key are in the order of the
/// outbox. Where it does not, one worker at a time has those of a key, none of which
/// fails, in the order in which the broker delivers its events.
fn check_order(script: &Script, left: &Left) -> Result<(), TestCaseError> {
    let keys = if script.ordered { 0..3 } else { WRITES..WRITES + 1 };
    for key in keys.filter(|_| script.ordered || !script.together) {
        let of_key = |(_, sent): &(usize, &Sent)| sent.key == Some(key);
        let events = script.events.iter().enumerate().filter(of_key);
        let sent: Vec<_> = events.map(|(place, _)| id(place)).collect();
        let effects = left.effects.iter().filter(|id| sent.contains(id));
        let effects: Vec<_> = effects.collect();
        prop_assert!(effects.is_sorted(), "the order of key {}: {:?}", key, effects);
    }
    Ok(())
}

pub(crate) async fn whatever_comes_and_fails_every_effect_is_there_once<D: Works>() {
    let config = Config {
        cases: 24,
        max_shrink_iters: 100,
        failure_persistence: None,
        ..Config::default()
    };
    let every_run = |script: Script| {
        let left = Handle::current().block_on(run::<D>(&script));
        check(&script, &left)?;
        check_order(&script, &left)
    };
    let held =
        block_in_place(|| TestRunner::new(config).run(&script(D::LANES), every_run));
    if let Err(failed) = held {
        panic!("{failed}");
    }
}
