//! SQLite's file under a relay: replaced, locked, only looked at, and the word of a
//! commit.

use crate::chain::Chain as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use integration_automation_patterns::outbox::{
    Admin, Filter, Redrive, Store, StoreError, sqlite,
};
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::{Decision, DeliveryStatus};
use rusqlite::{Connection, TransactionBehavior};

use crate::broker::{Does, Scripted};
use crate::sqlite::{Sqlite, fresh_path};
use crate::suite::*;

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// Takes a backup, as the guide says.
fn back_up(path: &Path) -> PathBuf {
    let backup = beside(path, ".backup");
    let sql = format!("VACUUM INTO '{}'", backup.display());
    Connection::open(path).unwrap().execute_batch(&sql).unwrap();
    backup
}

fn delete(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(beside(path, suffix));
    }
}

/// Puts a backup back under a program that has the file open.
fn restore(path: &Path, backup: &Path) {
    delete(path);
    fs::rename(backup, path).unwrap();
}

fn enqueue(path: &Path, ids: &[&str]) {
    let mut connection = Connection::open(path).unwrap();
    sqlite::install(&mut connection).unwrap();
    let transaction = connection.transaction().unwrap();
    for id in ids {
        sqlite::enqueue(&transaction, event(id)).unwrap();
    }
    transaction.commit().unwrap();
}

fn told<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    answer.unwrap_err().chain()
}

#[tokio::test]
async fn a_file_that_was_moved_over_is_noticed_and_opened_anew() {
    let database = Sqlite::fresh().await;
    enqueue(&database.path, &["1"]);
    let backup = back_up(&database.path);
    let looker_on = sqlite::Outbox::open_read_only(&database.path).unwrap();
    settle(&database, claim_one(&database).await.acknowledge()).await;
    assert_eq!(database.outbox().counts().await.unwrap().under_way(), 0);
    assert_eq!(looker_on.counts().await.unwrap().under_way(), 0);

    restore(&database.path, &backup);
    enqueue(&database.path, &["2"]);
    for message in
        [told(database.outbox().counts().await), told(looker_on.counts().await)]
    {
        assert!(
            message.ends_with(
                "was replaced by another one while it was open: it is opened anew"
            ),
            "{message}"
        );
    }
    assert_eq!(looker_on.counts().await.unwrap().under_way(), 2);
    // What was sent after the backup is pending again, and is sent a second time.
    assert_eq!(ids(&claim(&database, "relay-1", 10).await.claims), ["1", "2"]);
    assert_eq!(
        database.outbox().counts().await.unwrap().of(DeliveryStatus::Dispatched),
        2
    );
    assert_balanced(&database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_sends_what_a_restored_file_holds() {
    let database = Sqlite::fresh().await;
    enqueue(&database.path, &["1"]);
    let backup = back_up(&database.path);
    let broker = Scripted::new(|_, _| Does::Ack);
    let incidents = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&incidents);
    let relay = Relay::new(
        "relay-1",
        database.outbox().clone(),
        broker.clone(),
        RelayConfig::default(),
    )
    .unwrap()
    .on_incident(move |incident| heard.lock().unwrap().push(incident.to_string()));
    let sent = async |id: &str| {
        while !broker.confirmed().iter().any(|sent| sent == id) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let events_come_and_go = async {
        sent("1").await;
        restore(&database.path, &backup);
        enqueue(&database.path, &["2"]);
        sent("2").await;
    };
    tokio::time::timeout(Duration::from_secs(60), relay.run(events_come_and_go))
        .await
        .expect("the new event is sent");
    let incidents = incidents.lock().unwrap();
    assert!(
        incidents.iter().any(|incident| incident.contains("replaced by another one")),
        "{incidents:?}"
    );
}

#[tokio::test]
async fn a_file_that_was_deleted_is_missed_until_another_one_has_tables() {
    let database = Sqlite::fresh().await;
    enqueue(&database.path, &["1"]);
    delete(&database.path);
    let order = order("relay-1", 10);
    for _ in 0..2 {
        let message = told(database.outbox().claim(&order).await);
        assert!(
            message.contains("moved or deleted")
                || message.contains("is not there any more"),
            "{message}"
        );
    }
    // The beginning of a copy.
    fs::write(&database.path, b"").unwrap();
    let message = told(database.outbox().claim(&order).await);
    assert!(
        message.contains("the file that stands there now has no tables"),
        "{message}"
    );
    assert_eq!(fs::metadata(&database.path).unwrap().len(), 0, "and is left alone");

    enqueue(&database.path, &["2"]);
    assert_eq!(ids(&claim(&database, "relay-1", 10).await.claims), ["2"]);
    assert_eq!(database.outbox().counts().await.unwrap().total(), 1);
}

#[tokio::test]
async fn a_log_that_was_replaced_is_noticed() {
    let database = Sqlite::fresh().await;
    enqueue(&database.path, &["1"]);
    database.sql("PRAGMA wal_checkpoint(TRUNCATE)").await;
    database.outbox().counts().await.unwrap();
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(beside(&database.path, suffix)).unwrap();
    }
    fs::write(beside(&database.path, "-wal"), b"").unwrap();
    let message = told(database.outbox().claim(&order("relay-1", 10)).await);
    assert!(message.contains("the write-ahead log of"), "{message}");
    assert_eq!(ids(&claim(&database, "relay-1", 10).await.claims), ["1"]);
}

#[tokio::test]
async fn a_restored_file_is_as_the_guide_says() {
    let guide = include_str!("../../src/guide/operating.md");
    let database = Sqlite::fresh().await;
    enqueue(&database.path, &["1"]);
    let backup = back_up(&database.path);
    enqueue(&database.path, &["2"]);
    for claim in claim(&database, "relay-1", 10).await.claims {
        settle(&database, claim.acknowledge()).await;
    }
    let sequence = |id: &str| -> i64 {
        let sql = "SELECT sequence FROM outbox_event WHERE id = ?1";
        Connection::open(&database.path)
            .unwrap()
            .query_row(sql, [id], |row| row.get(0))
            .unwrap()
    };
    let second = sequence("2");
    restore(&database.path, &backup);
    let restored = database.another().await;
    assert_eq!(restored.verify().await.unwrap(), [], "the books are those of the backup");
    assert_eq!(
        restored.counts().await.unwrap().of(DeliveryStatus::Pending),
        1,
        "sent after it, and pending again"
    );
    enqueue(&database.path, &["3"]);
    assert_eq!(sequence("3"), second, "the number is given again");

    // An event that failed once, and one that did not, are sent again by the guide's SQL.
    for _ in 0..2 {
        for claim in restored.claim(&order("relay-2", 10)).await.unwrap().claims {
            let fails = claim.id() == &id("1") && claim.attempts() == 1;
            let settlement =
                if fails { claim.fail("timeout") } else { claim.acknowledge() };
            assert_eq!(restored.settle(&[settlement]).await.unwrap(), []);
        }
        make_due(&database).await;
    }
    assert_eq!(restored.counts().await.unwrap().of(DeliveryStatus::Acknowledged), 2);
    let sql = guide
        .split("```sql\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("the guide has the SQL");
    database.sql(&sql.replace("1767600000000000", "0")).await;
    assert_eq!(restored.verify().await.unwrap(), []);
    let again = restored.claim(&order("relay-2", 10)).await.unwrap().claims;
    assert_eq!(ids(&again), ["1", "3"]);
}

#[tokio::test]
async fn the_room_of_what_is_purged_is_given_back_by_a_vacuum() {
    let database = Sqlite::fresh().await;
    let many = (0..2_000).map(|number| event(&number.to_string())).collect();
    database.enqueue(many, true).await;
    database.sql("UPDATE outbox_event SET status = 'acknowledged', attempts = 1, due_at = NULL, done_at = 1").await;
    database.sql("PRAGMA wal_checkpoint(TRUNCATE)").await;
    let size = || fs::metadata(&database.path).unwrap().len();
    let full = size();
    assert_eq!(database.outbox().purge(Duration::ZERO, 10_000).await.unwrap(), 2_000);
    database.sql("PRAGMA wal_checkpoint(TRUNCATE)").await;
    assert!(size() >= full, "it stays as large as it was");
    database.sql("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").await;
    assert!(size() < full / 4, "{} of {full}", size());
    assert_eq!(
        database.outbox().counts().await.unwrap().total(),
        0,
        "the relay's file is the same one"
    );
}

#[tokio::test]
async fn a_database_in_memory_and_an_address_are_what_they_were() {
    let memory = sqlite::Outbox::open(":memory:").unwrap();
    assert!(memory.claim(&order("relay-1", 1)).await.unwrap().claims.is_empty());
    assert_eq!(memory.counts().await.unwrap().total(), 0);
    memory.wait(Duration::from_millis(30)).await;

    let path = fresh_path();
    let address = format!("file:{}?mode=rwc", path.display());
    let outbox = sqlite::Outbox::open(&address).unwrap();
    enqueue(&path, &["1"]);
    assert_eq!(outbox.counts().await.unwrap().total(), 1);
    delete(&path);
    enqueue(&path, &["1", "2"]);
    assert!(
        told(outbox.claim(&order("relay-1", 10)).await)
            .contains("replaced by another one")
    );
    assert_eq!(outbox.claim(&order("relay-1", 10)).await.unwrap().claims.len(), 2);
    delete(&path);
}

#[tokio::test]
async fn who_may_only_look_changes_nothing() {
    let missing = fresh_path();
    assert!(told(sqlite::Outbox::open_read_only(&missing)).contains("cannot be opened"));
    assert!(!missing.exists());
    fs::write(&missing, b"").unwrap();
    assert!(
        told(sqlite::Outbox::open_read_only(&missing)).contains("`install` makes them")
    );
    assert_eq!(fs::metadata(&missing).unwrap().len(), 0);

    let database = Sqlite::fresh().await;
    enqueue(&database.path, &["1", "2"]);
    let dead = claim_one(&database).await;
    settle(&database, dead.reject("unknown account")).await;
    let outbox = sqlite::Outbox::open_read_only(&database.path).unwrap();
    assert_eq!(outbox.counts().await.unwrap().total(), 2);
    assert_eq!(outbox.dead_letters(&Filter::default(), 10).await.unwrap().len(), 1);
    assert_eq!(outbox.waiting(&Filter::default(), 10).await.unwrap().len(), 1);
    assert!(outbox.get(&id("1")).await.unwrap().is_some());
    assert_eq!(outbox.verify().await.unwrap(), []);
    let person = Decision::new("on-call", "why").unwrap();
    for message in [
        told(outbox.claim(&order("relay-1", 1)).await),
        told(
            outbox
                .redrive(&Filter::default(), &Redrive::new(person, Duration::ZERO))
                .await,
        ),
        told(outbox.purge(Duration::ZERO, 10).await),
    ] {
        assert!(message.contains("opened read-only"), "{message}");
    }
    // It hears of what others commit.
    enqueue(&database.path, &["3"]);
    assert_eq!(outbox.counts().await.unwrap().total(), 3);
}

#[tokio::test]
async fn what_is_no_database_is_refused_in_words() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    assert!(told(sqlite::Outbox::open(&folder)).contains("is a folder"));
    let text = fresh_path();
    fs::write(&text, "not a database, whatever its name says. ".repeat(100)).unwrap();
    assert!(told(sqlite::Outbox::open(&text)).contains("the file is no SQLite database"));
    fs::remove_file(&text).unwrap();

    let mut bare = Connection::open_in_memory().unwrap();
    let transaction = bare.transaction().unwrap();
    let refused = sqlite::enqueue(&transaction, event("1")).unwrap_err();
    let message = refused.chain();
    let wanted = "enqueuing an event: the tables are not in this database: `install` makes them: no such table: outbox_event";
    assert!(message.starts_with(wanted), "{message}");
}

#[tokio::test]
async fn the_lock_of_another_program_is_blamed_for_what_it_holds_up() {
    let database = Sqlite::fresh().await;
    enqueue(&database.path, &["1"]);
    let claimed = claim_one(&database).await;
    let mut other = database.connect();
    let lock = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let settlement = claimed.acknowledge();
    let message = told(database.outbox().settle(std::slice::from_ref(&settlement)).await);
    let wanted =
        "settling events: database is locked by another program: database is locked";
    assert!(message.starts_with(wanted), "{message}");
    let again = told(database.outbox().settle(std::slice::from_ref(&settlement)).await);
    assert_eq!(
        again, message,
        "the same reason is the same text, or whoever tells each once would tell all"
    );
    // Who only looks is not held up.
    assert_eq!(
        database.outbox().counts().await.unwrap().of(DeliveryStatus::Dispatched),
        1
    );
    drop(lock);
    assert_eq!(database.outbox().settle(&[settlement]).await.unwrap(), []);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_wakes_who_waits() {
    const COMMITS: u32 = 40;
    let database = Sqlite::fresh().await;
    let began = Instant::now();
    for number in 0..COMMITS {
        assert!(claim(&database, "relay-1", 10).await.claims.len() <= 1);
        let wait = database.outbox().wait(Duration::from_secs(60));
        let commit = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            enqueue(&database.path, &[&number.to_string()]);
        };
        tokio::join!(wait, commit);
    }
    // It asks once a second all the same, and so would take half a minute.
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "woken {COMMITS} times in {:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_writes_all_the_time_keeps_nobody_busy() {
    let database = Sqlite::fresh().await;
    let connection = database.connect();
    connection
        .execute_batch("PRAGMA synchronous = OFF; CREATE TABLE other (value INTEGER)")
        .unwrap();
    let time = Duration::from_secs(2);
    let writes = std::thread::spawn(move || {
        let (began, mut writes) = (Instant::now(), 0);
        while began.elapsed() < time {
            connection.execute("INSERT INTO other VALUES (1)", []).unwrap();
            writes += 1;
        }
        writes
    });
    let (began, mut woken) = (Instant::now(), 0);
    while began.elapsed() < time {
        claim(&database, "relay-1", 1).await.claims.clear();
        database.outbox().wait(Duration::from_secs(1)).await;
        woken += 1;
    }
    let writes = writes.join().unwrap();
    assert!(
        woken <= 110,
        "no oftener than every 20 ms: {woken} times in {time:?}, for {writes} writes"
    );
}
