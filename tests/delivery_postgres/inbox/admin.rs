//! What people ask of an inbox, and decide: counts, dead letters, what waits for a
//! delivery that never comes; and by which index it is found.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};

use integration_automation_patterns::DeliveryStatus::{
    Failed, Processed, Retrying, Skipped,
};
use tokio_postgres::{AsyncMessage, NoTls};

use super::*;

/// Its broker has dropped it, by a limit of its own: no delivery ever ends it.
async fn stall(database: &Database, client: &mut Client, id: &str) {
    assert!(matches!(
        have_effect(client, id, &inbox_config(), Err(HandlerError::transient("locked")))
            .await,
        Handled::RetryLater(_)
    ));
    let sql = "UPDATE inbox_event SET received_at = received_at - interval '100 s' WHERE id = $1";
    database.client.execute(sql, &[&id]).await.unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_is_remembered_of_an_event_is_told_in_each_state() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    let locked = || Err(HandlerError::transient("locked"));
    for (id, then) in [
        ("had", locked()),
        ("had", Ok(())),
        ("dead", locked()),
        ("dead", Err(HandlerError::permanent("no such account"))),
        ("given up", locked()),
        ("again", locked()),
    ] {
        let _told = have_effect(&mut client, id, &inbox_config(), then).await;
    }
    let (gone, silent) = (event("given up"), AuditTrail::silent());
    assert!(
        inbox::postgres::discard(&mut client, &gone, decision(), &silent).await.unwrap()
    );

    for (id, expected) in [
        ("had", Some((Processed, 2, None))),
        ("again", Some((Retrying, 1, Some(payload("again"))))),
        ("dead", Some((Failed, 2, Some(payload("dead"))))),
        ("given up", Some((Skipped, 1, Some(Vec::new())))),
        ("never came", None),
    ] {
        let got = inbox::postgres::get(&client, "crm", event(id).id()).await.unwrap();
        let got = got.map(|remembered| {
            let event = remembered.event.map(|event| event.payload().bytes().to_vec());
            (remembered.status, remembered.attempts, event)
        });
        assert_eq!(got, expected, "{id}");
    }
    let elsewhere =
        inbox::postgres::get(&client, "erp", event("had").id()).await.unwrap();
    assert!(elsewhere.is_none(), "an event is known by its source and id");
}

fn payload(id: &str) -> Vec<u8> {
    event(id).payload().bytes().to_vec()
}

/// What a broker has dropped is counted and listed, and neither what may yet come nor a
/// dead letter is among it.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_its_broker_has_dropped_is_counted_and_listed() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    for id in ["dropped", "dropped too"] {
        stall(&database, &mut client, id).await;
    }
    assert!(matches!(
        have_effect(
            &mut client,
            "young",
            &inbox_config(),
            Err(HandlerError::transient("locked"))
        )
        .await,
        Handled::RetryLater(_)
    ));
    for (id, then) in
        [("dead", Err(HandlerError::permanent("no such account"))), ("had", Ok(()))]
    {
        let _told = have_effect(&mut client, id, &inbox_config(), then).await;
    }
    database.sql("UPDATE inbox_event SET received_at = received_at - interval '1 day' WHERE id = 'dead'").await;

    let horizon = RetryPolicy::DEFAULT.horizon();
    let counts = inbox::postgres::counts(&client, horizon).await.unwrap();
    assert_eq!(
        [Processed, Retrying, Failed, Skipped].map(|status| counts.of(status)),
        [1, 3, 1, 0]
    );
    assert_eq!(counts.stalled, 2);
    let one = Filter::id("dropped too".parse().unwrap());
    let other =
        Filter { reason_contains: Some("refused".to_owned()), ..Filter::default() };
    for (filter, limit, expected) in [
        (Filter::default(), 10, vec!["dropped", "dropped too"]),
        (Filter::default(), 1, vec!["dropped"]),
        (one, 10, vec!["dropped too"]),
        (other, 10, vec![]),
    ] {
        let stalled =
            inbox::postgres::stalled(&client, &filter, horizon, limit).await.unwrap();
        let ids: Vec<_> =
            stalled.iter().map(|stalled| stalled.event.id().to_string()).collect();
        assert_eq!(ids, expected);
        assert!(
            stalled
                .iter()
                .all(|stalled| stalled.event.failure().unwrap().reason == "locked")
        );
    }
}

/// A person redrives or discards it as a dead letter, and a delivery that comes all the
/// same is a duplicate.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_its_broker_has_dropped_is_redriven_or_discarded() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    for id in ["a", "b"] {
        stall(&database, &mut client, id).await;
    }
    let inbox_config = inbox_config();
    let again = inbox::postgres::redrive(
        client.transaction().await.unwrap(),
        &event("a"),
        decision(),
        &inbox_config,
    )
    .await;
    let again = again.unwrap().unwrap();
    assert_eq!((again.event().attempts(), again.event().redriven().is_some()), (1, true));
    again.transaction().execute("INSERT INTO effect VALUES ('a')", &[]).await.unwrap();
    let _no_broker_waits = again.commit().await.unwrap();
    assert!(
        inbox::postgres::discard(
            &mut client,
            &event("b"),
            decision(),
            &AuditTrail::silent()
        )
        .await
        .unwrap()
    );

    let counts = inbox::postgres::counts(&client, Duration::ZERO).await.unwrap();
    assert_eq!(
        [Processed, Retrying, Failed, Skipped].map(|status| counts.of(status)),
        [1, 0, 0, 1]
    );
    for id in ["a", "b"] {
        assert!(matches!(
            have_effect(&mut client, id, &inbox_config, Ok(())).await,
            Handled::Duplicate(_)
        ));
    }
    assert_eq!(database.value("SELECT count(*) FROM effect").await, 1);
}

/// The lists are read from the index of what has failed, however much was processed: the
/// plan is that of the statement itself, as the server tells it.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn the_lists_use_their_index() {
    let database = with_inbox().await;
    database
        .sql(
            "INSERT INTO inbox_event (source_system, id, status, attempts, received_at) \
             SELECT 'crm', n, CASE WHEN n % 1000 = 0 THEN 'failed' WHEN n % 1000 = 1 THEN 'retrying' ELSE 'processed' END, \
             1, now() - n * interval '1 second' FROM generate_series(1, 20000) n; ANALYZE inbox_event",
        )
        .await;
    let plans = Arc::new(Mutex::new(String::new()));
    let told = Arc::clone(&plans);
    let (client, mut connection) = database.config.connect(NoTls).await.unwrap();
    tokio::spawn(async move {
        while let Some(Ok(message)) =
            poll_fn(|context| connection.poll_message(context)).await
        {
            if let AsyncMessage::Notice(notice) = message {
                told.lock().unwrap().push_str(notice.message());
            }
        }
    });
    let tell = "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET client_min_messages = log";
    client.batch_execute(tell).await.unwrap();
    let plan = || std::mem::take(&mut *plans.lock().unwrap());
    let day = Filter { failed_since: Some(chrono::Utc::now()), ..Filter::default() };
    for filter in [Filter::default(), day] {
        let _listed = inbox::postgres::dead_letters(&client, &filter, 100).await.unwrap();
        let dead_letters = plan();
        assert!(dead_letters.contains("Index Scan using inbox_failed"), "{dead_letters}");
        let _listed = inbox::postgres::stalled(&client, &filter, DAY, 100).await.unwrap();
        let stalled = plan();
        assert!(stalled.contains("Index Scan using inbox_failed"), "{stalled}");
        assert!(
            stalled.contains("Index Cond: (received_at <="),
            "no younger row is read: {stalled}"
        );
    }
}

/// Protects an operator from rows that no list shows: plain SQL may write anything.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_is_no_event_is_listed_with_the_reason() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    for id in ["a", "b", "c", "d"] {
        let locked = Err(HandlerError::transient("locked"));
        let _retry = have_effect(&mut client, id, &inbox_config(), locked).await;
    }
    let everything = Filter::default();
    let none = inbox::postgres::unreadable(&client, &everything).await.unwrap();
    assert_eq!(none, []);
    database
        .sql(
            "UPDATE inbox_event SET retry_policy = 'often' WHERE id IN ('a', 'b'); \
             UPDATE inbox_event SET status = 'failed' WHERE id = 'b'; \
             UPDATE inbox_event SET due_at = received_at, failure_reason = NULL \
             WHERE id = 'c'",
        )
        .await;
    let found = inbox::postgres::unreadable(&client, &everything).await.unwrap();
    let mut ids: Vec<_> = found.iter().map(|one| one.id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["a", "b", "c"]);
    let one = Filter::id("b".parse().unwrap());
    let found = inbox::postgres::unreadable(&client, &one).await.unwrap();
    assert!(found[0].reason.contains("retry policy"), "{found:?}");
}

/// Protects an operator from rows that are no event, and hide those that are.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn rows_that_are_no_event_hide_no_others() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    for id in ["a", "b", "c", "d"] {
        let refused = Err(HandlerError::permanent("no such country"));
        let _buried = have_effect(&mut client, id, &inbox_config(), refused).await;
    }
    database
        .sql("UPDATE inbox_event SET retry_policy = 'often' WHERE id IN ('a', 'b', 'c')")
        .await;
    let everything = Filter::default();
    let listed = inbox::postgres::dead_letters(&client, &everything, 1).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|one| one.event.id().to_string()).collect();
    assert_eq!(listed, ["d"]);
}
