//! Why an event is a dead letter, with every cause of it.

use std::sync::{Arc, Mutex};

use integration_automation_patterns::audit::AuditRecord;

use super::*;

/// What PostgreSQL says is in the reason, and not only that it said something.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_fault_is_told_with_every_cause() {
    let database = with_inbox().await;
    database
        .sql("CREATE TABLE account (name text NOT NULL, sum int CHECK (sum >= 0))")
        .await;
    let recorded = Arc::new(Mutex::new(String::new()));
    let observer = Arc::clone(&recorded);
    let observer = move |record: &AuditRecord| {
        let failure = record.failure.as_ref().ok_or("no failure on record")?;
        observer.lock().unwrap().clone_from(&failure.reason);
        Ok(())
    };
    let trail = AuditTrail::new("erp", Arc::new(observer));
    let inbox_config = at_once(1).with_audit_trail(trail.clone());
    let mut client = database.session().await;
    for (sql, cause) in [
        ("INSERT INTO account VALUES (NULL, 1)", "null value in column \"name\""),
        (
            "INSERT INTO account VALUES ('Ada', -1)",
            "violates check constraint \"account_sum_check\"",
        ),
        ("INSERT INTO acount VALUES ('Ada', 1)", "relation \"acount\" does not exist"),
    ] {
        let handled = inbox::postgres::process(
            &mut client,
            delivery(sql),
            &inbox_config,
            async |transaction, _| {
                transaction.execute(sql, &[]).await?;
                Ok(())
            },
        );
        assert!(matches!(handled.await.unwrap(), Handled::DeadLettered(_)));
        let reason = reason_of(&database, sql).await;
        assert!(reason.contains(cause), "{reason}");
        let filter =
            Filter { reason_contains: Some(cause.to_owned()), ..Filter::default() };
        let letters = inbox::postgres::dead_letters(&client, &filter, 10).await.unwrap();
        assert_eq!(letters.len(), 1, "it is found by it");
        assert_eq!(letters[0].event.failure().unwrap().reason, reason);
        assert_eq!(*recorded.lock().unwrap(), reason);
    }
    assert_eq!(trail.lost(), 0);
}

/// The words of a panic are its reason.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_panic_is_told_in_its_words() {
    let database = with_inbox().await;
    let (mut client, inbox_config) = (database.session().await, at_once(1));
    let handled = inbox::postgres::process(
        &mut client,
        delivery("a"),
        &inbox_config,
        async |transaction, _| {
            transaction.execute("INSERT INTO effect VALUES ('a')", &[]).await?;
            panic!("a bug in the effect (a test), number {}", 7)
        },
    );
    assert!(matches!(handled.await.unwrap(), Handled::DeadLettered(_)));
    let reason = reason_of(&database, "a").await;
    assert_eq!(reason, "the handler panicked: a bug in the effect (a test), number 7");
    assert_eq!(database.value("SELECT count(*) FROM effect").await, 0);
}
