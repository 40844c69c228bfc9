//! What is PostgreSQL's own of outbox, relay and inbox; what it has in common with SQLite
//! stands in `tests/delivery`. Each test has a schema of its own, and drops it.
#![cfg(feature = "postgres")]

mod beside;
#[path = "../support/chain.rs"]
mod chain;
mod enqueue;
mod hostile;
mod inbox;
mod kinds;
#[cfg(feature = "testing")]
mod kit;
mod place;
mod pooler;
mod roles;
#[cfg(feature = "tls")]
mod secure;
#[path = "../support/servers.rs"]
mod servers;
mod unreached;

use crate::chain::Chain as _;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use integration_automation_patterns::broker::{Broker, BrokerError};
use integration_automation_patterns::inbox::postgres::install as install_inbox;
use integration_automation_patterns::outbox::postgres::{Outbox, enqueue_all};
use integration_automation_patterns::outbox::{
    Admin, Claim, ClaimOrder, Claimed, Enqueued, Filter, Redrive, Store,
};
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::state::{Dispatched, Pending};
use integration_automation_patterns::{Decision, Envelope, RawEvent};
use tokio_postgres::{Client, Config, NoTls};

const LEASE: Duration = Duration::from_secs(60);
/// So long that a test which waits for it has failed.
const FAR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A schema of its own for one test.
struct Database {
    config: Config,
    schema: String,
    client: Client,
    outbox: Outbox,
}

impl Database {
    async fn fresh() -> Self {
        let schema = format!("test_{}", uuid::Uuid::now_v7().simple());
        let admin = connect(&server()).await;
        admin.batch_execute(&format!("CREATE SCHEMA {schema}")).await.unwrap();
        let mut config = server();
        config
            .options(format!("-c search_path={schema}"))
            .application_name(schema.as_str());
        let outbox = Outbox::connect(config.clone()).await.unwrap();
        let client = connect(&config).await;
        Self { config, schema, client, outbox }
    }

    /// Another session of a business program.
    async fn session(&self) -> Client {
        connect(&self.config).await
    }

    /// Another process with the same outbox.
    async fn other(&self) -> Outbox {
        Outbox::connect(self.config.clone()).await.unwrap()
    }

    async fn enqueue(&self, events: Vec<Envelope<Pending>>) {
        let mut session = self.session().await;
        let business = session.transaction().await.unwrap();
        let count = events.len();
        assert_eq!(
            enqueue_all(&business, events).await.unwrap(),
            vec![Enqueued::New; count]
        );
        business.commit().await.unwrap();
    }

    async fn sql(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    async fn value(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn claim(&self, limit: usize) -> Claimed {
        self.outbox.claim(&order("relay-1", limit)).await.unwrap()
    }

    async fn balanced(&self) {
        assert_eq!(self.outbox.verify().await.unwrap(), [], "the books balance");
    }

    /// Ends the lease of every dispatched event, without waiting for it.
    async fn end_leases(&self) {
        self.sql("UPDATE outbox_event SET due_at = clock_timestamp() - interval '1 hour' WHERE status = 'dispatched'")
            .await;
    }

    /// Returns when so many sessions of this test wait for a lock.
    async fn until_waiting(&self, sessions: i64) {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}' AND wait_event_type = 'Lock'",
            self.schema
        );
        while self.value(&sql).await < sessions {
            tokio::task::yield_now().await;
        }
    }

    /// Notes each statement of this test that waits for a lock, until there are so many.
    async fn until_noted(&self, noted: &mut BTreeSet<(i32, String)>, statements: usize) {
        let sql = format!(
            "SELECT pid, query_start::text FROM pg_stat_activity \
             WHERE application_name = '{}' AND wait_event_type = 'Lock'",
            self.schema
        );
        while noted.len() < statements {
            let rows = self.client.query(&sql, &[]).await.unwrap();
            noted.extend(rows.iter().map(|row| (row.get(0), row.get(1))));
        }
    }

    /// Kills the sessions of this test whose last query is like this, and says how many
    /// there were.
    async fn kill(&self, query_like: &str) -> i64 {
        let sql = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE application_name = '{}' AND pid <> pg_backend_pid() AND query LIKE '{query_like}'",
            self.schema
        );
        self.value(&sql).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{0}'; \
             SET client_min_messages = warning; DROP SCHEMA {0} CASCADE",
            self.schema
        );
        // A thread of its own: this one is inside a runtime, which meanwhile stands
        // still, with whatever it holds.
        let dropping = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                connect(&server()).await.batch_execute(&sql).await.unwrap()
            });
        });
        let _ = dropping.join();
    }
}

fn server() -> Config {
    servers::postgres().parse().unwrap()
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn event(id: &str) -> Envelope<Pending> {
    build(id, None, RetryPolicy::DEFAULT)
}

fn keyed(id: &str, key: &str) -> Envelope<Pending> {
    build(id, Some(key), RetryPolicy::DEFAULT)
}

/// Retried at once, so that no test waits.
fn impatient(id: &str, attempts: u32) -> Envelope<Pending> {
    build(id, None, RetryPolicy::new(attempts, Backoff::Fixed(Duration::ZERO)).unwrap())
}

fn build(id: &str, key: Option<&str>, policy: RetryPolicy) -> Envelope<Pending> {
    Envelope::builder("crm", RawEvent::new("crm.lead.created", id.as_bytes()))
        .id(id.parse().unwrap())
        .ordering_key(key.unwrap_or_default())
        .correlation_id("order-7")
        .tag("tenant", "north")
        .retry_policy(policy)
        .build()
        .unwrap()
}

fn order(worker: &str, limit: usize) -> ClaimOrder {
    ClaimOrder::new(worker, limit, LEASE)
}

fn ids(claims: &[Claim]) -> Vec<String> {
    claims.iter().map(|claim| claim.id().to_string()).collect()
}

fn decision() -> Decision {
    Decision::new("on-call", "the mapping is fixed").unwrap()
}

/// Many processes that start at once make the tables once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn eight_processes_make_the_tables_at_once() {
    let database = Database::fresh().await;
    database
        .sql(&format!("DROP SCHEMA {0} CASCADE; CREATE SCHEMA {0}", database.schema))
        .await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let config = database.config.clone();
            tokio::spawn(async move {
                Outbox::connect(config.clone()).await?;
                install_inbox(&mut connect(&config).await).await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(
        database.value("SELECT sum(version)::bigint FROM integration_schema").await,
        2 + 4,
        "those of outbox and inbox"
    );

    database.sql("UPDATE integration_schema SET version = 9, compatible_from = 9 WHERE part = 'outbox'").await;
    let refused = Outbox::connect(database.config.clone()).await.unwrap_err().chain();
    assert!(
        refused.contains(
            "version 2 of the outbox tables, and the database has 9: use a newer program"
        ),
        "{refused}"
    );
}

/// A sweep that is under way makes a completion wait, and then too late; a completion
/// that is under way is not swept.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn sweep_and_completion_never_both_happen() {
    let database = Database::fresh().await;
    database.enqueue(vec![impatient("a", 5)]).await;
    let claim = database.claim(1).await.claims.pop().unwrap();
    let mut sweeper = database.session().await;
    let sweep = sweeper.transaction().await.unwrap();
    sweep.batch_execute("SELECT 1 FROM outbox_event FOR UPDATE").await.unwrap();
    let outbox = database.outbox.clone();
    let settling =
        tokio::spawn(async move { outbox.settle(&[claim.acknowledge()]).await.unwrap() });
    database.until_waiting(1).await;
    sweep
        .batch_execute("UPDATE outbox_event SET status = 'retrying', token = NULL, due_at = clock_timestamp()")
        .await
        .unwrap();
    sweep.commit().await.unwrap();
    assert_eq!(settling.await.unwrap().len(), 1, "the lease is lost");
    assert_eq!(
        database
            .value("SELECT count(*) FROM outbox_event WHERE status = 'retrying'")
            .await,
        1
    );

    let _held = database.claim(1).await;
    database.end_leases().await;
    let completion = sweeper.transaction().await.unwrap();
    completion
        .batch_execute("UPDATE outbox_event SET status = 'acknowledged', token = NULL, due_at = NULL, done_at = now()")
        .await
        .unwrap();
    let swept = database.claim(1).await;
    assert!(swept.expired.is_empty() && swept.claims.is_empty(), "{swept:?}");
    completion.commit().await.unwrap();
    let swept = database.claim(1).await;
    assert!(swept.expired.is_empty() && swept.claims.is_empty(), "{swept:?}");
}

/// A waiting relay hears of an enqueue; one whose listening connection alone was killed
/// hears again, and what was enqueued meanwhile is looked for.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_lost_listener_comes_back() {
    let database = Database::fresh().await;
    for round in 0..3 {
        assert!(
            database.outbox.claim(&order("relay-1", 10)).await.unwrap().claims.is_empty()
        );
        // The first ring is that of the listener, which has just come; and a relay looks
        // once more after each.
        database.outbox.wait(FAR).await;
        let _ = database.claim(10).await;
        database.outbox.wait(FAR).await;
        let _ = database.claim(10).await;
        database.enqueue(vec![event(&format!("e{round}"))]).await;
        database.outbox.wait(FAR).await;
        assert_eq!(database.claim(10).await.claims.len(), 1);
        while database.kill("LISTEN%").await == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert!(database.claim(10).await.claims.is_empty(), "the worker's connection lives");
}

/// Sends nowhere, and counts.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<Vec<String>>>);

impl Broker for Counting {
    const SYSTEM: &'static str = "counting";

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        self.0.lock().unwrap().push(event.id().to_string());
        Ok(())
    }
}

/// A relay whose connections are killed again and again delivers everything, and the call
/// after each loss connects anew.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_relay_outlives_its_connections() {
    const EVENTS: i64 = 2000;
    let database = Database::fresh().await;
    database
        .enqueue(
            (0..EVENTS).map(|number| impatient(&format!("e{number}"), 1000)).collect(),
        )
        .await;
    let broker = Counting::default();
    // A claim that was committed and never answered waits until its lease has ended.
    let relay_config = RelayConfig::default()
        .in_flight(20)
        .poll_interval(Duration::from_millis(20))
        .store_timeout(Duration::from_millis(300))
        .lease(Duration::from_secs(2));
    let relay =
        Relay::new("relay-1", database.outbox.clone(), broker.clone(), relay_config)
            .unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running =
        tokio::spawn(async move { relay.run(async { drop(stopped.await) }).await });
    let mut killed = 0;
    let mut next = 0;
    loop {
        let done = database
            .value("SELECT count(*) FROM outbox_event WHERE status = 'acknowledged'")
            .await;
        if done == EVENTS {
            break;
        }
        if done >= next {
            killed += database.kill("%").await;
            next = done + 50;
        }
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    running.await.unwrap();
    let sent: BTreeSet<String> = broker.0.lock().unwrap().iter().cloned().collect();
    assert_eq!(sent.len(), EVENTS as usize);
    assert!(killed >= 20, "connections were killed: {killed}");
    database.balanced().await;
}

/// A server that has one connection to give, and so none for a listener or for a second
/// call, is slower, and that is all.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_relay_with_one_connection_delivers_everything() {
    const EVENTS: usize = 300;
    let database = Database::fresh().await;
    database
        .enqueue((0..EVENTS).map(|number| event(&format!("e{number}"))).collect())
        .await;
    let role = &database.schema;
    database
        .sql(&format!(
            "CREATE ROLE {role} LOGIN CONNECTION LIMIT 1; GRANT USAGE ON SCHEMA {role} TO {role}; \
             GRANT ALL ON ALL TABLES IN SCHEMA {role} TO {role}"
        ))
        .await;
    let mut config = database.config.clone();
    config.user(role.as_str());
    let (broker, relay_config) = (
        Counting::default(),
        RelayConfig::default().in_flight(20).poll_interval(Duration::from_millis(1)),
    );
    let relay = Relay::new(
        "relay-1",
        Outbox::connect(config).await.unwrap(),
        broker.clone(),
        relay_config,
    )
    .unwrap();
    let summary = relay.run_until_idle(std::future::pending::<()>()).await;
    assert_eq!(
        (summary.acknowledged, broker.0.lock().unwrap().len()),
        (EVENTS as u64, EVENTS)
    );
    drop(relay);
    database.balanced().await;
    database.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

/// Confirms at once, but locks the row of the first event before.
struct Locking {
    sent: Counting,
    locker: Mutex<Option<Client>>,
    locked: Arc<tokio::sync::Mutex<Option<Client>>>,
}

impl Broker for Locking {
    const SYSTEM: &'static str = "locking";

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        let locker = self.locker.lock().unwrap().take();
        if let Some(locker) = locker {
            let sql = format!(
                "BEGIN; SELECT FROM outbox_event WHERE id = '{}' FOR UPDATE",
                event.id()
            );
            locker.batch_execute(&sql).await.unwrap();
            *self.locked.lock().await = Some(locker);
        }
        self.sent.send(event).await
    }
}

/// A relay that cannot settle does not go on sending: what it could not settle would be
/// sent again.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_relay_that_cannot_settle_sends_no_more() {
    const EVENTS: usize = 300;
    let database = Database::fresh().await;
    database
        .enqueue((0..EVENTS).map(|number| event(&format!("e{number}"))).collect())
        .await;
    let (sent, locked) = (Counting::default(), Arc::new(tokio::sync::Mutex::new(None)));
    let locker = Mutex::new(Some(database.session().await));
    let broker = Locking { sent: sent.clone(), locker, locked: Arc::clone(&locked) };
    // A claim that were given up on a busy machine would keep its events until its lease
    // ends.
    let relay_config = RelayConfig::default()
        .in_flight(10)
        .store_timeout(Duration::from_millis(500))
        .lease(LEASE);
    let relay =
        Relay::new("relay-1", database.outbox.clone(), broker, relay_config).unwrap();
    // It is not to end by itself: where a busy machine takes longer than the time-out, its
    // database is away for a moment.
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(relay.run(stopped));
    while locked.lock().await.is_none() {
        tokio::task::yield_now().await;
    }
    // Each of these tries fails: what it settles is what the first could not.
    let mut tries = BTreeSet::new();
    database.until_noted(&mut tries, 3).await;
    let count = || sent.0.lock().unwrap().len();
    let before = count();
    database.until_noted(&mut tries, 6).await;
    assert_eq!(count(), before, "nothing was sent between the failures");
    locked.lock().await.take().unwrap().batch_execute("COMMIT").await.unwrap();
    let unsettled = "SELECT count(*) FROM outbox_event WHERE status <> 'acknowledged'";
    while database.value(unsettled).await > 0 {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    let summary = running.await.unwrap();
    // What is committed when the time-out comes is found settled at the next try, which
    // has no lease of it any more.
    let settled = summary.acknowledged + summary.leases_lost;
    assert_eq!((settled, count()), (EVENTS as u64, EVENTS), "each once: {summary:?}");
    database.balanced().await;
}

/// A caller who waits no longer leaves nothing behind that holds up the next call.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_call_that_is_given_up_holds_nobody_up() {
    let database = Database::fresh().await;
    database.enqueue(vec![event("a")]).await;
    let mut blocker = database.session().await;
    let locking = blocker.transaction().await.unwrap();
    locking
        .batch_execute("LOCK TABLE outbox_event IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let outbox = database.outbox.clone();
    let stuck = tokio::spawn(async move {
        outbox.claim(&order("relay-1", 1)).await.map(|claimed| claimed.claims.len())
    });
    database.until_waiting(1).await;
    stuck.abort();
    locking.commit().await.unwrap();
    assert!(stuck.await.is_err(), "it was given up");
    let mut claims = Vec::new();
    // The server may still be at the call that was given up, whose transaction ends with
    // its connection.
    while claims.is_empty() {
        claims = database.claim(1).await.claims;
    }
    assert_eq!(claims[0].attempts(), 1, "nothing of it was committed");
}

/// A person's redrive wakes a relay that waits.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_redrive_rings() {
    let database = Database::fresh().await;
    database.enqueue(vec![event("a")]).await;
    let dead: Vec<_> = database
        .claim(10)
        .await
        .claims
        .into_iter()
        .map(|claim| claim.reject("no"))
        .collect();
    assert_eq!(database.outbox.settle(&dead).await.unwrap(), []);
    database.outbox.wait(FAR).await;
    let _ = database.claim(10).await;
    database.outbox.wait(FAR).await;
    let _ = database.claim(10).await;
    let redrive = database.other().await;
    redrive
        .redrive(&Filter::default(), &Redrive::new(decision(), 7 * DAY))
        .await
        .unwrap();
    database.outbox.wait(FAR).await;
    assert_eq!(ids(&database.claim(10).await.claims), ["a"]);
}
