//! The test kit, on SQLite: one event delivered with each answer, and time that passes.
#![cfg(all(feature = "sqlite", feature = "testing"))]

use std::path::PathBuf;
use std::time::Duration;

use integration_automation_patterns::broker::{Consumer, in_process};
use integration_automation_patterns::inbox::{self, HandlerError, InboxConfig};
use integration_automation_patterns::outbox::sqlite::{Outbox, enqueue};
use integration_automation_patterns::outbox::{Admin, ClaimOrder, Store};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::testing::{Delivered, deliver, sqlite};
use integration_automation_patterns::{Envelope, RawEvent, RetryPolicy};
use rusqlite::Connection;

const MINUTE: Duration = Duration::from_secs(60);
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

fn event() -> Envelope<Pending> {
    let lead = RawEvent::new("crm.lead.created", b"{}");
    Envelope::builder("crm", lead).build().expect("well formed")
}

/// A database in a file of its own.
fn fresh_path(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kit");
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(format!("{name}.db"));
    for end in ["db", "db-wal", "db-shm"] {
        let _ = std::fs::remove_file(path.with_extension(end));
    }
    path
}

/// Protects a test of a consumer from taking one answer for another.
#[tokio::test]
async fn a_delivery_is_answered_as_its_handler_ends() {
    let (broker, mut listener) = in_process(1);
    let mut connection = Connection::open_in_memory().expect("a database");
    inbox::sqlite::install(&mut connection).expect("installed");
    let config = InboxConfig::new(WEEK, RetryPolicy::DEFAULT).expect("long enough");
    let (unlucky, lucky) = (event(), event());

    let mut answer = async |event, handled: Option<Result<(), HandlerError>>| {
        let consume = async {
            let delivery = listener.next().await.expect("connected").expect("one");
            let Some(handled) = handled else { return drop(delivery) };
            let processed =
                inbox::sqlite::process(&mut connection, delivery, &config, |_, _| {
                    handled
                });
            processed.expect("stored").settle().await.expect("answered");
        };
        tokio::join!(deliver(&broker, event), consume).0.expect("somebody listens")
    };
    assert_eq!(answer(&unlucky, None).await, Delivered::Dropped);
    let failure = || Some(Err(HandlerError::transient("no such account")));
    let wait = Duration::from_secs(30);
    assert_eq!(answer(&unlucky, failure()).await, Delivered::Nacked(wait));
    assert_eq!(answer(&unlucky, failure()).await, Delivered::Nacked(wait * 2));
    assert_eq!(answer(&unlucky, failure()).await, Delivered::Acked, "a dead letter");
    assert_eq!(answer(&lucky, Some(Ok(()))).await, Delivered::Acked);

    drop(listener);
    assert!(deliver(&broker, &lucky).await.is_err(), "nobody listens");
}

/// Protects tests of retries, leases and windows from sleeping.
#[tokio::test]
async fn time_passes_for_every_moment_of_the_tables() {
    let path = fresh_path("passes");
    let outbox = Outbox::open(&path).expect("a file");
    let mut connection = Connection::open(&path).expect("a file");
    inbox::sqlite::install(&mut connection).expect("installed");
    let business = connection.transaction().expect("a transaction");
    enqueue(&business, event()).expect("stored");
    business.commit().expect("committed");

    let order = ClaimOrder::new("relay", 1, MINUTE);
    let claim = async || outbox.claim(&order).await.expect("answered");
    let held = claim().await;
    assert_eq!((held.claims.len(), claim().await.claims.len()), (1, 0), "it is leased");
    sqlite::pass_time(&connection, MINUTE).expect("passed");
    let swept = claim().await;
    assert_eq!((swept.expired.len(), swept.claims.len()), (1, 0), "its lease has ended");
    sqlite::pass_time(&connection, MINUTE / 2).expect("passed");
    assert_eq!(claim().await.claims.len(), 1, "its retry is due");
    assert_eq!(outbox.verify().await.expect("answered"), [], "the books balance");

    let config = InboxConfig::new(WEEK, RetryPolicy::DEFAULT).expect("long enough");
    connection
        .execute_batch(
            "INSERT INTO inbox_event (source_system, id, received_at, status, attempts) \
             VALUES ('crm', '1', CAST(unixepoch('subsec') * 1000000 AS INTEGER), 'processed', 1)",
        )
        .expect("remembered");
    let purge = || inbox::sqlite::purge(&connection, &config, 10).expect("purged");
    assert_eq!(purge(), 0);
    let other = Connection::open(&path).expect("a file");
    sqlite::pass_time(&other, WEEK).expect("passed");
    assert_eq!(purge(), 1, "the window has closed");
}

/// Protects a test of the order of a key from an event that is named for ever.
#[test]
fn days_pass_for_the_last_event_of_a_key() {
    let mut connection = Connection::open_in_memory().expect("a database");
    integration_automation_patterns::outbox::sqlite::install(&mut connection)
        .expect("installed");
    connection
        .execute_batch("INSERT INTO outbox_chain VALUES ('lead-7', 'crm', 1, '1', 20000)")
        .expect("stored");
    sqlite::pass_time(&connection, WEEK + MINUTE).expect("passed");
    let sql = "SELECT confirmed_on FROM outbox_chain";
    let day = connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    assert_eq!(day, Ok(20000 - 7));
}
