//! Long work on SQLite's file beside short work: whoever writes gets through, and what is
//! given up ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use integration_automation_patterns::outbox::{
    Admin, ClaimOrder, Filter, OnDeadLetter, Redrive, Store,
};
use integration_automation_patterns::{Decision, DeliveryStatus};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::sqlite::Sqlite;
use crate::suite::*;

const MANY: usize = 6_000;

fn decision() -> Decision {
    Decision::new("on-call", "the receiver is back").unwrap()
}

/// Dead letters that were never sent, as plain SQL writes them.
async fn many_dead(database: &Sqlite) {
    database
        .enqueue((0..MANY).map(|number| event(&number.to_string())).collect(), true)
        .await;
    database
        .sql(
            "UPDATE outbox_event SET status = 'failed', attempts = 1, due_at = NULL, failure_class = 'permanent', \
             failure_reason = 'unknown account', failed_at = created_at",
        )
        .await;
}

/// How often the write lock was free, of the times that it was asked for in passing while
/// some work went on.
async fn free_beside(database: &Sqlite, work: impl Future<Output = ()>) -> (u32, u32) {
    let mut connection = Connection::open(&database.path).unwrap();
    connection.busy_timeout(Duration::ZERO).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&done);
    let asking = std::thread::spawn(move || {
        let (mut free, mut asked) = (0, 0);
        while !over.load(Ordering::Relaxed) {
            asked += 1;
            match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
                Ok(_) => free += 1,
                Err(error) => {
                    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy))
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        (free, asked)
    });
    work.await;
    done.store(true, Ordering::Relaxed);
    asking.join().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_and_purges_of_many_let_others_through() {
    let database = Sqlite::fresh().await;
    many_dead(&database).await;
    let outbox = database.outbox();
    let redrive = async {
        let order = Redrive::new(decision(), Duration::ZERO);
        assert_eq!(outbox.redrive(&Filter::default(), &order).await.unwrap().len(), MANY);
    };
    let (free, asked) = free_beside(&database, redrive).await;
    assert!(free * 5 >= asked, "a redrive: free {free} times of {asked}");

    database
        .sql("UPDATE outbox_event SET status = 'failed', attempts = 1, due_at = NULL")
        .await;
    let discard = async {
        assert_eq!(
            outbox.discard(&Filter::default(), &decision()).await.unwrap().len(),
            MANY
        );
    };
    let (free, asked) = free_beside(&database, discard).await;
    assert!(free * 5 >= asked, "a discard: free {free} times of {asked}");

    let purge = async {
        assert_eq!(outbox.purge(Duration::ZERO, MANY + 1).await.unwrap(), MANY as u64);
    };
    let (free, asked) = free_beside(&database, purge).await;
    assert!(free * 5 >= asked, "a purge: free {free} times of {asked}");
    assert_eq!(outbox.counts().await.unwrap().total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_events_of_many_keys_are_found_beside_the_claims() {
    const KEYS: usize = 450;
    let database = Sqlite::fresh().await;
    let of = |which: &str| {
        (0..KEYS)
            .map(|key| keyed(&format!("{which}-{key}"), &format!("key-{key:04}")))
            .collect()
    };
    database.enqueue(of("first"), true).await;
    database.enqueue(of("second"), true).await;
    database
        .sql(
            "UPDATE outbox_event SET status = 'failed', attempts = 1, failure_class = 'permanent', \
                  failure_reason = 'no', failed_at = created_at, due_at = NULL WHERE id LIKE 'first-%'",
        )
        .await;
    while claim(&database, "relay-1", 1_000).await.blocked > 0 {}
    // By hand, and so without a word to the next of each key.
    database
        .sql("UPDATE outbox_event SET status = 'skipped' WHERE id LIKE 'first-%'")
        .await;
    let restarted = database.another().await;
    let mut found = 0;
    let all = async {
        while found < KEYS {
            found +=
                restarted.claim(&order("relay-2", 1_000)).await.unwrap().claims.len();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("each is found");
    // Another rule looks again.
    let mut passing = order("relay-2", 1_000);
    passing.on_dead_letter = OnDeadLetter::Skip;
    assert!(restarted.claim(&passing).await.unwrap().claims.is_empty());
    assert_eq!(
        restarted.counts().await.unwrap().of(DeliveryStatus::Dispatched),
        KEYS as u64
    );
}

/// Events of a type that is paused stand before all others for as long as the pause: a
/// claim does not step over them each time.
#[tokio::test]
async fn many_paused_events_do_not_make_every_claim_dear() {
    let database = Sqlite::fresh().await;
    database
        .sql(
            "INSERT INTO outbox_event (id, event_type, source_system, payload, due_at) \
             WITH RECURSIVE paused (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM paused WHERE n < 60000) \
             SELECT 'paused-' || n, 'erp.invoice.issued', 'erp', '{}', n FROM paused",
        )
        .await;
    database
        .enqueue((0..40).map(|number| event(&number.to_string())).collect(), true)
        .await;
    let mut order = order("relay-1", 1);
    order.except.push("erp.invoice.issued".to_owned());
    let timed = async |order: &ClaimOrder| {
        let began = Instant::now();
        assert_eq!(database.outbox().claim(order).await.unwrap().claims.len(), 1);
        began.elapsed()
    };
    let (mut first, mut later) = (Duration::MAX, Duration::MAX);
    for more in ["a", "b", "c", "d"] {
        let mut order = order.clone();
        order.except.push(more.to_owned());
        first = first.min(timed(&order).await);
    }
    for _ in 0..20 {
        later = later.min(timed(&order).await);
    }
    assert!(
        later * 3 < first,
        "the quickest of the first looks took {first:?}, and of the later {later:?}"
    );
}
