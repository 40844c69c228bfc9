//! Processes that are killed: a receiver between the commit of the effect and its answer,
//! and relay and receiver at random moments. Each event has one effect.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use integration_automation_patterns::broker::{Broker, Consumer};
use integration_automation_patterns::inbox::{Handled, sqlite as inbox};
use integration_automation_patterns::outbox::{Admin, StoreError, sqlite as outbox};
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::testing::CrashTest;
use integration_automation_patterns::{DeliveryStatus, Envelope, RawEvent};
use rusqlite::Connection;

use super::{event, inbox_config, unique};

/// What a started process does.
const ROLE: &str = "TEST_ROLE";
/// Where its databases are.
const FOLDER: &str = "TEST_FOLDER";
/// The name by which it finds its ends.
const NAME: &str = "TEST_NAME";

const EVENTS: u64 = 200;
const KEYS: u64 = 10;

/// Where a relay sends to and a receiver reads from, as every process that knows its name
/// finds it.
pub(crate) trait Ends: Sized {
    type Broker: Broker + 'static;
    type Consumer: Consumer;
    /// The shortest and the longest pause between two kills, in milliseconds: long enough
    /// that a process gets to its work.
    const PAUSES: [u64; 2] = [5, 60];

    fn named(name: String) -> Self;
    /// Makes it, and says its name.
    async fn make() -> String;
    fn broker(&self) -> Self::Broker;
    async fn consumer(&mut self) -> Self::Consumer;
    /// Removes it, once all processes have ended.
    async fn remove(self) {}
}

/// The folder of one test, and the ends that its processes share.
struct Place {
    folder: PathBuf,
    name: String,
    /// The test that plays the roles.
    player: String,
}

impl Place {
    fn new(module: &str, name: String) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique("killed"));
        std::fs::create_dir(&folder).unwrap();
        let (_, module) = module.split_once("::").unwrap();
        Self { folder, name, player: format!("{module}::play_the_role") }
    }

    fn of_environment() -> Self {
        let [folder, name] = [FOLDER, NAME].map(|name| std::env::var(name).unwrap());
        Self { folder: folder.into(), name, player: String::new() }
    }

    /// The command that starts this program in one of its roles.
    fn role(&self, role: &'static str) -> impl Fn() -> Command + use<> {
        let (folder, name) = (self.folder.clone(), self.name.clone());
        let player = self.player.clone();
        move || {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", &player, "--quiet"]);
            command.env(ROLE, role).env(FOLDER, &folder).env(NAME, &name);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        }
    }

    /// The receiver's database: each delivery, and each effect.
    fn erp(&self) -> Connection {
        let mut erp = Connection::open(self.folder.join("erp.db")).unwrap();
        inbox::install(&mut erp).unwrap();
        erp.execute_batch(
            "CREATE TABLE IF NOT EXISTS delivery (id TEXT NOT NULL);
             CREATE TABLE IF NOT EXISTS effect (id TEXT NOT NULL, key TEXT)",
        )
        .unwrap();
        erp
    }

    fn remove(self) {
        std::fs::remove_dir_all(self.folder).unwrap();
    }
}

fn count(erp: &Connection, table: &str) -> i64 {
    let count = format!("SELECT count(*) FROM {table}");
    erp.query_row(&count, [], |row| row.get(0)).unwrap()
}

/// What a started process does; nothing in a process that nobody started for it.
pub(crate) async fn play<E: Ends>() {
    match std::env::var(ROLE).as_deref() {
        Ok("relay") => relay::<E>().await,
        Ok(role) => receive::<E>(role == "dies").await,
        Err(_) => {}
    }
}

/// Has the effect of each event, for ever, or until it dies between the first effect and
/// its answer.
async fn receive<E: Ends>(dies: bool) {
    let place = Place::of_environment();
    let mut ends = E::named(place.name.clone());
    let (mut consumer, mut erp) = (ends.consumer().await, place.erp());
    loop {
        let Ok(Some(delivery)) = consumer.next().await else { continue };
        let id = delivery.facts().id().to_string();
        erp.execute("INSERT INTO delivery VALUES (?1)", [id]).unwrap();
        let handled = inbox::process(&mut erp, delivery, &inbox_config(), |t, event| {
            let row = (event.id().to_string(), event.ordering_key());
            t.execute("INSERT INTO effect VALUES (?1, ?2)", row)?;
            Ok(())
        });
        let handled = handled.unwrap();
        if dies && matches!(handled, Handled::Processed(_)) {
            std::process::abort();
        }
        let _ = handled.settle().await;
    }
}

struct Receiver(Child);

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Protects what the inbox is for: the event comes again, and has no second effect.
pub(crate) async fn between_commit_and_answer<E: Ends>(module: &str) {
    let place = Place::new(module, E::make().await);
    let ends = E::named(place.name.clone());
    let (broker, erp) = (ends.broker(), place.erp());
    let sent = async {
        while broker.send(&event("1")).await.is_err() {
            tokio::task::yield_now().await; // nobody listens, or who did has died
        }
    };
    let received = async {
        let mut dies = Receiver(place.role("dies")().spawn().unwrap());
        let died = tokio::task::spawn_blocking(move || dies.0.wait()).await;
        assert!(!died.unwrap().unwrap().success(), "it was to die");
        let lives = Receiver(place.role("lives")().spawn().unwrap());
        while count(&erp, "delivery") < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        lives
    };
    let (_lives, ()) = tokio::join!(received, sent);
    assert_eq!(count(&erp, "effect"), 1);
    drop((_lives, erp));
    ends.remove().await;
    place.remove();
}

/// With a lease that ends soon, so that what a relay held when it died does not wait
/// for long.
async fn relay<E: Ends>() {
    let place = Place::of_environment();
    let crm = outbox::Outbox::open(place.folder.join("crm.db")).unwrap();
    let config = RelayConfig::default()
        .lease(Duration::from_millis(900))
        .store_timeout(Duration::from_millis(150))
        .poll_interval(Duration::from_millis(50))
        .in_flight(8);
    let broker = E::named(place.name).broker();
    let relay = Relay::new("relay-1", crm, broker, config).unwrap();
    relay.run(pending::<()>()).await;
}

fn enqueue(place: &Place) {
    let mut crm = Connection::open(place.folder.join("crm.db")).unwrap();
    outbox::install(&mut crm).unwrap();
    let again = Backoff::Fixed(Duration::from_millis(5));
    let policy = RetryPolicy::new(1000, again).unwrap();
    let business = crm.transaction().unwrap();
    for number in 0..EVENTS {
        let lead = RawEvent::new("crm.lead.created", b"{}");
        let event = Envelope::builder("crm", lead)
            .id(format!("{number:04}").parse().unwrap())
            .ordering_key((number % KEYS).to_string())
            .retry_policy(policy);
        outbox::enqueue(&business, event.build().unwrap()).unwrap();
    }
    business.commit().unwrap();
}

/// Protects the promise of the whole way: nothing lost, nothing twice, nothing
/// overtaken, on the side that sends and the one that receives.
pub(crate) fn a_hundred_kills<E: Ends>(module: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.unwrap();
    let place = Place::new(module, runtime.block_on(E::make()));
    enqueue(&place);
    let crm = outbox::Outbox::open(place.folder.join("crm.db")).unwrap();
    let erp = place.erp();
    let sent = || {
        let counts = runtime.block_on(crm.counts())?;
        Ok::<_, StoreError>(counts.of(DeliveryStatus::Acknowledged))
    };
    let [shortest, longest] = E::PAUSES.map(Duration::from_millis);
    let report = CrashTest::new(15)
        .actor("relay", place.role("relay"))
        .actor("receiver", place.role("receiver"))
        .kills(100)
        .pauses(shortest, longest)
        .run(|| Ok(sent()? == EVENTS && count(&erp, "effect") >= EVENTS as i64))
        .unwrap();
    assert_eq!(report.kills(), 100);
    println!("{report}, of {} deliveries", count(&erp, "delivery"));
    for key in 0..KEYS {
        let wanted = (0..EVENTS).filter(|number| number % KEYS == key);
        let wanted: Vec<String> = wanted.map(|number| format!("{number:04}")).collect();
        assert_eq!(effects(&erp, &key.to_string()), wanted, "of the key {key}");
    }
    drop((crm, erp));
    runtime.block_on(E::named(place.name.clone()).remove());
    place.remove();
}

/// The effects of one key, in their order.
fn effects(erp: &Connection, key: &str) -> Vec<String> {
    let effects = "SELECT id FROM effect WHERE key = ?1 ORDER BY rowid";
    let mut effects = erp.prepare(effects).unwrap();
    let ids = effects.query_map([key], |row| row.get(0)).unwrap();
    ids.collect::<Result<_, _>>().unwrap()
}

/// What kills a server's processes, in a module of its own, each test with the attribute
/// given.
#[macro_export]
macro_rules! killed_on {
    ($ends:ty $(, #[$attribute:meta])?) => {
        /// Not a test of its own: what the started processes do. Started by nobody, it
        /// does nothing.
        #[tokio::test]
        async fn play_the_role() {
            $crate::suite::play::<$ends>().await;
        }

        #[tokio::test]
        $(#[$attribute])?
        async fn killed_between_commit_and_answer_there_is_one_effect() {
            let killed = $crate::suite::between_commit_and_answer::<$ends>(module_path!());
            $crate::suite::in_time(killed).await;
        }

        #[test]
        $(#[$attribute])?
        fn a_hundred_kills_cost_no_event_no_order_and_no_second_effect() {
            $crate::suite::a_hundred_kills::<$ends>(module_path!());
        }
    };
}
