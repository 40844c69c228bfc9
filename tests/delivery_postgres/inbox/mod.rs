//! What a delivered event leaves behind in PostgreSQL: one effect, or the memory of its
//! failure.

mod admin;
mod commit;
mod forestall;
mod reasons;
mod released;
mod upgrade;

use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use integration_automation_patterns::audit::AuditTrail;
use integration_automation_patterns::broker::{Ack, BrokerError, Delivery};
use integration_automation_patterns::inbox::{
    self, Handled, HandlerError, InboxConfig, Receipt,
};
use integration_automation_patterns::outbox::Filter;
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::{Envelope, Event, RawEvent};
use tokio_postgres::Client;

use crate::{DAY, Database, decision, event};

#[derive(Debug)]
struct Silent;

impl Ack for Silent {
    async fn ack(self) -> Result<(), BrokerError> {
        Ok(())
    }
    async fn nack(self, _after: Duration) -> Result<(), BrokerError> {
        Ok(())
    }
}

fn delivery(id: &str) -> Delivery<Silent> {
    Delivery::new(event(id), Silent)
}

fn redelivery(id: &str) -> Delivery<Silent> {
    delivery(id).redelivered(true)
}

fn at_once(attempts: u32) -> InboxConfig {
    inbox_config()
        .retry_policy(RetryPolicy::new(attempts, Backoff::Fixed(Duration::ZERO)).unwrap())
}

fn inbox_config() -> InboxConfig {
    InboxConfig::new(7 * DAY, RetryPolicy::DEFAULT).unwrap()
}

async fn with_inbox() -> Database {
    let mut database = Database::fresh().await;
    inbox::postgres::install(&mut database.client).await.unwrap();
    database.sql("CREATE TABLE effect (id text NOT NULL)").await;
    database
}

/// Why an event failed, as it is stored.
async fn reason_of(database: &Database, id: &str) -> String {
    let sql = "SELECT failure_reason FROM inbox_event WHERE id = $1";
    database.client.query_one(sql, &[&id]).await.unwrap().get(0)
}

async fn have_effect(
    client: &mut Client,
    id: &str,
    inbox_config: &InboxConfig,
    then: Result<(), HandlerError>,
) -> Handled<Silent> {
    have_effect_of(client, delivery(id), inbox_config, then).await
}

async fn have_effect_of(
    client: &mut Client,
    delivery: Delivery<Silent>,
    inbox_config: &InboxConfig,
    then: Result<(), HandlerError>,
) -> Handled<Silent> {
    let handled = inbox::postgres::process(
        client,
        delivery,
        inbox_config,
        async |transaction, event| {
            transaction
                .execute("INSERT INTO effect VALUES ($1)", &[&event.id().to_string()])
                .await?;
            then
        },
    );
    handled.await.unwrap()
}

/// Eight consumers that get the same event at the same time have its effect once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn eight_duplicates_at_once_are_one_effect() {
    let database = with_inbox().await;
    let mut consumers = Vec::new();
    for _ in 0..8 {
        let mut client = database.session().await;
        consumers.push(tokio::spawn(async move {
            matches!(
                have_effect(&mut client, "a", &inbox_config(), Ok(())).await,
                Handled::Processed(_)
            )
        }));
    }
    let mut first = 0;
    for consumer in consumers {
        first += i64::from(consumer.await.unwrap());
    }
    assert_eq!((first, database.value("SELECT count(*) FROM effect").await), (1, 1));
}

/// The same, where each may have been delivered before, and the policy has one attempt:
/// what one of them has begun is no dead letter to the others.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn eight_redeliveries_at_once_are_one_effect() {
    let database = with_inbox().await;
    for id in ["a", "b", "c", "d", "e"] {
        let mut consumers = Vec::new();
        for _ in 0..8 {
            let mut client = database.session().await;
            consumers.push(tokio::spawn(async move {
                let handled =
                    have_effect_of(&mut client, redelivery(id), &at_once(1), Ok(()))
                        .await;
                matches!(handled, Handled::Processed(_))
            }));
        }
        let mut processed = 0;
        for consumer in consumers {
            processed += i64::from(consumer.await.unwrap());
        }
        assert_eq!(processed, 1);
    }
    assert_eq!(database.value("SELECT count(*) FROM effect").await, 5);
    assert_eq!(
        database
            .value("SELECT count(*) FROM inbox_event WHERE status = 'processed'")
            .await,
        5
    );
}

/// An attempt that is counted and has not reached its effect yet is taken for one that
/// never ended, by a consumer with the same event: it has its effect all the same.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn an_attempt_that_was_only_slow_has_its_effect() {
    let database = with_inbox().await;
    let (mut one, mut two, inbox_config) =
        (database.session().await, database.session().await, at_once(1));
    let mut slow =
        Box::pin(have_effect_of(&mut one, redelivery("a"), &inbox_config, Ok(())));
    while database.value("SELECT count(*) FROM inbox_event").await == 0 {
        let polled = std::future::poll_fn(|context| {
            Poll::Ready(slow.as_mut().poll(context).is_ready())
        })
        .await;
        assert!(!polled, "it waits for the answer to its commit");
    }
    let dead = have_effect_of(&mut two, redelivery("a"), &inbox_config, Ok(())).await;
    assert!(matches!(dead, Handled::DeadLettered(_)), "{dead:?}");
    let done = slow.await;
    assert!(matches!(done, Handled::Processed(_)), "{done:?}");
    assert_eq!(database.value("SELECT count(*) FROM effect").await, 1);
    assert_eq!(
        database
            .value("SELECT count(*) FROM inbox_event WHERE status = 'processed'")
            .await,
        1
    );
}

/// The same, whose effect fails: the event is one dead letter, with the last reason.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn an_attempt_that_was_slow_and_fails_is_not_counted_twice() {
    let database = with_inbox().await;
    let (mut one, mut two, inbox_config) =
        (database.session().await, database.session().await, at_once(1));
    let locked = Err(HandlerError::transient("locked"));
    let mut slow =
        Box::pin(have_effect_of(&mut one, redelivery("a"), &inbox_config, locked));
    while database.value("SELECT count(*) FROM inbox_event").await == 0 {
        let polled = std::future::poll_fn(|context| {
            Poll::Ready(slow.as_mut().poll(context).is_ready())
        })
        .await;
        assert!(!polled, "it waits for the answer to its commit");
    }
    let dead = have_effect_of(&mut two, redelivery("a"), &inbox_config, Ok(())).await;
    assert!(matches!(dead, Handled::DeadLettered(_)), "{dead:?}");
    let failed = slow.await;
    assert!(matches!(failed, Handled::Duplicate(_)), "{failed:?}");
    assert_eq!(reason_of(&database, "a").await, "locked");
}

/// An effect that never ends is counted before it begins, and is a dead letter when the
/// policy's attempts are over.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn an_effect_that_never_ends_is_a_dead_letter() {
    let database = with_inbox().await;
    let (mut client, inbox_config) = (database.session().await, at_once(3));
    for attempt in 1..=3 {
        let begun = tokio::sync::Notify::new();
        let mut consumer = database.session().await;
        let endless = inbox::postgres::process(
            &mut consumer,
            redelivery("a"),
            &inbox_config,
            async |transaction, event| {
                assert_eq!(event.attempts(), attempt);
                transaction.execute("INSERT INTO effect VALUES ('a')", &[]).await?;
                begun.notify_one();
                std::future::pending().await
            },
        );
        tokio::select! {
            handled = endless => panic!("it never ends: {handled:?}"),
            () = begun.notified() => {} // the process died
        }
        drop(consumer);
        let stored = "SELECT attempts FROM inbox_event WHERE status = 'retrying' AND payload IS NOT NULL \
                      AND failure_reason = 'the consumer ended before its effect did'";
        assert_eq!(database.value(stored).await, i64::from(attempt));
    }
    let dead = inbox::postgres::process(
        &mut client,
        redelivery("a"),
        &inbox_config,
        async |_, _| panic!("a fourth"),
    )
    .await;
    assert!(matches!(dead, Ok(Handled::DeadLettered(_))), "{dead:?}");
    let after = inbox::postgres::process(
        &mut client,
        redelivery("a"),
        &inbox_config,
        async |_, _| panic!("a fifth"),
    )
    .await;
    assert!(matches!(after, Ok(Handled::Duplicate(_))), "{after:?}");
    let letters =
        inbox::postgres::dead_letters(&client, &Filter::default(), 10).await.unwrap();
    assert_eq!((letters.len(), letters[0].event.attempts()), (1, 3));
    assert_eq!(
        letters[0].event.failure().unwrap().reason,
        "the consumer ended before its effect did"
    );
    assert_eq!(letters[0].event.tags()["tenant"], "north");
    assert_eq!(database.value("SELECT count(*) FROM effect").await, 0);
}

/// What is counted before the effect is not counted again where the effect fails, and is
/// gone where it succeeds.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_redelivery_is_one_attempt_and_its_success_leaves_what_a_first_one_leaves() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    for attempts in 1..=3 {
        let handled = have_effect_of(
            &mut client,
            redelivery("a"),
            &at_once(3),
            Err(HandlerError::transient("busy")),
        )
        .await;
        assert_eq!(
            matches!(handled, Handled::DeadLettered(_)),
            attempts == 3,
            "{handled:?}"
        );
        let stored = "SELECT attempts FROM inbox_event WHERE failure_reason = 'busy'";
        assert_eq!(database.value(stored).await, attempts);
    }
    let first = have_effect_of(&mut client, delivery("b"), &inbox_config(), Ok(())).await;
    let again =
        have_effect_of(&mut client, redelivery("c"), &inbox_config(), Ok(())).await;
    assert!(
        matches!((&first, &again), (Handled::Processed(_), Handled::Processed(_))),
        "{first:?} {again:?}"
    );
    let kinds = "SELECT count(DISTINCT to_jsonb(inbox_event) - 'id' - 'received_at') FROM inbox_event WHERE id <> 'a'";
    assert_eq!(database.value(kinds).await, 1);

    let duplicate =
        have_effect_of(&mut client, redelivery("c"), &inbox_config(), Ok(())).await;
    assert!(matches!(duplicate, Handled::Duplicate(_)), "{duplicate:?}");
    assert_eq!(database.value("SELECT count(*) FROM effect").await, 2);
}

/// A fault of a retry is stored before another consumer can have the effect: it does not
/// undo the memory of that one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_fault_lets_go_of_its_event_only_when_it_is_stored() {
    let database = with_inbox().await;
    let (mut one, mut two) = (database.session().await, database.session().await);
    let again =
        have_effect(&mut one, "a", &at_once(9), Err(HandlerError::transient("busy")))
            .await;
    assert!(matches!(again, Handled::RetryLater(_)));
    let inbox_config = at_once(9);
    let mut waiting = None;
    let failing =
        inbox::postgres::process(&mut one, delivery("a"), &inbox_config, async |_, _| {
            let second = tokio::spawn(async move {
                have_effect(&mut two, "a", &at_once(9), Ok(())).await
            });
            database.until_waiting(1).await;
            waiting = Some(second);
            Err(HandlerError::transient("busy"))
        });
    assert!(matches!(failing.await.unwrap(), Handled::RetryLater(_)));
    assert!(matches!(waiting.unwrap().await.unwrap(), Handled::Processed(_)));
    assert_eq!(
        database
            .value("SELECT count(*) FROM inbox_event WHERE status = 'processed'")
            .await,
        1
    );
    assert!(matches!(
        have_effect(&mut one, "a", &inbox_config, Ok(())).await,
        Handled::Duplicate(_)
    ));
}

/// A duplicate waits for the transaction that is having the effect, and is the first
/// where that one gives up.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_duplicate_of_an_effect_that_never_was_is_the_first() {
    let database = with_inbox().await;
    let (mut one, mut two) = (database.session().await, database.session().await);
    let receipt = inbox::postgres::receive(
        one.transaction().await.unwrap(),
        delivery("a"),
        &inbox_config(),
    )
    .await
    .unwrap();
    assert!(matches!(receipt, Receipt::New(_)));
    let second =
        tokio::spawn(
            async move { have_effect(&mut two, "a", &inbox_config(), Ok(())).await },
        );
    database.until_waiting(1).await;
    drop(receipt); // the process died
    assert!(matches!(second.await.unwrap(), Handled::Processed(_)));
    let third = inbox::postgres::receive(
        one.transaction().await.unwrap(),
        delivery("a"),
        &inbox_config(),
    )
    .await
    .unwrap();
    assert!(matches!(third, Receipt::Duplicate(_)));
}

/// What an effect wrote before it failed is rolled back, and the failure is remembered,
/// up to the dead letter.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn an_effect_that_fails_leaves_only_its_failure() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    let policy = RetryPolicy::new(3, Backoff::Fixed(Duration::from_secs(5))).unwrap();
    let inbox_config = inbox_config().retry_policy(policy);
    for _ in 0..2 {
        let again = have_effect(
            &mut client,
            "a",
            &inbox_config,
            Err(HandlerError::transient("busy\0")),
        )
        .await;
        assert!(
            matches!(&again, Handled::RetryLater(again) if again.after() == Duration::from_secs(5)),
            "{again:?}"
        );
    }
    let dead = have_effect(
        &mut client,
        "a",
        &inbox_config,
        Err(HandlerError::transient("busy")),
    )
    .await;
    assert!(matches!(dead, Handled::DeadLettered(_)), "{dead:?}");
    assert_eq!(database.value("SELECT count(*) FROM effect").await, 0);
    assert!(matches!(
        have_effect(&mut client, "a", &inbox_config, Ok(())).await,
        Handled::Duplicate(_)
    ));

    let letters =
        inbox::postgres::dead_letters(&client, &Filter::default(), 10).await.unwrap();
    assert_eq!((letters.len(), letters[0].event.attempts()), (1, 3));
    assert_eq!(letters[0].event.tags()["tenant"], "north");
    let redrive = inbox::postgres::redrive(
        client.transaction().await.unwrap(),
        &event("a"),
        decision(),
        &inbox_config,
    )
    .await;
    let first = redrive.unwrap().unwrap();
    first.transaction().execute("INSERT INTO effect VALUES ('a')", &[]).await.unwrap();
    let _ = first.commit().await.unwrap();
    assert_eq!(database.value("SELECT count(*) FROM effect").await, 1);
    let gone = inbox::postgres::redrive(
        client.transaction().await.unwrap(),
        &event("a"),
        decision(),
        &inbox_config,
    )
    .await;
    assert!(gone.unwrap().is_none(), "it is processed");
}

struct LeadMerged;

impl Event for LeadMerged {
    const TYPE: &'static str = "crm.lead.merged";
}

/// What the rules do not name is a dead letter, even where it was waiting for a retry
/// under older rules.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_is_not_taken_in_is_a_dead_letter() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    let narrow = inbox_config().accept::<LeadMerged>();
    let retrying = have_effect(
        &mut client,
        "b",
        &inbox_config(),
        Err(HandlerError::transient("busy")),
    )
    .await;
    assert!(matches!(retrying, Handled::RetryLater(_)));
    for id in ["a", "b"] {
        assert!(matches!(
            have_effect(&mut client, id, &narrow, Ok(())).await,
            Handled::DeadLettered(_)
        ));
    }
    assert_eq!(
        database.value("SELECT count(*) FROM inbox_event WHERE status = 'failed'").await,
        2
    );
    assert!(
        inbox::postgres::discard(
            &mut client,
            &event("a"),
            decision(),
            &AuditTrail::silent()
        )
        .await
        .unwrap()
    );
    assert!(
        !inbox::postgres::discard(
            &mut client,
            &event("a"),
            decision(),
            &AuditTrail::silent()
        )
        .await
        .unwrap()
    );
    assert_eq!(inbox::postgres::purge(&client, &inbox_config(), 10).await.unwrap(), 0);
    database
        .sql("UPDATE inbox_event SET received_at = received_at - interval '8 days'")
        .await;
    assert_eq!(
        inbox::postgres::purge(&client, &inbox_config(), 10).await.unwrap(),
        1,
        "dead letters stay"
    );
}

/// Protects an event that is held through a long outage from waiting for one that was
/// handled, and is forgotten.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_a_held_event_waits_for_is_not_purged() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    let handled = have_effect(&mut client, "1", &inbox_config(), Ok(())).await;
    assert!(matches!(handled, Handled::Processed(_)));
    database
        .sql(
            "UPDATE inbox_event SET received_at = received_at - interval '8 days'; \
             INSERT INTO inbox_event (source_system, id, received_at, status, attempts, \
             held_after, due_at) SELECT source_system, '2', received_at, 'retrying', 1, \
             '1', received_at FROM inbox_event",
        )
        .await;
    let purge = async || inbox::postgres::purge(&client, &inbox_config(), 10).await;
    assert_eq!(purge().await.unwrap(), 0);
    database.sql("UPDATE inbox_event SET status = 'processed' WHERE id = '2'").await;
    assert_eq!(purge().await.unwrap(), 2);
}

/// An event that PostgreSQL cannot remember as it is does not come again for ever: it is
/// a dead letter, once.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn an_id_that_cannot_be_indexed_is_a_dead_letter() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    for id in ["a\0b".to_owned(), "long".repeat(2000)] {
        for _ in 0..2 {
            assert!(matches!(
                have_effect(&mut client, &id, &inbox_config(), Ok(())).await,
                Handled::DeadLettered(_)
            ));
        }
    }
    let letters =
        inbox::postgres::dead_letters(&client, &Filter::default(), 10).await.unwrap();
    assert_eq!(letters.len(), 2);
    assert!(
        letters[1].event.failure().unwrap().reason.contains("8003 bytes"),
        "{:?}",
        letters[1]
    );
    // A NUL elsewhere is no hindrance.
    let nul = || {
        let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
            .correlation_id("order\0 7");
        Delivery::new(
            event.tag("tenant", "no\0rth").id("nul".parse().unwrap()).build().unwrap(),
            Silent,
        )
    };
    for _ in 0..2 {
        let inbox_config = inbox_config();
        let failing =
            inbox::postgres::process(&mut client, nul(), &inbox_config, async |_, _| {
                Err(HandlerError::transient("busy"))
            });
        assert!(matches!(failing.await.unwrap(), Handled::RetryLater(_)));
    }
}

/// The names that a message brings are texts to the database, whatever they say.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_quote_in_an_id_stays_in_it() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    for id in ["'); DROP TABLE effect; --", "\\' $$ \u{1f980}", "$1"] {
        assert!(matches!(
            have_effect(&mut client, id, &inbox_config(), Ok(())).await,
            Handled::Processed(_)
        ));
        assert!(matches!(
            have_effect(&mut client, id, &inbox_config(), Ok(())).await,
            Handled::Duplicate(_)
        ));
        let stored =
            "SELECT count(*) FROM inbox_event JOIN effect USING (id) WHERE id = $1";
        assert_eq!(
            client.query_one(stored, &[&id]).await.unwrap().get::<_, i64>(0),
            1,
            "{id}"
        );
    }
}

/// An effect in a savepoint of the caller is committed with the caller's transaction; and
/// where it cannot be, it alone is taken back, and the caller's transaction goes on.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn an_effect_in_a_savepoint_takes_only_itself_back() {
    let database = with_inbox().await;
    let (mut client, inbox_config) = (database.session().await, inbox_config());
    let mut outer = client.transaction().await.unwrap();
    outer.execute("INSERT INTO effect VALUES ('outer')", &[]).await.unwrap();
    for (id, value, stored) in
        [("a", Some("a"), true), ("b", None, false), ("c", Some("c"), true)]
    {
        let inner = outer.transaction().await.unwrap();
        let receipt =
            inbox::postgres::receive(inner, delivery(id), &inbox_config).await.unwrap();
        let Receipt::New(first) = receipt else {
            panic!("the first of its event: {receipt:?}")
        };
        let written = first
            .transaction()
            .execute("INSERT INTO effect VALUES ($1)", &[&value])
            .await;
        assert_eq!(written.is_ok(), stored);
        assert_eq!(first.commit().await.is_ok(), stored);
    }
    outer.commit().await.unwrap();
    assert_eq!(
        database
            .value("SELECT count(*) FROM effect WHERE id IN ('outer', 'a', 'c')")
            .await,
        3
    );
    assert_eq!(
        database.value("SELECT count(*) FROM inbox_event WHERE id = 'b'").await,
        0,
        "it comes again"
    );

    let mut outer = client.transaction().await.unwrap();
    let inner = outer.transaction().await.unwrap();
    if let Receipt::New(first) =
        inbox::postgres::receive(inner, delivery("d"), &inbox_config).await.unwrap()
    {
        let _ = first.commit().await.unwrap();
    }
    outer.rollback().await.unwrap();
    assert_eq!(
        database.value("SELECT count(*) FROM inbox_event WHERE id = 'd'").await,
        0,
        "nor is that committed"
    );
}
