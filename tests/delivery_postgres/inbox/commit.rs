//! What the database refuses of an effect, of its commit, or of the inbox: a fault that
//! is stored and counted where it is the effect's doing, and no attempt where it is not.

use crate::chain::Chain as _;
use tokio_postgres::Transaction;

use super::*;

/// An effect in these statements.
async fn process(
    client: &mut Client,
    delivery: Delivery<Silent>,
    inbox_config: &InboxConfig,
    sql: &str,
) -> Result<String, String> {
    let handled = inbox::postgres::process(
        client,
        delivery,
        inbox_config,
        async |transaction, _| {
            transaction.batch_execute(sql).await?;
            Ok(())
        },
    );
    let handled = handled.await;
    handled.map(|handled| format!("{handled:?}")).map_err(|error| error.chain())
}

/// A deferred constraint and a deferred trigger refuse at the commit. It is a fault with
/// their words, and counts.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_is_refused_at_the_commit_is_a_fault_with_its_reason() {
    let database = with_inbox().await;
    database
        .sql(
            "CREATE TABLE account (id int PRIMARY KEY); \
             CREATE TABLE entry (account int REFERENCES account DEFERRABLE INITIALLY DEFERRED); \
             CREATE TABLE sum (sum int); \
             CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'debit and credit differ'; END $$; \
             CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON sum DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .await;
    let (mut client, inbox_config) = (database.session().await, at_once(2));
    for (table, cause) in
        [("entry", "violates foreign key constraint"), ("sum", "debit and credit differ")]
    {
        for again in [false, true] {
            let id = format!("{table} {again}");
            let sql = format!(
                "INSERT INTO effect VALUES ('x'); INSERT INTO {table} VALUES (7)"
            );
            for becomes in ["RetryLater", "DeadLettered"] {
                let handled = process(
                    &mut client,
                    delivery(&id).redelivered(again),
                    &inbox_config,
                    &sql,
                )
                .await
                .unwrap();
                assert!(handled.starts_with(becomes), "{handled}");
                let reason = reason_of(&database, &id).await;
                assert!(
                    reason.starts_with("committing an effect: ")
                        && reason.contains(cause),
                    "{reason}"
                );
            }
            let handled =
                process(&mut client, delivery(&id), &inbox_config, &sql).await.unwrap();
            assert_eq!(handled, "Duplicate");
        }
    }
    assert_eq!(database.value("SELECT count(*) FROM effect").await, 0);
    assert_eq!(database.value("SELECT count(*) FROM inbox_event WHERE status = 'failed' AND attempts = 2").await, 4);
}

/// Of consumers with copies of one event, each fails at its commit, and stores that
/// afterwards: its last attempt is counted once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn copies_that_are_refused_at_the_commit_are_one_dead_letter() {
    let database = with_inbox().await;
    database
        .sql(
            "CREATE TABLE account (id int PRIMARY KEY); \
             CREATE TABLE entry \
             (account int REFERENCES account DEFERRABLE INITIALLY DEFERRED)",
        )
        .await;
    for id in ["a", "b", "c"] {
        let mut copies = Vec::new();
        for _ in 0..8 {
            let mut client = database.session().await;
            copies.push(tokio::spawn(async move {
                let refused = "INSERT INTO entry VALUES (7)";
                process(&mut client, delivery(id), &at_once(1), refused).await.unwrap()
            }));
        }
        let mut dead = 0;
        for copy in copies {
            let handled = copy.await.unwrap();
            assert!(["DeadLettered", "Duplicate"].contains(&&*handled), "{handled}");
            dead += usize::from(handled == "DeadLettered");
        }
        assert_eq!(dead, 1, "{id}");
    }
}

/// An effect that overlooks a failed statement is not taken for committed: PostgreSQL has
/// given the transaction up.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn an_overlooked_error_is_no_commit() {
    let database = with_inbox().await;
    let (mut client, inbox_config) = (database.session().await, inbox_config());
    let overlooks = async |transaction: &Transaction<'_>, _: &Envelope<_>| {
        let _ = transaction.execute("INSERT INTO effect VALUES (NULL)", &[]).await;
        Ok(())
    };
    let overlooked =
        inbox::postgres::process(&mut client, delivery("a"), &inbox_config, overlooks)
            .await;
    assert!(matches!(overlooked, Ok(Handled::RetryLater(_))), "{overlooked:?}");
    let reason = reason_of(&database, "a").await;
    assert!(reason.contains("current transaction is aborted"), "{reason}");
    assert!(
        matches!(
            have_effect(&mut client, "a", &inbox_config, Ok(())).await,
            Handled::Processed(_)
        ),
        "it comes again"
    );

    // The same error, told: the failure is stored, though the statement before it failed.
    let told = inbox::postgres::process(
        &mut client,
        delivery("b"),
        &inbox_config,
        async |transaction, _| {
            transaction.execute("INSERT INTO effect VALUES (NULL)", &[]).await?;
            Ok(())
        },
    );
    assert!(matches!(told.await.unwrap(), Handled::RetryLater(_)));
    assert_eq!(
        database
            .value("SELECT count(*) FROM inbox_event WHERE status = 'retrying'")
            .await,
        1
    );
}

/// An effect that commits by SQL, whatever it begins after that, is told so and is not
/// had again.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn an_effect_that_commits_by_sql_is_told_and_had_once() {
    let database = with_inbox().await;
    let (mut client, inbox_config) = (database.session().await, inbox_config());
    let mut had = 0;
    for end in [
        "COMMIT",
        "END",
        "COMMIT AND CHAIN",
        "COMMIT; BEGIN; INSERT INTO effect VALUES ('lost')",
    ] {
        for fault in ["", "; SELECT 1 / 0"] {
            for again in [false, true] {
                let (id, sql) = (
                    format!("{end}{fault}{again}"),
                    format!("INSERT INTO effect VALUES ('x'); {end}"),
                );
                let effect = async |transaction: &Transaction<'_>, _: &Envelope<_>| {
                    transaction.batch_execute(&sql).await?;
                    transaction.batch_execute(fault).await?;
                    Ok(())
                };
                let delivered = delivery(&id).redelivered(again);
                let told = inbox::postgres::process(
                    &mut client,
                    delivered,
                    &inbox_config,
                    effect,
                )
                .await;
                let told = told.unwrap_err().chain();
                assert!(
                    told.contains("the transaction has ended already"),
                    "{id}: {told}"
                );
                assert!(
                    fault.is_empty() || told.contains("division by zero"),
                    "{id}: {told}"
                );
                let later =
                    process(&mut client, redelivery(&id), &inbox_config, "SELECT 1 / 0")
                        .await;
                assert_eq!(later.as_deref(), Ok("Duplicate"), "{id}");
                had += 1;
            }
        }
    }
    assert_eq!(
        database.value("SELECT count(*) FROM effect").await,
        had,
        "and what was begun after it is not kept"
    );
}

/// One that rolls back by SQL is a fault each time, and a dead letter in the end.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn an_effect_that_rolls_back_by_sql_is_a_fault_each_time() {
    let database = with_inbox().await;
    let (mut client, inbox_config) = (database.session().await, at_once(2));
    for end in [
        "ROLLBACK",
        "ROLLBACK AND CHAIN",
        "ROLLBACK; BEGIN; INSERT INTO effect VALUES ('lost')",
    ] {
        for (fault, cause) in [
            ("", "the transaction has ended already"),
            ("; SELECT 1 / 0", "division by zero"),
        ] {
            let id = format!("{end}{fault}");
            for becomes in ["RetryLater", "DeadLettered"] {
                let effect = async |transaction: &Transaction<'_>, _: &Envelope<_>| {
                    transaction.batch_execute(end).await?;
                    transaction.batch_execute(fault).await?;
                    Ok(())
                };
                let handled = inbox::postgres::process(
                    &mut client,
                    delivery(&id),
                    &inbox_config,
                    effect,
                )
                .await;
                assert!(format!("{handled:?}").contains(becomes), "{id}: {handled:?}");
            }
            let reason = reason_of(&database, &id).await;
            assert!(reason.contains(cause), "{id}: {reason}");
        }
    }
    assert_eq!(database.value("SELECT count(*) FROM effect").await, 0);
}

/// A rollback to a savepoint of the caller, from before the receipt, takes the memory of
/// the event with it.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_rollback_to_before_the_receipt_is_no_commit() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    let transaction = client.transaction().await.unwrap();
    transaction.batch_execute("SAVEPOINT before").await.unwrap();
    let receipt = inbox::postgres::receive(transaction, delivery("a"), &inbox_config())
        .await
        .unwrap();
    let Receipt::New(first) = receipt else {
        panic!("the first of its event: {receipt:?}")
    };
    first
        .transaction()
        .batch_execute("ROLLBACK TO before; INSERT INTO effect VALUES ('a')")
        .await
        .unwrap();
    let refused = first.commit().await.unwrap_err().chain();
    assert!(refused.contains("the transaction has ended already"), "{refused}");
    let kept =
        "SELECT (SELECT count(*) FROM effect) + (SELECT count(*) FROM inbox_event)";
    assert_eq!(database.value(kept).await, 0);
}

/// A serialization failure at the commit is nobody's fault: no attempt is spent, however
/// often it happens.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_serialization_failure_spends_no_attempt() {
    let database = with_inbox().await;
    let (mut client, other, inbox_config) =
        (database.session().await, database.session().await, at_once(1));
    for session in [&client, &other] {
        session
            .batch_execute("SET default_transaction_isolation = serializable")
            .await
            .unwrap();
    }
    const TURN: &str = "INSERT INTO effect SELECT count(*)::text FROM effect";
    for again in [false, true, true, false] {
        let effect = async |transaction: &Transaction<'_>, event: &Envelope<_>| {
            assert_eq!(event.attempts(), 1);
            transaction.batch_execute(TURN).await?;
            other.batch_execute(TURN).await.unwrap();
            Ok(())
        };
        let delivered = delivery("a").redelivered(again);
        let refused =
            inbox::postgres::process(&mut client, delivered, &inbox_config, effect)
                .await
                .unwrap_err()
                .chain();
        assert!(refused.contains("could not serialize access"), "{refused}");
        assert_eq!(
            database.value("SELECT count(*) FROM inbox_event").await,
            0,
            "nothing is stored"
        );
    }
    assert_eq!(
        process(&mut client, redelivery("a"), &inbox_config, TURN).await.as_deref(),
        Ok("Processed")
    );
}

/// Nor is one in a statement of the inbox, after the attempt was counted.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_serialization_failure_of_the_inbox_spends_no_attempt() {
    let database = with_inbox().await;
    database
        .sql(
            "CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001'; END $$; \
             CREATE TRIGGER conflict BEFORE UPDATE ON inbox_event FOR EACH ROW WHEN (NEW.status = 'processed') \
             EXECUTE FUNCTION conflict()",
        )
        .await;
    let (mut client, inbox_config) = (database.session().await, at_once(1));
    for _ in 0..3 {
        let refused =
            process(&mut client, redelivery("a"), &inbox_config, "SELECT 1 / 0")
                .await
                .unwrap_err();
        assert!(
            refused.contains(
                "receiving an event: db error: ERROR: could not serialize access"
            ),
            "{refused}"
        );
        assert_eq!(
            database.value("SELECT count(*) FROM inbox_event").await,
            0,
            "the attempt is taken back"
        );
    }
    database.sql("DROP TRIGGER conflict ON inbox_event").await;
    assert_eq!(
        process(&mut client, redelivery("a"), &inbox_config, "SELECT 1").await.as_deref(),
        Ok("Processed")
    );
}

/// Nor is a deadlock, in a statement of the effect; and the failure from before it stays.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_deadlock_spends_no_attempt() {
    let database = with_inbox().await;
    database
        .sql("CREATE TABLE account (id int); INSERT INTO account VALUES (1), (2)")
        .await;
    let (mut client, inbox_config) = (database.session().await, at_once(2));
    client.batch_execute("SET deadlock_timeout = '10ms'").await.unwrap();
    let _again = have_effect(
        &mut client,
        "a",
        &inbox_config,
        Err(HandlerError::transient("no such account")),
    )
    .await;
    for again in [false, true] {
        let other = database.session().await;
        other
            .batch_execute("BEGIN; SET deadlock_timeout = '1h'; SELECT FROM account WHERE id = 2 FOR UPDATE")
            .await
            .unwrap();
        let mut waits = None;
        let effect = async |transaction: &Transaction<'_>, event: &Envelope<_>| {
            assert_eq!(event.attempts(), 2);
            transaction
                .batch_execute("SELECT FROM account WHERE id = 1 FOR UPDATE")
                .await?;
            let waiting = async move {
                other.batch_execute("SELECT FROM account WHERE id = 1 FOR UPDATE").await
            };
            waits = Some(tokio::spawn(waiting));
            database.until_waiting(1).await;
            transaction
                .batch_execute("SELECT FROM account WHERE id = 2 FOR UPDATE")
                .await?;
            Ok(())
        };
        let delivered = delivery("a").redelivered(again);
        let refused =
            inbox::postgres::process(&mut client, delivered, &inbox_config, effect)
                .await
                .unwrap_err();
        assert_eq!(refused.kind(), inbox::StoreErrorKind::Busy);
        let refused = refused.chain();
        assert!(
            refused.contains("running the handler: db error: ERROR: deadlock detected"),
            "{refused}"
        );
        waits.unwrap().await.unwrap().unwrap();
        assert_eq!(database.value("SELECT attempts FROM inbox_event").await, 1);
        assert_eq!(reason_of(&database, "a").await, "no such account");
    }
}

/// Nor is a connection that is lost in the effect or in the commit: the consumer goes on
/// with another one, and knows that it has not ended.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_lost_connection_spends_no_attempt() {
    let database = with_inbox().await;
    database
        .sql(
            "CREATE TABLE fuse (id int); \
             CREATE FUNCTION blow() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$; \
             CREATE CONSTRAINT TRIGGER fuse AFTER INSERT ON fuse DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION blow()",
        )
        .await;
    let inbox_config = at_once(1);
    for sql in
        ["SELECT pg_terminate_backend(pg_backend_pid())", "INSERT INTO fuse VALUES (1)"]
    {
        for _ in 0..3 {
            let mut client = database.session().await;
            let refused = process(&mut client, redelivery("a"), &inbox_config, sql).await;
            assert!(refused.is_err(), "{refused:?}");
        }
    }
    let mut client = database.session().await;
    let handled = inbox::postgres::process(
        &mut client,
        redelivery("a"),
        &inbox_config,
        async |_, event| {
            assert_eq!(event.attempts(), 1);
            Ok(())
        },
    );
    assert!(matches!(handled.await.unwrap(), Handled::Processed(_)));
}
