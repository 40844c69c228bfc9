//! Real processes meet real faults, and nothing is lost, invented, repeated or overtaken.
//!
//! A producer writes business rows and events in one transaction (and rolls every seventh
//! back), two relays send to a broker in a file, a consumer has each effect once. All
//! four are this test program, started again as one of them.
//!
//! | fault | where |
//! |---|---|
//! | SIGKILL, at random moments and at every named place | here |
//! | SIGKILL to a worker that has many events in one transaction | `batch.rs` |
//! | an effect that aborts its process, each time, also among others in a transaction | `poison.rs` |
//! | SIGTERM to a relay that has events on their way | `stop.rs` |
//! | the database's server stops or crashes, and is started again | `restart.rs` |
//! | the clocks of two relays are two hours apart, or one clock jumps | `clocks.rs` |
//!
//! `CRASH_KILLS` sets the number of kills, `CRASH_SEED` the seed of a run to do again.
#![cfg(all(feature = "sqlite", feature = "testing", unix))]

mod batch;
mod broker;
mod clocks;
#[cfg(feature = "postgres")]
mod cluster;
mod forestall;
mod order;
mod poison;
#[cfg(feature = "postgres")]
mod postgres;
mod process;
#[cfg(feature = "postgres")]
mod restart;
#[cfg(feature = "postgres")]
#[path = "../support/servers.rs"]
mod servers;
mod sqlite;
mod stop;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use integration_automation_patterns::broker::Consumer;
use integration_automation_patterns::inbox::InboxConfig;
use integration_automation_patterns::inbox::worker::WorkerConfig;
use integration_automation_patterns::outbox::{Admin, DeadLetter, Store};
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::testing::{
    Account, CRASH_AT, CRASH_POINTS, CrashTest, FileBroker,
};
use integration_automation_patterns::{Envelope, RawEvent};

use sqlite::Files;

const ROLE: &str = "CRASH_ROLE";
const PLACE: &str = "CRASH_PLACE";
const EVENTS: &str = "CRASH_EVENTS";

/// The databases of source and target, and what each role does with them.
trait Side {
    type Outbox: Store + Admin;

    fn set_up(&self) -> impl Future<Output = ()>;
    fn outbox(&self) -> impl Future<Output = Self::Outbox>;
    /// Changes records until there are so many changes, and enqueues an event with each.
    fn produce(&self, events: u32) -> impl Future<Output = ()>;
    /// Has the effect of each event, for ever.
    fn consume(&self, broker: FileBroker) -> impl Future<Output = ()>;
    /// The same by a worker of these settings.
    fn work(
        &self,
        inbox: InboxConfig,
        consumer: impl Consumer<Acker: 'static>,
        config: WorkerConfig,
    ) -> impl Future<Output = ()>;
    fn account(&self) -> impl Future<Output = Account>;
    /// The dead letters of the inbox.
    fn dead_letters(&self) -> impl Future<Output = Vec<DeadLetter>>;
    /// The number that a query answers.
    fn count(&self, sql: &str) -> impl Future<Output = i64>;
    fn execute(&self, sql: &str) -> impl Future<Output = ()>;
    fn end_leases(&self) -> impl Future<Output = ()>;
}

/// The change of this number: its key, its id, and the event of it. Every third has a key
/// of its own, and waits for no other.
fn change(number: u32) -> (String, String, Envelope<Pending>) {
    let id = format!("change-{number}");
    let key = if number.is_multiple_of(3) {
        id.clone()
    } else {
        format!("key-{}", number % 10)
    };
    let policy =
        RetryPolicy::new(1000, Backoff::Fixed(Duration::from_millis(5))).unwrap();
    let event =
        Envelope::builder("source", RawEvent::new("source.record.changed", id.clone()));
    let event = event
        .id(id.parse().unwrap())
        .ordering_key(key.clone())
        .retry_policy(policy)
        .build()
        .unwrap();
    (key, id, event)
}

/// Whether this consumer is a worker, which handles many events in one transaction, or a
/// loop by hand: of those that are started one after another, about half are.
fn is_a_worker() -> bool {
    std::process::id().is_multiple_of(2)
}

fn inbox_config() -> InboxConfig {
    InboxConfig::new(Duration::from_secs(3600), RetryPolicy::DEFAULT)
        .unwrap()
        .retry_policy(poison::policy())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// The directory of one test, with the broker's file.
struct Place {
    folder: PathBuf,
    /// What the processes are told of the databases, where those are not in the
    /// directory.
    environment: Vec<(&'static str, String)>,
}

impl Place {
    fn new(name: &str, environment: Vec<(&'static str, String)>) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("crash-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder, environment }
    }

    fn broker(&self) -> FileBroker {
        FileBroker::open(self.folder.join("broker.db")).unwrap()
    }

    /// The command that starts this program in one of its roles.
    fn role(&self, role: &str, events: u32) -> impl Fn() -> Command + use<> {
        let (folder, environment, role) =
            (self.folder.clone(), self.environment.clone(), role.to_owned());
        move || {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "play_the_role", "--nocapture", "--quiet"]);
            command
                .env(ROLE, &role)
                .env(PLACE, &folder)
                .env(EVENTS, events.to_string())
                .env_remove(CRASH_AT);
            command.envs(environment.clone());
            command.stdout(Stdio::null());
            command
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn assert_balanced<S: Side>(side: &S, events: u32) {
    let account = runtime().block_on(side.account());
    assert_eq!(account.len(), usize::try_from(events).unwrap());
    if let Err(unbalanced) = account.check() {
        panic!("{unbalanced}");
    }
    let findings = runtime().block_on(async { side.outbox().await.verify().await });
    assert_eq!(findings.unwrap(), [], "the books of the outbox");
}

/// Whether every change has an effect.
fn is_done<S: Side>(side: &S, events: u32) -> bool {
    let account = runtime().block_on(side.account());
    account.len() >= usize::try_from(events).unwrap()
        && account.effects() >= account.len()
}

/// Not a test of its own: what the started processes do. Started by nobody, it does
/// nothing.
#[test]
fn play_the_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let folder = PathBuf::from(std::env::var(PLACE).unwrap());
    #[cfg(feature = "postgres")]
    if let Some(schema) = postgres::Schema::of_environment() {
        return runtime().block_on(play(&role, &schema, &folder));
    }
    runtime().block_on(play(&role, &Files(folder.clone()), &folder));
}

async fn play<S: Side>(role: &str, side: &S, folder: &Path) {
    let events = std::env::var(EVENTS).unwrap().parse().unwrap();
    let broker = || FileBroker::open(folder.join("broker.db")).unwrap();
    match role {
        "producer" => side.produce(events).await,
        "consumer" => side.consume(broker()).await,
        batch::ROLE => batch::play(side, broker()).await,
        forestall::ROLE => forestall::play(side, broker()).await,
        order::ROLE => order::play(side, &broker()).await,
        stop::ROLE => stop::play(side, broker(), folder).await,
        clocks::FIRST | clocks::SECOND => {
            clocks::play(role, side, broker(), folder).await
        }
        #[cfg(feature = "postgres")]
        restart::FIRST | restart::SECOND => {
            restart::play(role, side, broker(), folder).await
        }
        relay => {
            let relay =
                Relay::new(relay, side.outbox().await, broker(), hasty()).unwrap();
            relay.run(std::future::pending::<()>()).await;
        }
    }
}

/// A lease that ends soon, so that what a process held when it died does not wait for
/// long.
fn hasty() -> RelayConfig {
    RelayConfig::default()
        .lease(Duration::from_millis(900))
        .store_timeout(Duration::from_millis(150))
        .send_timeout(Duration::from_millis(700))
        .poll_interval(Duration::from_millis(50))
        .in_flight(8)
}

fn kill_at_random<S: Side>(consumer: &str, side: &S, place: &Place) {
    let kills = std::env::var("CRASH_KILLS").map_or(200, |kills| kills.parse().unwrap());
    let seed = std::env::var("CRASH_SEED")
        .map_or_else(|_| u64::from(std::process::id()), |seed| seed.parse().unwrap());
    let events = kills * 5;
    runtime().block_on(side.set_up());
    place.broker();
    let report = CrashTest::new(seed)
        .kills(kills)
        .actor("producer", place.role("producer", events))
        .actor("relay-1", place.role("relay-1", events))
        .actor("relay-2", place.role("relay-2", events))
        .actor(consumer, place.role(consumer, events))
        .run(|| Ok(is_done(side, events)))
        .unwrap_or_else(|failed| panic!("{failed}"));
    println!("{report}; {events} events, one effect each");
    assert_balanced(side, events);
}

/// One process dies at one place, is started again, and the work is done all the same.
fn kill_at<S: Side>(point: &str, side: &S, place: &Place) {
    let events = 40;
    runtime().block_on(side.set_up());
    place.broker();
    let consumer = match point {
        point if point.contains("held") => order::ROLE,
        point if point.contains("forestall") => forestall::ROLE,
        _ => "consumer",
    };
    let consumes = point.contains("effect") || consumer != "consumer";
    let dying = if consumes { consumer } else { "relay-1" };
    assert!(place.role("producer", events)().status().unwrap().success());
    if point == "in the sweep" {
        // A relay that died holding events, whose leases have ended.
        let status = place.role("relay-2", events)()
            .env(CRASH_AT, "after the claim")
            .status()
            .unwrap();
        assert!(!status.success());
        runtime().block_on(side.end_leases());
    }
    let mut relay = consumes.then(|| place.role("relay-2", events)().spawn().unwrap());
    // The first time there may be but one event to lose.
    let time = if point == "in the sweep" { 1 } else { 2 };
    let status = place.role(dying, events)()
        .env(CRASH_AT, format!("{point}#{time}"))
        .status()
        .unwrap();
    assert!(!status.success(), "{dying} dies {point}");
    if let Some(relay) = &mut relay {
        relay.kill().unwrap();
        relay.wait().unwrap();
    }
    CrashTest::new(1)
        .kills(0)
        .actor("relay-1", place.role("relay-1", events))
        .actor(consumer, place.role(consumer, events))
        .run(|| Ok(is_done(side, events)))
        .unwrap_or_else(|failed| panic!("{point}: {failed}"));
    assert_balanced(side, events);
}

/// The places that an event passes here. Those of workflows are met in
/// `tests/order_to_cash`.
fn points() -> impl Iterator<Item = &'static str> {
    let of_workflows = ["the instance", "the clerk", "the recall"];
    let is_here = move |point: &&str| !of_workflows.iter().any(|one| point.contains(one));
    CRASH_POINTS.iter().copied().filter(is_here)
}

fn name_of(point: &str) -> String {
    point.replace([' ', '\''], "_")
}

#[test]
fn random_kills() {
    let place = Place::new("random", vec![]);
    kill_at_random("consumer", &Files(place.folder.clone()), &place);
}

/// The broker mixes everything up, and the effects of each key are in order all the same.
#[test]
fn random_kills_where_a_worker_keeps_the_order() {
    let place = Place::new("order", vec![]);
    kill_at_random(order::ROLE, &Files(place.folder.clone()), &place);
}

#[test]
fn a_kill_at_every_named_place() {
    for point in points() {
        let place = Place::new(&name_of(point), vec![]);
        kill_at(point, &Files(place.folder.clone()), &place);
    }
}

#[cfg(feature = "postgres")]
#[test]
#[ignore = "needs PostgreSQL"]
fn random_kills_on_postgres() {
    let side = postgres::Schema::new("crash_random");
    let place = Place::new("random-postgres", side.environment());
    kill_at_random("consumer", &side, &place);
    runtime().block_on(side.drop());
}

#[cfg(feature = "postgres")]
#[test]
#[ignore = "needs PostgreSQL"]
fn random_kills_where_a_worker_keeps_the_order_on_postgres() {
    let side = postgres::Schema::new("crash_order");
    let place = Place::new("order-postgres", side.environment());
    kill_at_random(order::ROLE, &side, &place);
    runtime().block_on(side.drop());
}

#[cfg(feature = "postgres")]
#[test]
#[ignore = "needs PostgreSQL"]
fn a_kill_at_every_named_place_on_postgres() {
    for point in points() {
        let side = postgres::Schema::new(&format!("crash_{}", name_of(point)));
        let place =
            Place::new(&format!("{}-postgres", name_of(point)), side.environment());
        kill_at(point, &side, &place);
        runtime().block_on(side.drop());
    }
}
