//! A model of the worker: lanes, batches, failures, redeliveries, lost acks, restarts and
//! a second worker, as they may come together; and what holds of every such run.

use std::collections::BTreeMap;

use integration_automation_patterns::inbox::worker::{Summary, WorkerConfig};
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
    let sent =
        (key, does, 0..2_u32, copies).prop_map(|(key, does, lost_acks, copies)| {
            let does = if key == Some(WRITES) { Does::Write } else { does };
            Sent { key, does, lost_acks, copies }
        });
    let events = prop::collection::vec(sent, 1..24);
    let stops = prop::collection::vec(1..30_usize, 0..3);
    (events, 1..=lanes, 1..10_usize, stops, any::<bool>()).prop_map(
        |(events, lanes, batch, stops, together)| Script {
            events,
            lanes,
            batch,
            stops,
            together,
        },
    )
}

impl Script {
    /// The messages, in the order in which the broker has them.
    fn messages(&self) -> Vec<Message> {
        let mut placed = Vec::new();
        for (place, sent) in self.events.iter().enumerate() {
            let event = || {
                let (id, does) = (id(place), sent.does);
                let key = sent.key.map(|key| key.to_string()).unwrap_or_default();
                Box::new(move || keyed_lead(&id, &key, does))
            };
            let first =
                Message { event: event(), again: false, lost_acks: sent.lost_acks };
            placed.push((place, first));
            for (behind, again) in &sent.copies {
                let copy = Message { event: event(), again: *again, lost_acks: 0 };
                placed.push((place + behind, copy));
            }
        }
        placed.sort_by_key(|(place, _)| *place);
        placed.into_iter().map(|(_, message)| message).collect()
    }

    /// Whether an event must come to its effect, where that is certain. Two workers that
    /// have a copy each may count one attempt as two.
    fn must_succeed(&self, sent: &Sent) -> Option<bool> {
        match sent.does {
            Does::Write | Does::Wait => Some(true),
            Does::FailFirst(_) if self.together && !sent.copies.is_empty() => None,
            Does::FailFirst(_) => Some(true),
            Does::Fail | Does::Panic | Does::Refuse | Does::Orphan => Some(false),
        }
    }
}

fn id(place: usize) -> String {
    format!("{place:02}")
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
    summaries.push(worker().await.ended().await);
    if let Some(second) = second {
        summaries.push(second.ended().await);
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
        if !script.together && !succeeded {
            let spent = if sent.does == Does::Refuse { 1 } else { ATTEMPTS };
            prop_assert_eq!(*attempts, spent, "the attempts of {}", &id);
        }
    }
    prop_assert_eq!(left.effects.len(), processed, "no other effect");
    prop_assert_eq!(left.followed, processed, "what follows is made once");
    prop_assert_eq!(left.summary.processed, processed as u64, "the effects, as counted");
    let dead = (script.events.len() - processed) as u64;
    let counted = left.summary.dead_lettered;
    // Two workers that have a copy each may both bury the event.
    let agrees = if script.together { counted >= dead } else { counted == dead };
    prop_assert!(agrees, "{counted} of {dead} dead letters are counted");
    Ok(())
}

/// One worker at a time has the effects of a key, none of which fails, in the order in
/// which the broker delivers its events.
fn check_order(script: &Script, left: &Left) -> Result<(), TestCaseError> {
    prop_assert_eq!(left.summary.unstored, 0, "the database refuses nothing");
    let of_key = |(_, sent): &(usize, &Sent)| sent.key == Some(WRITES);
    let events = script.events.iter().enumerate().filter(of_key);
    let delivered: Vec<_> = events.map(|(place, _)| id(place)).collect();
    let effects = left.effects.iter().filter(|id| delivered.contains(id));
    prop_assert_eq!(
        effects.cloned().collect::<Vec<_>>(),
        delivered,
        "the order of a key"
    );
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
        if script.together { Ok(()) } else { check_order(&script, &left) }
    };
    let held =
        block_in_place(|| TestRunner::new(config).run(&script(D::LANES), every_run));
    if let Err(failed) = held {
        panic!("{failed}");
    }
}
