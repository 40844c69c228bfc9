//! Of which kind each refusal of SQLite is: what a program acts on, without a look at the
//! text.

use std::time::Duration;

use integration_automation_patterns::outbox::StoreErrorKind::{
    Busy, Denied, IdTaken, NewerSchema, Other, TransactionEnded, Unreachable, Unreadable,
};
use integration_automation_patterns::outbox::{Admin, Store, StoreError, sqlite};
use integration_automation_patterns::{Envelope, RawEvent};
use rusqlite::{Connection, TransactionBehavior};

use crate::chain::Chain as _;
use crate::sqlite::{Sqlite, fresh_path};
use crate::suite::{Database, event, id, order};

fn refused<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> StoreError {
    let refused = answer.unwrap_err();
    assert!(!refused.chain().is_empty(), "each cause is said once");
    assert_eq!(format!("{refused:#}"), refused.chain());
    refused
}

#[tokio::test]
async fn what_the_caller_does_in_a_transaction() {
    let database = Sqlite::fresh().await;
    database.enqueue(vec![event("1")], true).await;
    let mut connection = database.connect();
    connection.busy_timeout(Duration::ZERO).unwrap();

    let business = connection.transaction().unwrap();
    let other = Envelope::builder("erp", RawEvent::new("a.b.c", b"{}"));
    let other = other.id(id("1")).build().unwrap();
    let taken =
        sqlite::enqueue(&business, other).map_err(|refused| refused.into_parts().1);
    assert_eq!(refused(taken).kind(), IdTaken);
    business.execute_batch("ROLLBACK").unwrap();
    let ended =
        sqlite::enqueue(&business, event("2")).map_err(|refused| refused.into_parts().1);
    assert_eq!(refused(ended).kind(), TransactionEnded);
    drop(business);

    let mut locker = database.connect();
    let lock = locker.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let business = connection.transaction().unwrap();
    let busy =
        sqlite::enqueue(&business, event("2")).map_err(|refused| refused.into_parts().1);
    assert_eq!(refused(busy).kind(), Busy);
    drop((business, lock));

    let mut bare = Connection::open_in_memory().unwrap();
    let business = bare.transaction().unwrap();
    let missing =
        sqlite::enqueue(&business, event("2")).map_err(|refused| refused.into_parts().1);
    assert_eq!(refused(missing).kind(), Other);
}

#[tokio::test]
async fn what_a_relay_or_a_person_meets() {
    let database = Sqlite::fresh().await;
    database.enqueue(vec![event("1")], true).await;
    let read_only = sqlite::Outbox::open_read_only(&database.path).unwrap();
    assert_eq!(refused(read_only.claim(&order("relay-1", 1)).await).kind(), Denied);

    database.sql("UPDATE outbox_event SET retry_policy = 'now and then'").await;
    assert_eq!(refused(database.outbox().get(&id("1")).await).kind(), Unreadable);

    database.sql("UPDATE integration_schema SET version = 3, compatible_from = 3").await;
    assert_eq!(refused(database.open().await).kind(), NewerSchema);

    let nowhere = fresh_path().join("crm.db");
    assert_eq!(refused(sqlite::Outbox::open(nowhere)).kind(), Unreachable);
    std::fs::remove_file(&database.path).unwrap();
    assert_eq!(refused(database.outbox().counts().await).kind(), Unreachable);
    assert_eq!(refused(database.outbox().counts().await).kind(), Unreachable, "still");
}
