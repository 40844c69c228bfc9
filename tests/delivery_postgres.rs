//! What is PostgreSQL's own of outbox, relay and inbox; what it has in common with SQLite stands in `tests/delivery`. Each
//! test has a schema of its own, and drops it.
#![cfg(feature = "postgres")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use integration_automation_patterns::audit::AuditTrail;
use integration_automation_patterns::broker::{Answer, Broker, Delivery, SendError};
use integration_automation_patterns::inbox::{self, Fault, Handled, Receipt, Rules};
use integration_automation_patterns::outbox::postgres::{Outbox, enqueue, enqueue_all};
use integration_automation_patterns::outbox::{
    Claim, ClaimOrder, Claimed, Desk, Enqueued, Filter, KeyAfterFailure, Redrive, Store,
};
use integration_automation_patterns::relay::{Relay, Settings};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::state::{Dispatched, Pending};
use integration_automation_patterns::{Decision, Envelope, Event, Untyped};
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
        config.options(format!("-c search_path={schema}")).application_name(schema.as_str());
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
        assert_eq!(enqueue_all(&business, events).await.unwrap(), vec![Enqueued::New; count]);
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

    /// Kills the sessions of this test whose last query is like this, and says how many there were.
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
        // A thread of its own: this one is inside a runtime, which meanwhile stands still, with whatever it holds.
        let dropping = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move { connect(&server()).await.batch_execute(&sql).await.unwrap() });
        });
        let _ = dropping.join();
    }
}

fn server() -> Config {
    "host=127.0.0.1 user=postgres dbname=postgres".parse().unwrap()
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
    Envelope::builder("crm", Untyped::new("crm.lead.created", id.as_bytes()))
        .id(id.parse().unwrap())
        .ordering_key(key.unwrap_or_default())
        .correlation_id("order-7")
        .tag("tenant", "north")
        .retry_policy(policy)
        .build()
        .unwrap()
}

fn order(worker: &str, limit: usize) -> ClaimOrder {
    ClaimOrder { worker: worker.to_owned(), limit, lease: LEASE, after_failure: KeyAfterFailure::Block }
}

fn ids(claims: &[Claim]) -> Vec<String> {
    claims.iter().map(|claim| claim.id().to_string()).collect()
}

fn decision() -> Decision {
    Decision::new("on-call", "the mapping is fixed").unwrap()
}

/// What cannot be stored is given back, with what the database said.
#[tokio::test]
#[ignore = "needs PostgreSQL on 127.0.0.1:5432"]
async fn an_event_that_is_refused_is_given_back() {
    let database = Database::fresh().await;
    let mut session = database.session().await;
    let business = session.transaction().await.unwrap();
    let nul = Envelope::builder("crm\0", Untyped::new("crm.lead.created", b"{}")).build().unwrap();
    let refused = enqueue(&business, nul).await.unwrap_err();
    assert!(refused.to_string().contains("enqueuing events: db error"), "{refused}");
    assert_eq!(refused.into_value().source_system(), "crm\0");
}

#[tokio::test]
#[ignore = "needs PostgreSQL on 127.0.0.1:5432"]
async fn another_event_under_the_same_id_is_refused() {
    let database = Database::fresh().await;
    database.enqueue(vec![event("1")]).await;
    let mut client = database.session().await;
    let business = client.transaction().await.unwrap();
    let other = || Envelope::builder("erp", Untyped::new("a.b.c", b"{}")).id("1".parse().unwrap()).build().unwrap();
    assert!(enqueue(&business, other()).await.unwrap_err().to_string().contains("another event has the id"));
    assert!(enqueue_all(&business, vec![event("2"), other()]).await.is_err());
    assert_eq!(enqueue(&business, event("1")).await.unwrap(), Enqueued::AlreadyThere);
}

/// A driver of one's own enqueues with plain SQL, and gets what an envelope's builder gives.
#[tokio::test]
#[ignore = "needs PostgreSQL on 127.0.0.1:5432"]
async fn plain_sql_enqueues_too() {
    let database = Database::fresh().await;
    let sql = "SELECT outbox_enqueue(id => 'invoice-4711', event_type => 'billing.invoice.issued', \
         source_system => 'billing', payload => '{}', ordering_key => 'customer-1')";
    let new: bool = database.client.query_one(sql, &[]).await.unwrap().get(0);
    let again: bool = database.client.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!((new, again), (true, false));
    let claimed = database.claim(10).await;
    let [claim] = claimed.claims.as_slice() else { panic!("one claim: {claimed:?}") };
    assert_eq!((claim.retry_policy(), claim.ordering_key()), (RetryPolicy::DEFAULT, Some("customer-1")));
    database.balanced().await;
}

/// Many processes that start at once make the tables once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL on 127.0.0.1:5432"]
async fn eight_processes_make_the_tables_at_once() {
    let database = Database::fresh().await;
    database.sql(&format!("DROP SCHEMA {0} CASCADE; CREATE SCHEMA {0}", database.schema)).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let config = database.config.clone();
            tokio::spawn(async move {
                Outbox::connect(config.clone()).await?;
                inbox::postgres::install(&mut connect(&config).await).await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(database.value("SELECT sum(version)::bigint FROM integration_schema").await, 2);

    database.sql("UPDATE integration_schema SET version = 9 WHERE part = 'outbox'").await;
    let refused = Outbox::connect(database.config.clone()).await.unwrap_err().to_string();
    assert!(
        refused.contains("version 1 of the outbox tables, and the database has 9: use a newer program"),
        "{refused}"
    );
}

/// A sweep that is under way makes a completion wait, and then too late; a completion that is under way is not swept.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL on 127.0.0.1:5432"]
async fn sweep_and_completion_never_both_happen() {
    let database = Database::fresh().await;
    database.enqueue(vec![impatient("a", 5)]).await;
    let claim = database.claim(1).await.claims.pop().unwrap();
    let mut sweeper = database.session().await;
    let sweep = sweeper.transaction().await.unwrap();
    sweep.batch_execute("SELECT 1 FROM outbox_event FOR UPDATE").await.unwrap();
    let outbox = database.outbox.clone();
    let settling = tokio::spawn(async move { outbox.settle(&[claim.acknowledge()]).await.unwrap() });
    database.until_waiting(1).await;
    sweep
        .batch_execute("UPDATE outbox_event SET status = 'retrying', token = NULL, due_at = clock_timestamp()")
        .await
        .unwrap();
    sweep.commit().await.unwrap();
    assert_eq!(settling.await.unwrap().len(), 1, "the lease is lost");
    assert_eq!(database.value("SELECT count(*) FROM outbox_event WHERE status = 'retrying'").await, 1);

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

/// A transaction that commits late, after younger events were relayed, is relayed too; and one of the same key makes the
/// younger one wait, so that they cannot change places.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL on 127.0.0.1:5432"]
async fn a_late_commit_is_neither_lost_nor_overtaken() {
    let database = Database::fresh().await;
    let (mut first, mut second) = (database.session().await, database.session().await);
    let late = first.transaction().await.unwrap();
    enqueue(&late, event("late")).await.unwrap();
    let young = second.transaction().await.unwrap();
    enqueue(&young, event("young")).await.unwrap();
    young.commit().await.unwrap();
    let claims = database.claim(10).await.claims;
    assert_eq!(ids(&claims), ["young"]);
    late.commit().await.unwrap();
    assert_eq!(ids(&database.claim(10).await.claims), ["late"]);

    let late = first.transaction().await.unwrap();
    enqueue(&late, keyed("k1", "k")).await.unwrap();
    let waiting = tokio::spawn(async move {
        let young = second.transaction().await.unwrap();
        enqueue_all(&young, vec![keyed("other", "o"), keyed("k2", "k")]).await.unwrap();
        young.commit().await.unwrap();
    });
    database.until_waiting(1).await;
    assert!(database.claim(10).await.claims.is_empty());
    late.commit().await.unwrap();
    waiting.await.unwrap();
    assert_eq!(ids(&database.claim(10).await.claims), ["k1", "other"]);
}

/// A waiting relay hears of an enqueue; one whose listening connection alone was killed hears again, and what was enqueued
/// meanwhile is looked for.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL on 127.0.0.1:5432"]
async fn a_lost_listener_comes_back() {
    let database = Database::fresh().await;
    for round in 0..3 {
        assert!(database.outbox.claim(&order("relay-1", 10)).await.unwrap().claims.is_empty());
        // The first ring is that of the listener, which has just come; and a relay looks once more after each.
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

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), SendError> {
        self.0.lock().unwrap().push(event.id().to_string());
        Ok(())
    }
}

/// A relay whose connections are killed again and again delivers everything, and the call after each loss connects anew.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL on 127.0.0.1:5432"]
async fn a_relay_outlives_its_connections() {
    const EVENTS: i64 = 2000;
    let database = Database::fresh().await;
    database.enqueue((0..EVENTS).map(|number| impatient(&format!("e{number}"), 1000)).collect()).await;
    let broker = Counting::default();
    // A claim that was committed and never answered waits until its lease has ended.
    let settings = Settings::default()
        .in_flight(20)
        .poll(Duration::from_millis(20))
        .store_timeout(Duration::from_millis(300))
        .lease(Duration::from_secs(2));
    let relay = Relay::new("relay-1", database.outbox.clone(), broker.clone(), settings).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(async move { relay.run(async { drop(stopped.await) }).await });
    let mut killed = 0;
    let mut next = 0;
    loop {
        let done = database.value("SELECT count(*) FROM outbox_event WHERE status = 'acknowledged'").await;
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

/// A caller who waits no longer leaves nothing behind that holds up the next call.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL on 127.0.0.1:5432"]
async fn a_call_that_is_given_up_holds_nobody_up() {
    let database = Database::fresh().await;
    database.enqueue(vec![event("a")]).await;
    let mut blocker = database.session().await;
    let locking = blocker.transaction().await.unwrap();
    locking.batch_execute("LOCK TABLE outbox_event IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let outbox = database.outbox.clone();
    let stuck =
        tokio::spawn(async move { outbox.claim(&order("relay-1", 1)).await.map(|claimed| claimed.claims.len()) });
    database.until_waiting(1).await;
    stuck.abort();
    locking.commit().await.unwrap();
    assert!(stuck.await.is_err(), "it was given up");
    let mut claims = Vec::new();
    // The server may still be at the call that was given up, whose transaction ends with its connection.
    while claims.is_empty() {
        claims = database.claim(1).await.claims;
    }
    assert_eq!(claims[0].attempts(), 1, "nothing of it was committed");
}

#[derive(Debug)]
struct Silent;

impl Answer for Silent {
    async fn confirm(self) -> Result<(), SendError> {
        Ok(())
    }
    async fn retry(self, _after: Duration) -> Result<(), SendError> {
        Ok(())
    }
}

fn delivery(id: &str) -> Delivery<Silent> {
    Delivery::new(event(id), Silent)
}

fn rules() -> Rules {
    Rules::new(7 * DAY, &RetryPolicy::DEFAULT).unwrap()
}

async fn with_inbox() -> Database {
    let mut database = Database::fresh().await;
    inbox::postgres::install(&mut database.client).await.unwrap();
    database.sql("CREATE TABLE effect (id text NOT NULL)").await;
    database
}

async fn have_effect(client: &mut Client, id: &str, rules: &Rules, then: Result<(), Fault>) -> Handled<Silent> {
    let handled = inbox::postgres::process(client, delivery(id), rules, async |transaction, event| {
        transaction.execute("INSERT INTO effect VALUES ($1)", &[&event.id().to_string()]).await?;
        then
    });
    handled.await.unwrap()
}

/// Eight consumers that get the same event at the same time have its effect once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL on 127.0.0.1:5432"]
async fn eight_duplicates_at_once_are_one_effect() {
    let database = with_inbox().await;
    let mut consumers = Vec::new();
    for _ in 0..8 {
        let mut client = database.session().await;
        consumers.push(tokio::spawn(async move {
            matches!(have_effect(&mut client, "a", &rules(), Ok(())).await, Handled::Processed(_))
        }));
    }
    let mut first = 0;
    for consumer in consumers {
        first += i64::from(consumer.await.unwrap());
    }
    assert_eq!((first, database.value("SELECT count(*) FROM effect").await), (1, 1));
}

/// A duplicate waits for the transaction that is having the effect, and is the first where that one gives up.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL on 127.0.0.1:5432"]
async fn a_duplicate_of_an_effect_that_never_was_is_the_first() {
    let database = with_inbox().await;
    let (mut one, mut two) = (database.session().await, database.session().await);
    let receipt = inbox::postgres::receive(one.transaction().await.unwrap(), delivery("a"), &rules()).await.unwrap();
    assert!(matches!(receipt, Receipt::New(_)));
    let second = tokio::spawn(async move { have_effect(&mut two, "a", &rules(), Ok(())).await });
    database.until_waiting(1).await;
    drop(receipt); // the process died
    assert!(matches!(second.await.unwrap(), Handled::Processed(_)));
    let third = inbox::postgres::receive(one.transaction().await.unwrap(), delivery("a"), &rules()).await.unwrap();
    assert!(matches!(third, Receipt::Duplicate(_)));
}

/// What an effect wrote before it failed is rolled back, and the failure is remembered, up to the dead letter.
#[tokio::test]
#[ignore = "needs PostgreSQL on 127.0.0.1:5432"]
async fn an_effect_that_fails_leaves_only_its_failure() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    let policy = RetryPolicy::new(3, Backoff::Fixed(Duration::from_secs(5))).unwrap();
    let rules = rules().retry_policy(policy);
    for _ in 0..2 {
        let again = have_effect(&mut client, "a", &rules, Err(Fault::transient("busy\0"))).await;
        assert!(matches!(&again, Handled::Again(again) if again.after() == Duration::from_secs(5)), "{again:?}");
    }
    let dead = have_effect(&mut client, "a", &rules, Err(Fault::transient("busy"))).await;
    assert!(matches!(dead, Handled::Dead(_)), "{dead:?}");
    assert_eq!(database.value("SELECT count(*) FROM effect").await, 0);
    assert!(matches!(have_effect(&mut client, "a", &rules, Ok(())).await, Handled::Duplicate(_)));

    let letters = inbox::postgres::dead_letters(&client, &Filter::default(), 10).await.unwrap();
    assert_eq!((letters.len(), letters[0].event.attempts()), (1, 3));
    assert_eq!(letters[0].event.tags()["tenant"], "north");
    let id = "a".parse().unwrap();
    let redrive = inbox::postgres::redrive(client.transaction().await.unwrap(), "crm", &id, decision(), &rules);
    let first = redrive.await.unwrap().unwrap();
    first.transaction().execute("INSERT INTO effect VALUES ('a')", &[]).await.unwrap();
    let _ = first.commit().await.unwrap();
    assert_eq!(database.value("SELECT count(*) FROM effect").await, 1);
    let gone = inbox::postgres::redrive(client.transaction().await.unwrap(), "crm", &id, decision(), &rules);
    assert!(gone.await.unwrap().is_none(), "it is processed");
}

/// An effect that overlooks a failed statement is not taken for committed: PostgreSQL has given the transaction up.
#[tokio::test]
#[ignore = "needs PostgreSQL on 127.0.0.1:5432"]
async fn an_overlooked_error_is_no_commit() {
    let database = with_inbox().await;
    let (mut client, rules) = (database.session().await, rules());
    let overlooked = inbox::postgres::process(&mut client, delivery("a"), &rules, async |transaction, _| {
        let _ = transaction.execute("INSERT INTO effect VALUES (NULL)", &[]).await;
        Ok(())
    });
    let refused = overlooked.await.unwrap_err().to_string();
    assert!(refused.contains("current transaction is aborted"), "{refused}");
    assert!(matches!(have_effect(&mut client, "a", &rules, Ok(())).await, Handled::Processed(_)), "it comes again");

    // The same error, told: the failure is stored, though the statement before it failed.
    let told = inbox::postgres::process(&mut client, delivery("b"), &rules, async |transaction, _| {
        transaction.execute("INSERT INTO effect VALUES (NULL)", &[]).await?;
        Ok(())
    });
    assert!(matches!(told.await.unwrap(), Handled::Again(_)));
    assert_eq!(database.value("SELECT count(*) FROM inbox_event WHERE status = 'retrying'").await, 1);
}

struct LeadMerged;

impl Event for LeadMerged {
    const TYPE: &'static str = "crm.lead.merged";
}

/// What the rules do not name is a dead letter, even where it was waiting for a retry under older rules.
#[tokio::test]
#[ignore = "needs PostgreSQL on 127.0.0.1:5432"]
async fn what_is_not_taken_in_is_a_dead_letter() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    let narrow = rules().accept::<LeadMerged>();
    let retrying = have_effect(&mut client, "b", &rules(), Err(Fault::transient("busy"))).await;
    assert!(matches!(retrying, Handled::Again(_)));
    for id in ["a", "b"] {
        assert!(matches!(have_effect(&mut client, id, &narrow, Ok(())).await, Handled::Dead(_)));
    }
    assert_eq!(database.value("SELECT count(*) FROM inbox_event WHERE status = 'failed'").await, 2);
    let id = "a".parse().unwrap();
    assert!(inbox::postgres::discard(&mut client, "crm", &id, decision(), &AuditTrail::silent()).await.unwrap());
    assert!(!inbox::postgres::discard(&mut client, "crm", &id, decision(), &AuditTrail::silent()).await.unwrap());
    assert_eq!(inbox::postgres::forget(&client, &rules(), 10).await.unwrap(), 0);
    database.sql("UPDATE inbox_event SET received_at = received_at - interval '8 days'").await;
    assert_eq!(inbox::postgres::forget(&client, &rules(), 10).await.unwrap(), 1, "dead letters stay");
}

/// An event that PostgreSQL cannot remember as it is does not come again for ever: it is a dead letter, once.
#[tokio::test]
#[ignore = "needs PostgreSQL on 127.0.0.1:5432"]
async fn an_id_that_cannot_be_indexed_is_a_dead_letter() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    for id in ["a\0b".to_owned(), "long".repeat(2000)] {
        for _ in 0..2 {
            assert!(matches!(have_effect(&mut client, &id, &rules(), Ok(())).await, Handled::Dead(_)));
        }
    }
    let letters = inbox::postgres::dead_letters(&client, &Filter::default(), 10).await.unwrap();
    assert_eq!(letters.len(), 2);
    assert!(letters[1].event.failure().unwrap().reason.contains("8003 bytes"), "{:?}", letters[1]);
    // A NUL elsewhere is no hindrance.
    let nul = || {
        let event = Envelope::builder("crm", Untyped::new("crm.lead.created", b"{}")).correlation_id("order\0 7");
        Delivery::new(event.tag("tenant", "no\0rth").id("nul".parse().unwrap()).build().unwrap(), Silent)
    };
    for _ in 0..2 {
        let rules = rules();
        let failing = inbox::postgres::process(&mut client, nul(), &rules, async |_, _| Err(Fault::transient("busy")));
        assert!(matches!(failing.await.unwrap(), Handled::Again(_)));
    }
}

/// A person's redrive wakes a relay that waits.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL on 127.0.0.1:5432"]
async fn a_redrive_rings() {
    let database = Database::fresh().await;
    database.enqueue(vec![event("a")]).await;
    let dead: Vec<_> = database.claim(10).await.claims.into_iter().map(|claim| claim.reject("no")).collect();
    assert_eq!(database.outbox.settle(&dead).await.unwrap(), []);
    database.outbox.wait(FAR).await;
    let _ = database.claim(10).await;
    database.outbox.wait(FAR).await;
    let _ = database.claim(10).await;
    let redrive = database.other().await;
    redrive.redrive(&Filter::default(), &Redrive::new(decision(), 7 * DAY)).await.unwrap();
    database.outbox.wait(FAR).await;
    assert_eq!(ids(&database.claim(10).await.claims), ["a"]);
}
