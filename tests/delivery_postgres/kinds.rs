//! Of which kind each refusal of PostgreSQL is: what a program acts on, without a look at
//! the text. (`Denied` is that of a role without a grant too: see `roles`.)

use std::net::TcpListener;

use integration_automation_patterns::outbox::StoreErrorKind::{
    Busy, Denied, IdTaken, NewerSchema, Other, TransactionEnded, Unreachable, Unreadable,
};
use integration_automation_patterns::outbox::postgres::enqueue;
use integration_automation_patterns::outbox::{StoreError, StoreErrorKind};
use tokio_postgres::Transaction;

use super::*;
use crate::chain::Chain as _;

fn refused<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> StoreErrorKind {
    let refused = answer.unwrap_err();
    assert_eq!(format!("{refused:#}"), refused.chain(), "each cause is said once");
    refused.kind()
}

async fn enqueued(
    business: &Transaction<'_>,
    event: Envelope<Pending>,
) -> Result<Enqueued, StoreError> {
    enqueue(business, event).await.map_err(|refused| refused.into_parts().1)
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_the_caller_does_in_a_transaction() {
    let database = Database::fresh().await;
    database.enqueue(vec![event("1")]).await;
    let mut session = database.session().await;

    let business = session.transaction().await.unwrap();
    let other = Envelope::builder("erp", RawEvent::new("a.b.c", b"{}"));
    let other = other.id("1".parse().unwrap()).build().unwrap();
    assert_eq!(refused(enqueued(&business, other).await), IdTaken);
    business.batch_execute("SELECT 1 / 0").await.unwrap_err();
    assert_eq!(refused(enqueued(&business, event("2")).await), TransactionEnded);
    drop(business);

    let mut holder = database.session().await;
    let first = holder.transaction().await.unwrap();
    enqueued(&first, keyed("2", "k")).await.unwrap();
    let business = session.transaction().await.unwrap();
    business.batch_execute("SET LOCAL lock_timeout = '20ms'").await.unwrap();
    assert_eq!(refused(enqueued(&business, keyed("3", "k")).await), Busy);
    drop((business, first));

    let business = session.transaction().await.unwrap();
    let own: i32 =
        business.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    database.sql(&format!("SELECT pg_terminate_backend({own})")).await;
    assert_eq!(refused(enqueued(&business, event("4")).await), Unreachable);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_a_relay_or_a_person_meets() {
    let database = Database::fresh().await;
    database.enqueue(vec![event("1")]).await;
    database.sql("UPDATE outbox_event SET retry_policy = 'now and then'").await;
    assert_eq!(refused(database.outbox.get(&"1".parse().unwrap()).await), Unreadable);

    let mut nobody = server();
    nobody.user("nobody_who_is_known");
    assert_eq!(refused(Outbox::connect(nobody).await), Denied);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = format!("host=127.0.0.1 port={port}").parse().unwrap();
    assert_eq!(refused(Outbox::connect(nowhere).await), Unreachable);

    database.sql("UPDATE integration_schema SET version = 3, compatible_from = 3").await;
    assert_eq!(refused(Outbox::connect(database.config.clone()).await), NewerSchema);
    database.sql("DROP TABLE outbox_history").await;
    assert_eq!(refused(database.outbox.verify().await), Other);
}
