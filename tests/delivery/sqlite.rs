//! The suite on SQLite, and what is SQLite's own.

use crate::chain::Chain as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Utc};
use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::{
    self, Forestalled, Handled, HandlerError, Remembered,
};
use integration_automation_patterns::outbox::{
    Admin, Enqueued, Filter, Migration, Recalled, Store, StoreError, sqlite,
};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Decision, Envelope, EventId, RawEvent};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::forestall::{self, Participant};
use crate::suite::{self, Database, claim, claim_one, event, impatient, order, settle};

pub(crate) struct Sqlite {
    pub path: PathBuf,
    outbox: sqlite::Outbox,
}

/// A file of its own, that is gone with the test's process directory.
pub(crate) fn fresh_path() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("delivery-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory.join(format!("{}.db", COUNT.fetch_add(1, Ordering::Relaxed)))
}

impl Sqlite {
    pub(crate) fn connect(&self) -> Connection {
        let connection = Connection::open(&self.path).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
        connection
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", self.path.display()));
        }
    }
}

impl Database for Sqlite {
    type Outbox = sqlite::Outbox;

    async fn fresh() -> Self {
        let path = fresh_path();
        let outbox = sqlite::Outbox::open(&path).unwrap();
        Self { path, outbox }
    }

    fn outbox(&self) -> &sqlite::Outbox {
        &self.outbox
    }

    fn scripts() -> Vec<Migration> {
        sqlite::migrations().collect()
    }

    const MIGRATIONS: &'static str = "src/outbox/sqlite/migrations";
    const PLAIN_ENQUEUE: &'static str = "INSERT INTO outbox_event (id, event_type, source_system, payload) \
         VALUES ('plain', 'crm.lead.created', 'crm', '{}')";

    async fn open(&self) -> Result<sqlite::Outbox, StoreError> {
        sqlite::Outbox::open(&self.path)
    }

    async fn drop_tables(&self) {
        self.sql(
            "DROP TABLE outbox_history; DROP TABLE outbox_event; \
             DROP TABLE outbox_chain; DROP TABLE integration_schema",
        )
        .await;
    }

    async fn enqueue(&self, events: Vec<Envelope<Pending>>, commit: bool) {
        let mut connection = self.connect();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        for event in events {
            sqlite::enqueue(&transaction, event).unwrap();
        }
        if commit {
            transaction.commit().unwrap();
        }
    }

    async fn recall(&self, id: &EventId, decision: Decision, commit: bool) -> Recalled {
        let (mut connection, id) = (self.connect(), id.clone());
        let work = move || {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .unwrap();
            let recalled = sqlite::recall(&transaction, &id, &decision).unwrap();
            if commit {
                transaction.commit().unwrap();
            }
            recalled
        };
        tokio::task::spawn_blocking(work).await.unwrap()
    }

    async fn sql(&self, sql: &str) {
        self.connect().execute_batch(sql).unwrap();
    }

    fn moment(at: DateTime<Utc>) -> String {
        at.timestamp_micros().to_string()
    }
}

impl Participant for Sqlite {
    async fn with_inbox() -> Self {
        let database = Self::fresh().await;
        inbox::sqlite::install(&mut database.connect()).unwrap();
        database.sql("CREATE TABLE effect (id TEXT)").await;
        database
    }

    async fn handle(
        &self,
        delivery: Delivery<()>,
        then: Result<(), HandlerError>,
    ) -> Handled<()> {
        let mut connection = self.connect();
        // On a thread of its own, so that several work at once.
        let work = move || {
            let config = forestall::inbox_config();
            let effect = |transaction: &Transaction<'_>, event: &Envelope<_>| {
                let id = event.id().to_string();
                transaction.execute("INSERT INTO effect VALUES (?1)", [id])?;
                then
            };
            inbox::sqlite::process(&mut connection, delivery, &config, effect).unwrap()
        };
        tokio::task::spawn_blocking(work).await.unwrap()
    }

    async fn forestall(
        &self,
        id: &str,
        asked_at: DateTime<Utc>,
        commit: bool,
    ) -> Forestalled {
        let (mut connection, id) = (self.connect(), suite::id(id));
        let work = move || {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .unwrap();
            let config = forestall::inbox_config();
            let was =
                inbox::sqlite::forestall(&transaction, "crm", &id, asked_at, &config);
            if commit {
                transaction.commit().unwrap();
            }
            was.unwrap()
        };
        tokio::task::spawn_blocking(work).await.unwrap()
    }

    async fn discard(&self, id: &str, decision: Decision) -> bool {
        let (mut connection, silent) = (self.connect(), forestall::silent());
        inbox::sqlite::discard(&mut connection, &event(id), decision, &silent).unwrap()
    }

    async fn inbox_counts(&self) -> inbox::Counts {
        inbox::sqlite::counts(&self.connect(), std::time::Duration::ZERO).unwrap()
    }

    async fn remembered(&self, id: &str) -> Option<Remembered> {
        inbox::sqlite::get(&self.connect(), "crm", &suite::id(id)).unwrap()
    }

    async fn number(&self, sql: &str) -> i64 {
        self.connect().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

suite!(Sqlite);

#[tokio::test]
async fn an_event_from_plain_sql_is_an_event() {
    let database = Sqlite::fresh().await;
    database
        .sql(
            "INSERT INTO outbox_event (id, event_type, source_system, payload) \
             VALUES ('invoice-4711', 'billing.invoice.issued', 'billing', '{}') ON CONFLICT (id) DO NOTHING",
        )
        .await;
    let claimed = claim(&database, "relay-1", 10).await;
    assert_eq!(claimed.claims.len(), 1);
    assert_eq!(claimed.claims[0].payload().bytes(), b"{}");
    assert_eq!(
        claimed.claims[0].retry_policy(),
        integration_automation_patterns::RetryPolicy::DEFAULT
    );
}

#[tokio::test]
async fn another_event_under_the_same_id_is_refused_and_not_swallowed() {
    let database = Sqlite::fresh().await;
    database.enqueue(vec![event("invoice-1")], true).await;
    let mut connection = database.connect();
    let transaction = connection.transaction().unwrap();
    let other =
        Envelope::builder("billing", RawEvent::new("billing.invoice.cancelled", b"{}"));
    let other = other.id("invoice-1".parse().unwrap()).build().unwrap();
    let refused = sqlite::enqueue(&transaction, other).unwrap_err();
    assert_eq!(
        refused.chain(),
        "enqueuing an event: another event has the id \"invoice-1\": crm.lead.created from crm is there, and \
         billing.invoice.cancelled from billing was to be enqueued (derive ids that are unique with their source alone: \
         EventId::derived)"
    );
}

#[tokio::test]
async fn an_event_is_not_enqueued_in_a_transaction_that_has_ended() {
    let database = Sqlite::fresh().await;
    let mut connection = database.connect();
    connection
        .execute_batch("CREATE TABLE lead (name TEXT UNIQUE ON CONFLICT ROLLBACK)")
        .unwrap();
    let transaction = connection.transaction().unwrap();
    transaction.execute("INSERT INTO lead VALUES ('Ada')", []).unwrap();
    assert!(
        transaction.execute("INSERT INTO lead VALUES ('Ada')", []).is_err(),
        "SQLite rolls all of it back"
    );
    let refused = sqlite::enqueue(&transaction, event("1")).unwrap_err();
    assert!(refused.chain().contains("the transaction has ended already"), "{refused}");
    drop(transaction);
    assert!(claim(&database, "relay-1", 1).await.claims.is_empty());
}

#[tokio::test]
async fn what_is_due_in_a_tick_of_the_clock_is_due_at_its_beginning() {
    let database = Sqlite::fresh().await;
    database.enqueue((0..20).map(|n| impatient(&n.to_string(), 2)).collect(), true).await;
    for _ in 0..20 {
        settle(&database, claim_one(&database).await.fail("timeout")).await;
    }
    let later = "SELECT count(*) FROM outbox_event WHERE status = 'retrying' AND due_at % 1000 <> 0";
    let later: i64 = database.connect().query_row(later, [], |row| row.get(0)).unwrap();
    assert_eq!(later, 0, "SQLite's clock would pass them only with its next millisecond");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_nobody_waits_for_any_more_is_none() {
    let database = Sqlite::fresh().await;
    database.enqueue(vec![event("1")], true).await;
    let mut locker = database.connect();
    let lock = locker.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    // The claim is begun, and given up before it can have the lock.
    let order = order("relay-1", 1);
    tokio::select! {
        biased;
        claimed = database.outbox().claim(&order) => panic!("the database is locked: {claimed:?}"),
        () = std::future::ready(()) => {}
    }
    drop(lock);
    let claimed = claim(&database, "relay-2", 1).await;
    assert_eq!(claimed.claims.len(), 1, "it was not taken by a claim that is lost");
    assert_eq!(claimed.claims[0].attempts(), 1, "and no attempt is spent");
}

#[tokio::test]
async fn a_row_of_other_types_is_refused_or_read_and_stops_nobody() {
    let database = Sqlite::fresh().await;
    let insert = |columns: &str, values: &str| {
        let sql = format!(
            "INSERT INTO outbox_event (id, event_type, source_system, payload{columns}) VALUES ('odd', 'a.b.c', {values})"
        );
        database.connect().execute_batch(&sql)
    };
    assert!(insert("", "'crm', 42").is_err(), "a payload is bytes or text");
    assert!(
        insert(", created_at", "'crm', '', 9223372036854775807").is_err(),
        "a time is one of the calendar"
    );
    assert!(
        insert(", attempts", "'crm', '', 9223372036854775807").is_err(),
        "attempts are counted in 32 bits"
    );
    insert("", "CAST(x'ff' AS TEXT), ''").unwrap();
    database.enqueue(vec![event("good")], true).await;
    let claimed = claim(&database, "relay-1", 10).await;
    assert_eq!(crate::suite::ids(&claimed.claims), ["odd", "good"]);
    assert_eq!(claimed.claims[0].source_system(), "\u{fffd}");

    let poison = "'crm', '', -9000000000000000000, 9223372036854775807, CAST(x'ff' AS TEXT), 'why'";
    database.sql("UPDATE outbox_event SET id = 'other' WHERE id = 'odd'").await;
    insert(", created_at, failed_at, failure_class, failure_reason", poison).unwrap_err(); // no times of the calendar
    let poison =
        "'crm', '', -62135596800000000, 253402300799999999, CAST(x'ff' AS TEXT), 'why'";
    insert(", created_at, failed_at, failure_class, failure_reason", poison).unwrap();
    let claimed = claim(&database, "relay-1", 10).await;
    assert_eq!((claimed.claims.len(), claimed.quarantined[0].event.as_str()), (0, "odd"));
}

/// What a row may hold all the same: it was written while the checks were off, or the
/// file was mended.
#[tokio::test]
async fn a_row_that_no_check_kept_out_stops_nobody() {
    let database = Sqlite::fresh().await;
    let odd = "CAST(x'ff61' AS TEXT)";
    let rows = [
        "enqueued_at = 9223372036854775807, claimed_at = -9223372036854775808, done_at = 9223372036854775807".to_owned(),
        "created_at = 9223372036854775807, redriven_at = 9223372036854775807, redriven_by = 'x', redriven_reason = 'y'".to_owned(),
        "due_at = -9223372036854775808".to_owned(),
        "due_at = 9223372036854775807".to_owned(),
        "attempts = 9223372036854775807".to_owned(),
        "attempts = 4294967294".to_owned(),
        "attempts = -7".to_owned(),
        format!("ordering_key = {odd}, correlation_id = {odd}, retry_policy = {odd}, claimed_by = {odd}"),
        format!("status = 'dispatched', due_at = 0, token = {odd}, claimed_by = {odd}, attempts = 1"),
        "status = 'dispatched', due_at = 0, token = 'no uuid', attempts = 4294967294".to_owned(),
        format!("status = 'failed', failed_at = 9223372036854775807, failure_class = {odd}, failure_reason = {odd}"),
        "status = 'failed', failed_at = 1, failure_class = 'permanent', failure_reason = 'why', first_sent_at = 9223372036854775807".to_owned(),
        "status = 'lost'".to_owned(),
    ];
    let names: Vec<String> =
        (0..rows.len()).map(|number| format!("odd-{number}")).collect();
    database.enqueue(names.iter().map(|name| event(name)).collect(), true).await;
    let connection = database.connect();
    connection.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
    for (name, row) in names.iter().zip(&rows) {
        connection
            .execute(&format!("UPDATE outbox_event SET {row} WHERE id = ?1"), [name])
            .unwrap();
    }
    let history = format!(
        "INSERT INTO outbox_history (event, action, at, by, status, attempts, reason, claimed_at, claimed_by) VALUES \
         (1, {odd}, 9223372036854775807, {odd}, {odd}, -1, {odd}, -9223372036854775808, {odd})"
    );
    connection.execute_batch(&history).unwrap();
    database.enqueue(vec![event("good")], true).await;

    let all = sqlite::Outbox::open_read_only(&database.path).unwrap();
    let look = async || {
        assert_eq!(all.counts().await.unwrap().total(), 13, "one status is none");
        all.waiting(&Filter::default(), 100).await.unwrap();
        all.dead_letters(&Filter::default(), 100).await.unwrap();
        all.unreadable(&Filter::default()).await.unwrap();
        assert!(!all.verify().await.unwrap().is_empty());
        for name in &names {
            // Its error is of this one.
            let _ = all.get(&name.parse().unwrap()).await;
        }
    };
    look().await;
    let mut sent = Vec::new();
    for round in 0.. {
        let claimed = claim(&database, "relay-1", 3).await;
        if claimed.claims.is_empty()
            && claimed.expired.is_empty()
            && claimed.quarantined.is_empty()
        {
            break;
        }
        assert!(round < 20, "the rows are done with one day");
        for claim in claimed.claims {
            sent.push(claim.id().to_string());
            settle(&database, claim.acknowledge()).await;
        }
    }
    assert!(sent.contains(&"good".to_owned()), "{sent:?}");
    look().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_are_made_once_by_whoever_comes_first() {
    let path = fresh_path();
    let openers = (0..8).map(|_| {
        tokio::task::spawn_blocking({
            let path = path.clone();
            move || sqlite::Outbox::open(&path).map(drop)
        })
    });
    for opener in openers.collect::<Vec<_>>() {
        opener.await.unwrap().unwrap();
    }
    let made: i64 = Connection::open(&path)
        .unwrap()
        .query_row(
            "SELECT version FROM integration_schema WHERE part = 'outbox'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(made, 2);
}

#[tokio::test]
async fn tables_of_a_newer_version_are_left_alone() {
    let database = Sqlite::fresh().await;
    database
        .sql("UPDATE integration_schema SET version = 99, compatible_from = 99")
        .await;
    let error = sqlite::Outbox::open(&database.path).unwrap_err();
    assert_eq!(
        error.chain(),
        "looking at the tables: this program knows version 2 of the outbox tables, and the database has 99: use a newer \
         program, of version 99 or later"
    );
}

#[tokio::test]
async fn a_locked_database_is_an_error_and_the_event_comes_back() {
    let database = Sqlite::fresh().await;
    let mut locker = database.connect();
    let lock = locker.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();

    let mut other = Connection::open(&database.path).unwrap();
    other.busy_timeout(std::time::Duration::ZERO).unwrap();
    let transaction = other.transaction().unwrap();
    let refused = sqlite::enqueue(&transaction, event("1")).unwrap_err();
    assert!(
        refused.chain().starts_with("enqueuing an event: database is locked"),
        "{refused}"
    );
    drop(transaction);
    drop(lock);

    let transaction = other.transaction().unwrap();
    assert_eq!(
        sqlite::enqueue(&transaction, refused.into_value()).unwrap(),
        Enqueued::New
    );
    transaction.commit().unwrap();
    assert_eq!(claim(&database, "relay-1", 1).await.claims.len(), 1);
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_committed() {
    let database = Sqlite::fresh().await;
    database.enqueue(vec![event("1")], true).await;
    let mut connection = database.connect();
    let pages: i64 =
        connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    // The largest size of the file is a limit that SQLite keeps as it keeps the end of
    // the disk.
    connection.pragma_update(None, "max_page_count", pages + 1).unwrap();
    let transaction = connection.transaction().unwrap();
    let mut full = None;
    for number in 0..1000 {
        if let Err(refused) =
            sqlite::enqueue(&transaction, event(&format!("more-{number}")))
        {
            full = Some(refused);
            break;
        }
    }
    let full = full.expect("the disk is full at some time");
    assert!(full.chain().contains("full"), "{full}");
    drop(transaction);

    let claimed = database.outbox().claim(&order("relay-1", 10)).await.unwrap();
    assert_eq!(crate::suite::ids(&claimed.claims), ["1"]);
}
