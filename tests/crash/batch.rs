//! A worker is killed with many events in one open transaction, or with all of them
//! committed and none acked: each has its effect once all the same.

use integration_automation_patterns::broker::{BrokerError, Consumer, Delivery};
use integration_automation_patterns::inbox::worker::WorkerConfig;
use integration_automation_patterns::testing::{CRASH_AT, FileBroker, FileListener};
use tokio::sync::mpsc;

use crate::process::{Process, until};
use crate::sqlite::Files;
use crate::{Place, Side, assert_balanced, inbox_config, is_done, runtime};

pub(crate) const ROLE: &str = "worker";

/// Where it is set, every delivery may be a redelivery.
pub(crate) const KNOWS_NO_FIRST: &str = "CRASH_KNOWS_NO_FIRST";

const EVENTS: u32 = 60;

/// The transaction in which the worker dies. Those before it show that there is much to
/// do, so that this one is for many events.
const DIES_IN: u32 = 8;

/// Consumes until the process is killed.
pub(crate) async fn play<S: Side>(side: &S, broker: FileBroker) {
    let config = WorkerConfig::default().lanes(1);
    let (ahead, fetched) = mpsc::channel(16);
    let mut listener = broker.listen();
    tokio::spawn(async move { while ahead.send(listener.next().await).await.is_ok() {} });
    side.work(inbox_config(), Fetched(fetched), config).await;
}

type Next = Result<Option<Delivery<<FileListener as Consumer>::Acker>>, BrokerError>;

/// A consumer that fetches ahead, as that of a server does.
struct Fetched(mpsc::Receiver<Next>);

impl Consumer for Fetched {
    type Acker = <FileListener as Consumer>::Acker;

    async fn next(&mut self) -> Next {
        let next = self.0.recv().await.unwrap_or(Ok(None));
        let again = std::env::var_os(KNOWS_NO_FIRST).is_some();
        let marked = |one: Delivery<_>| {
            let again = again || one.is_redelivered();
            one.redelivered(again)
        };
        next.map(|next| next.map(marked))
    }
}

fn kill_with_a_batch<S: Side>(point: &str, side: &S, place: &Place) {
    runtime().block_on(side.set_up());
    place.broker();
    assert!(place.role("producer", EVENTS)().status().unwrap().success());
    let relay = Process::start("relay-1", place.role("relay-1", EVENTS)());
    until("all events are at the broker", || {
        let sql = "SELECT count(*) FROM outbox_event WHERE status = 'acknowledged'";
        runtime().block_on(side.count(sql)) == i64::from(EVENTS)
    });
    drop(relay);
    let effects = || runtime().block_on(side.account()).effects();
    let status = place.role(ROLE, EVENTS)()
        .env(CRASH_AT, format!("{point}#{DIES_IN}"))
        .status()
        .unwrap();
    assert!(!status.success(), "the worker dies {point}");
    let committed = if point == "after the effect" { DIES_IN } else { DIES_IN - 1 };
    let had = effects();
    assert!(had > committed as usize, "{had} effects in {committed} transactions");
    assert!(had < EVENTS as usize, "there is work left");
    let _next = Process::start(ROLE, place.role(ROLE, EVENTS)());
    until("everything has its effect", || is_done(side, EVENTS));
    assert_balanced(side, EVENTS);
}

const POINTS: [&str; 2] = ["before the effect commits", "after the effect"];

#[test]
fn a_worker_that_dies_with_a_batch_costs_no_event_and_no_second_effect() {
    for point in POINTS {
        let place = Place::new(&format!("batch-{}", crate::name_of(point)), vec![]);
        kill_with_a_batch(point, &Files(place.folder.clone()), &place);
    }
}

#[cfg(feature = "postgres")]
#[test]
#[ignore = "needs PostgreSQL"]
fn a_worker_on_postgres_that_dies_with_a_batch_costs_no_event_and_no_second_effect() {
    for point in POINTS {
        let name = format!("crash_batch_{}", crate::name_of(point));
        let side = crate::postgres::Schema::new(&name);
        let place = Place::new(&name, side.environment());
        kill_with_a_batch(point, &side, &place);
        runtime().block_on(side.drop());
    }
}
