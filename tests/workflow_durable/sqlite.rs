//! The suite on SQLite.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::Handled;
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::workflow::sqlite::{self as workflows, Clerk, Desk};
use integration_automation_patterns::workflow::{
    AnyAdvance, AnyRuling, Begun, Choice, ClerkSummary, Driven, StepError, WorkflowConfig,
};
use integration_automation_patterns::{AnyEnvelope, Envelope, inbox, outbox, testing};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::orders::order_to_cash::{Any, This};
use crate::suite::{Answer, DAY, Database, act, config, first, id, inbox_config};

pub(crate) struct Sqlite {
    path: PathBuf,
}

impl Sqlite {
    fn connect(&self) -> Connection {
        let connection = Connection::open(&self.path).unwrap();
        connection.busy_timeout(Duration::from_secs(20)).unwrap();
        connection
    }

    /// Works in one transaction, on a thread of its own, so that several work at once.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> T {
        let mut connection = self.connect();
        tokio::task::spawn_blocking(move || work(&mut connection)).await.unwrap()
    }
}

fn begin(connection: &mut Connection) -> Transaction<'_> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap()
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", self.path.display()));
        }
    }
}

impl Database for Sqlite {
    const SUITE: &'static str = "sqlite";

    fn address(&self) -> String {
        self.path.to_str().unwrap().to_owned()
    }

    fn at(address: &str) -> Self {
        Self { path: address.into() }
    }

    async fn fresh() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("workflow-{}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let database = Self { path: folder.join(format!("{count}.db")) };
        let mut connection = database.connect();
        outbox::sqlite::install(&mut connection).unwrap();
        inbox::sqlite::install(&mut connection).unwrap();
        workflows::install(&mut connection).unwrap();
        connection
            .execute_batch("CREATE TABLE effect (instance TEXT, step TEXT)")
            .unwrap();
        database
    }

    async fn try_begin(
        &self,
        key: &str,
        total: u64,
        commit: bool,
    ) -> Result<Begun, StepError> {
        let key = key.to_owned();
        let work = move |connection: &mut Connection| {
            let transaction = begin(connection);
            let first = first(&key, total);
            let begun = workflows::begin(&transaction, first, &config());
            let begun = begun.map_err(|refused| refused.into_cause())?;
            if commit {
                transaction.commit().unwrap();
            }
            Ok(begun)
        };
        self.work(work).await
    }

    async fn sent_before_the_commit(&self, key: &str) -> usize {
        let mut connection = self.connect();
        let transaction = begin(&mut connection);
        let _ = workflows::begin(&transaction, first(key, 900), &config()).unwrap();
        let seen = testing::sqlite::enqueued(&self.connect()).unwrap().len();
        transaction.commit().unwrap();
        seen
    }

    async fn load(&self, key: &str) -> Result<Option<Any>, String> {
        let mut connection = self.connect();
        let loaded = workflows::load::<This, _>(&begin(&mut connection), &id(key));
        loaded.map_err(|error| error.to_string())
    }

    async fn store(&self, step: AnyAdvance<This>) -> Result<(), StepError> {
        let mut connection = self.connect();
        let transaction = begin(&mut connection);
        let stored = workflows::store(&transaction, step, &config());
        stored.map_err(|refused| refused.into_cause())?;
        transaction.commit().unwrap();
        Ok(())
    }

    async fn decide(
        &self,
        key: &str,
        choice: Choice,
        ruling: AnyRuling,
        config: WorkflowConfig,
    ) -> Result<(), String> {
        let key = key.to_owned();
        let work = move |connection: &mut Connection| {
            let transaction = begin(connection);
            let at = workflows::load(&transaction, &id(&key)).unwrap().unwrap();
            let step = This::decide(at, choice, ruling)
                .map_err(|refused| refused.to_string())?;
            workflows::store(&transaction, step, &config)
                .map_err(|refused| refused.to_string())?;
            transaction.commit().unwrap();
            Ok(())
        };
        self.work(work).await
    }

    async fn events(&self) -> Vec<AnyEnvelope> {
        testing::sqlite::enqueued(&self.connect()).unwrap()
    }

    async fn receive(
        &self,
        delivery: Delivery<()>,
        config: WorkflowConfig,
    ) -> Handled<()> {
        let work = move |connection: &mut Connection| {
            let receive = |transaction: &Transaction<'_>, event: &_| {
                workflows::receive::<This, _>(transaction, event, &config).map(drop)
            };
            let inbox_config = inbox_config();
            inbox::sqlite::process(connection, delivery, &inbox_config, receive).unwrap()
        };
        self.work(work).await
    }

    async fn participate(&self, delivery: Delivery<()>, answer: Answer) -> Handled<()> {
        let work = move |connection: &mut Connection| {
            let inbox_config = inbox_config();
            let handle = |transaction: &Transaction<'_>, command: &Envelope<_>| {
                let undo = workflows::undoing(transaction, command, &inbox_config)?;
                let act = act(command, undo, answer)?;
                if let Some(effect) = act.effect {
                    transaction.execute_batch(&effect)?;
                }
                outbox::sqlite::enqueue(transaction, act.reply)
                    .map_err(|refused| refused.into_cause())?;
                Ok(())
            };
            inbox::sqlite::process(connection, delivery, &inbox_config, handle).unwrap()
        };
        self.work(work).await
    }

    async fn clerk(&self, config: WorkflowConfig) -> ClerkSummary {
        let clerk = Clerk::open(&self.path, config).unwrap();
        clerk.of::<This>().on_incident(|_| {}).run_until_idle().await.unwrap()
    }

    async fn pass_time(&self, time: Duration) {
        testing::sqlite::pass_time(&self.connect(), time).unwrap();
    }

    async fn text(&self, sql: &str) -> String {
        self.connect().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    async fn sql(&self, sql: &str) {
        self.connect().execute_batch(sql).unwrap();
    }

    fn migrations() -> Vec<&'static str> {
        workflows::migrations().map(|one| one.sql).collect()
    }
}

at_a_desk!(Sqlite, "BLOB", database => Desk::open(&database.path).unwrap());

suite!(Sqlite);

/// Protects the orders from whoever may only look at them.
#[tokio::test]
async fn a_desk_that_may_only_look_changes_nothing() {
    let database = Sqlite::fresh().await;
    let _ = database.begin("1", 900, true).await;
    database.sql("UPDATE workflow_instance SET turn_failures = 1").await;
    let desk = Desk::open_read_only(&database.path).unwrap().of::<This>();
    let id = id("1").as_event_id().clone();
    let found = desk.look(&id).await.unwrap().unwrap().instance;
    assert_eq!(desk.counts().await.unwrap()[0].instances, 1);
    let decision = crate::desk::decision();
    let due_at = found.due_at.unwrap();
    let postponed = desk.postpone(&id, found.revision, due_at, &decision).await;
    assert!(postponed.is_err(), "{postponed:?}");
    assert!(desk.take_up(&id, &decision).await.is_err());
    assert!(desk.purge(Duration::ZERO, 10, &decision).await.is_err());
    let seen = desk.look(&id).await.unwrap().unwrap();
    assert_eq!((seen.instance.revision, seen.journal.len()), (1, 1));
    let missing = Desk::open_read_only(database.path.with_extension("none"));
    assert!(missing.is_err(), "there is no such file, and none is made");
}

/// Protects from deadlines that nobody runs, where `of` is forgotten.
#[tokio::test]
async fn a_clerk_without_a_table_says_so_and_ends() {
    let database = Sqlite::fresh().await;
    let (reports, reported) = std::sync::mpsc::channel();
    let clerk = Clerk::open(&database.path, config()).unwrap();
    let clerk = clerk.on_incident(move |one| reports.send(one.to_string()).unwrap());
    let summary = clerk.run(std::future::pending::<()>()).await;
    assert_eq!(summary, ClerkSummary::default());
    let reported: Vec<String> = reported.iter().collect();
    assert!(matches!(&reported[..], [one] if one.contains("`of`")), "{reported:?}");
}

/// Protects from a run without an end, where an instance fails and is due again at once.
#[tokio::test]
async fn a_run_ends_where_an_instance_fails_again() {
    let database = Sqlite::fresh().await;
    let _ = database.begin("1", 900, true).await;
    database.sql("UPDATE workflow_instance SET version = 7").await;
    database.pass_time(DAY).await;
    let at_once = RetryPolicy::retries(1, Backoff::Fixed(Duration::ZERO));
    let clerk = Clerk::open(&database.path, config()).unwrap().of::<This>();
    let clerk = clerk.retry_policy(at_once).on_incident(|_| {});
    let summary = clerk.run_until_idle().await.unwrap();
    assert_eq!((summary.moved, summary.failed), (0, 2));
}
