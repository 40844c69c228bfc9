//! The test kit, on PostgreSQL: what it reads, and the time that it lets pass.

use std::time::Duration;

use integration_automation_patterns::inbox::postgres::install as install_inbox;
use integration_automation_patterns::outbox::Store;
use integration_automation_patterns::outbox::postgres::enqueue;
use integration_automation_patterns::testing::postgres::{enqueued, pass_time};
use integration_automation_patterns::{DeliveryStatus, Facts, RawEvent};

use crate::{Database, LEASE, event, order};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Protects a test that asserts what its program enqueued, before and after the commit.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn what_was_enqueued_is_seen_in_its_order() {
    let database = Database::fresh().await;
    let mut session = database.session().await;
    let business = session.transaction().await.unwrap();
    for id in ["b", "a"] {
        enqueue(&business, event(id)).await.unwrap();
    }
    let names = |events: &[integration_automation_patterns::AnyEnvelope]| {
        let bytes = |event: &Facts<RawEvent>| event.payload().bytes().to_vec();
        events.iter().map(|event| bytes(event)).collect::<Vec<_>>()
    };
    assert_eq!(names(&enqueued(&business).await.unwrap()), [b"b", b"a"]);
    assert!(enqueued(&database.client).await.unwrap().is_empty(), "it is not committed");
    business.commit().await.unwrap();
    let committed = enqueued(&database.client).await.unwrap();
    assert_eq!(names(&committed), [b"b", b"a"]);
    assert!(committed.iter().all(|event| event.status() == DeliveryStatus::Pending));
}

/// Protects tests of retries, leases and windows from sleeping.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn time_passes_for_every_moment_of_the_tables() {
    let mut database = Database::fresh().await;
    install_inbox(&mut database.client).await.unwrap();
    database.enqueue(vec![event("1")]).await;
    let first = database.claim(1).await;
    assert_eq!(first.claims.len(), 1);
    assert!(database.claim(1).await.claims.is_empty(), "it is leased");
    let chain = "INSERT INTO outbox_chain VALUES ('lead-7', 'crm', 0, '0', '2026-01-05')";
    database.sql(chain).await;
    let seconds = "SELECT extract(epoch FROM sum(statement_timestamp() - created_at))::bigint FROM outbox_event";
    let before = database.value(seconds).await;

    pass_time(&database.client, LEASE + Duration::from_secs(1)).await.unwrap();
    let aged = database.value(seconds).await - before;
    assert!((61..120).contains(&aged), "it is older by {aged} s");
    database.balanced().await;
    // The sweep ends the attempt, which is retried 30 s later.
    let swept = database.outbox.claim(&order("relay-2", 1)).await.unwrap();
    assert_eq!((swept.expired.len(), swept.claims.len()), (1, 0));
    pass_time(&database.client, Duration::from_secs(30)).await.unwrap();
    assert_eq!(database.claim(1).await.claims.len(), 1);
    database.balanced().await;
    pass_time(&database.client, 3 * DAY).await.unwrap();
    let day = "SELECT extract(day FROM confirmed_on)::bigint FROM outbox_chain";
    assert_eq!(database.value(day).await, 2);
}
