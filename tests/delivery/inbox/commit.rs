//! What the database refuses of an effect, of its commit, or of the inbox: a fault that
//! is stored and counted where it is the effect's doing, and no attempt where it is not.

use super::*;
use crate::chain::Chain as _;

fn deferred(connection: &Connection) {
    connection
        .execute_batch(
            "PRAGMA foreign_keys = ON; CREATE TABLE account (id INTEGER PRIMARY KEY); \
             CREATE TABLE entry (account INTEGER REFERENCES account DEFERRABLE INITIALLY DEFERRED)",
        )
        .unwrap();
}

#[tokio::test]
async fn what_is_refused_at_the_commit_is_a_fault_with_its_reason() {
    for again in [false, true] {
        let (mut connection, broker) = (database(), Broker::default());
        deferred(&connection);
        let inbox_config = inbox_config().retry_policy(at_once(2));
        for attempt in 1..=2 {
            let delivery = broker.deliver("1").redelivered(again);
            let handled = sqlite::process(
                &mut connection,
                delivery,
                &inbox_config,
                |transaction, event| {
                    assert_eq!(event.attempts(), attempt);
                    effect(transaction, event);
                    transaction.execute("INSERT INTO entry VALUES (7)", [])?;
                    Ok(())
                },
            );
            handled.unwrap().settle().await.unwrap();
            let (_, attempts, reason) = failure_of(&connection, "1").unwrap();
            assert_eq!(attempts, attempt);
            assert!(
                reason.contains("committing an effect: FOREIGN KEY constraint failed"),
                "{reason}"
            );
        }
        assert_eq!(
            broker.told(),
            [Told::Retry(Duration::ZERO), Told::Confirmed],
            "the second is a dead letter"
        );
        assert_eq!(
            (failure_of(&connection, "1").unwrap().0, effects(&connection)),
            ("failed".to_owned(), 0)
        );
    }
}

/// While the commit is refused and before that is stored, another consumer has had the
/// effect: it is not undone.
#[test]
fn a_refused_commit_does_not_undo_the_effect_of_another_consumer() {
    let path = fresh_path();
    let mut connection = database_at(&path);
    connection
        .execute_batch("CREATE TABLE once (id TEXT UNIQUE ON CONFLICT ROLLBACK)")
        .unwrap();
    connection.execute_batch("INSERT INTO once VALUES ('1')").unwrap();
    let handled = sqlite::process(
        &mut connection,
        Broker::default().deliver("1"),
        &inbox_config(),
        |transaction, _| {
            let refused = transaction.execute("INSERT INTO once VALUES ('1')", []);
            let other = sqlite::process(
                &mut open(&path),
                Broker::default().deliver("1"),
                &inbox_config(),
                |transaction, event| {
                    effect(transaction, event);
                    Ok(())
                },
            );
            assert!(matches!(other, Ok(Handled::Processed(_))), "{other:?}");
            refused?;
            Ok(())
        },
    );
    let told = handled.unwrap_err().chain();
    assert!(
        told.contains("UNIQUE constraint failed")
            && told.contains("it comes again as a duplicate"),
        "{told}"
    );
    let later = sqlite::process(
        &mut connection,
        Broker::default().deliver("1"),
        &inbox_config(),
        |_, _| panic!("a second"),
    );
    assert!(matches!(later, Ok(Handled::Duplicate(_))), "{later:?}");
    assert_eq!(effects(&connection), 1);
}

#[tokio::test]
async fn an_effect_whose_transaction_sqlite_ended_is_a_fault() {
    let (mut connection, broker) = (database(), Broker::default());
    connection
        .execute_batch("CREATE TABLE once (id TEXT UNIQUE ON CONFLICT ROLLBACK); INSERT INTO once VALUES ('1')")
        .unwrap();
    let handled = sqlite::process(
        &mut connection,
        broker.deliver("1"),
        &inbox_config(),
        |transaction, event| {
            effect(transaction, event);
            transaction.execute("INSERT INTO once VALUES ('1')", [])?;
            Ok(())
        },
    );
    assert!(matches!(handled, Ok(Handled::RetryLater(_))), "{handled:?}");
    let overlooked = sqlite::process(
        &mut connection,
        broker.deliver("2"),
        &inbox_config(),
        |transaction, event| {
            effect(transaction, event);
            let _ = transaction.execute("INSERT INTO once VALUES ('1')", []);
            Ok(())
        },
    );
    assert!(matches!(overlooked, Ok(Handled::RetryLater(_))), "{overlooked:?}");
    assert!(failure_of(&connection, "1").unwrap().2.contains("UNIQUE constraint failed"));
    let (_, _, reason) = failure_of(&connection, "2").unwrap();
    assert!(reason.contains("the transaction has ended already"), "{reason}");
    assert_eq!(effects(&connection), 0);
}

#[test]
fn an_effect_that_commits_by_sql_is_told_and_had_once() {
    for sql in [
        "COMMIT",
        "END",
        "COMMIT; BEGIN",
        "COMMIT; BEGIN IMMEDIATE; INSERT INTO effect VALUES ('lost')",
    ] {
        for then in [Ok(()), Err(HandlerError::transient("and then it failed"))] {
            let (mut connection, broker) = (database(), Broker::default());
            for again in [false, true] {
                let delivery = broker.deliver(&again.to_string()).redelivered(again);
                let told = sqlite::process(
                    &mut connection,
                    delivery,
                    &inbox_config(),
                    |transaction, event| {
                        effect(transaction, event);
                        transaction.execute_batch(sql)?;
                        then.clone()
                    },
                );
                let told = told.unwrap_err().chain();
                assert!(
                    told.contains("the transaction has ended already"),
                    "{sql}: {told}"
                );
                assert!(
                    told.contains("and then it failed") || then.is_ok(),
                    "{sql}: {told}"
                );
                let delivery = broker.deliver_again(&again.to_string());
                let later = sqlite::process(
                    &mut connection,
                    delivery,
                    &inbox_config(),
                    |_, _| panic!("a second effect"),
                );
                assert!(matches!(later, Ok(Handled::Duplicate(_))), "{sql}: {later:?}");
            }
            assert_eq!(
                effects(&connection),
                2,
                "{sql}: what was committed stays, and what was begun does not"
            );
        }
    }
}

#[test]
fn an_effect_that_rolls_back_by_sql_is_a_fault_each_time() {
    for sql in
        ["ROLLBACK", "ROLLBACK; BEGIN IMMEDIATE; INSERT INTO effect VALUES ('lost')"]
    {
        for then in [Ok(()), Err(HandlerError::transient("and then it failed"))] {
            let (mut connection, broker) = (database(), Broker::default());
            let inbox_config = inbox_config().retry_policy(at_once(2));
            for (attempt, becomes) in [(1, "RetryLater"), (2, "DeadLettered")] {
                let handled = sqlite::process(
                    &mut connection,
                    broker.deliver("1"),
                    &inbox_config,
                    |transaction, event| {
                        assert_eq!(event.attempts(), attempt);
                        effect(transaction, event);
                        transaction.execute_batch(sql)?;
                        then.clone()
                    },
                );
                assert!(format!("{handled:?}").contains(becomes), "{sql}: {handled:?}");
            }
            let (_, _, reason) = failure_of(&connection, "1").unwrap();
            let expected = if then.is_ok() {
                "the transaction has ended already"
            } else {
                "and then it failed"
            };
            assert!(reason.contains(expected), "{sql}: {reason}");
            assert_eq!(effects(&connection), 0, "{sql}");
        }
    }
}

#[test]
fn a_rollback_to_before_the_receipt_is_no_commit() {
    let (mut connection, broker) = (database(), Broker::default());
    let transaction = begin(&mut connection);
    transaction.execute_batch("SAVEPOINT before").unwrap();
    let Receipt::New(first) =
        sqlite::receive(transaction, broker.deliver("1"), &inbox_config()).unwrap()
    else {
        panic!("the first")
    };
    first.transaction().execute_batch("ROLLBACK TO before").unwrap();
    effect(first.transaction(), first.event());
    assert!(
        first.commit().unwrap_err().chain().contains("the transaction has ended already")
    );
    assert_eq!((effects(&connection), failure_of(&connection, "1")), (0, None));
}

/// A write of a connection that waits for no other.
fn write_at_once(path: &Path) -> rusqlite::Result<usize> {
    let other = Connection::open(path)?;
    other.busy_timeout(Duration::ZERO)?;
    other.execute("INSERT INTO effect VALUES ('other')", [])
}

#[test]
fn a_busy_database_spends_no_attempt() {
    let path = fresh_path();
    let (mut connection, broker, inbox_config) =
        (database_at(&path), Broker::default(), inbox_config().retry_policy(at_once(1)));
    for again in [false, true, true, false] {
        let delivery = broker.deliver("1").redelivered(again);
        let refused =
            sqlite::process(&mut connection, delivery, &inbox_config, |_, event| {
                assert_eq!(event.attempts(), 1);
                write_at_once(&path)?; // while this transaction writes
                Ok(())
            });
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Busy, "as the handler's error says");
        let refused = refused.chain();
        assert!(refused.contains("running the handler: database is locked"), "{refused}");
        assert_eq!(failure_of(&connection, "1"), None, "nothing is stored");
    }
    let handled = sqlite::process(
        &mut connection,
        broker.deliver_again("1"),
        &inbox_config,
        |_, _| Ok(()),
    );
    assert!(matches!(handled, Ok(Handled::Processed(_))), "{handled:?}");
}

#[test]
fn an_attempt_that_is_taken_back_leaves_the_failure_before_it() {
    let path = fresh_path();
    let (mut connection, broker, inbox_config) =
        (database_at(&path), Broker::default(), inbox_config().retry_policy(at_once(2)));
    let fails = |_: &Transaction<'_>, _: &Envelope<_>| {
        Err(HandlerError::transient("no such account"))
    };
    let _again =
        sqlite::process(&mut connection, broker.deliver("1"), &inbox_config, fails)
            .unwrap();
    let before = stored(&connection, "1");
    for _ in 0..3 {
        let refused = sqlite::process(
            &mut connection,
            broker.deliver_again("1"),
            &inbox_config,
            |_, event| {
                assert_eq!(event.attempts(), 2);
                write_at_once(&path)?;
                Ok(())
            },
        );
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(stored(&connection, "1"), before);
    }
}

#[test]
fn an_attempt_that_could_not_be_taken_back_is_counted_once() {
    let path = fresh_path();
    let (mut connection, broker, inbox_config) =
        (database_at(&path), Broker::default(), inbox_config().retry_policy(at_once(1)));
    connection.busy_timeout(Duration::ZERO).unwrap();
    let mut writer = open(&path);
    for _ in 0..3 {
        let mut held = None;
        let refused = sqlite::process(
            &mut connection,
            broker.deliver_again("1"),
            &inbox_config,
            |transaction, event| {
                assert_eq!(event.attempts(), 1);
                transaction.execute_batch("ROLLBACK")?;
                held = Some(begin(&mut writer)); // for longer than the inbox waits to store what became of it
                transaction.execute_batch("BEGIN IMMEDIATE")?;
                Ok(())
            },
        );
        assert!(refused.unwrap_err().chain().contains("database is locked"));
        drop(held);
    }
    let handled = sqlite::process(
        &mut connection,
        broker.deliver_again("1"),
        &inbox_config,
        |_, _| Ok(()),
    );
    assert!(matches!(handled, Ok(Handled::Processed(_))), "{handled:?}");
}

#[test]
fn a_full_disk_spends_no_attempt() {
    let (mut connection, broker, inbox_config) =
        (database(), Broker::default(), inbox_config().retry_policy(at_once(1)));
    let pages: i64 =
        connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let limit = |connection: &Connection, pages: i64| {
        connection
            .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
            .unwrap();
    };
    limit(&connection, pages + 8);
    for again in [false, true, true] {
        let delivery = broker.deliver("1").redelivered(again);
        let refused = sqlite::process(
            &mut connection,
            delivery,
            &inbox_config,
            |transaction, event| {
                assert_eq!(event.attempts(), 1);
                transaction
                    .execute("INSERT INTO effect VALUES (zeroblob(1000000))", [])?;
                Ok(())
            },
        );
        assert!(refused.unwrap_err().chain().contains("full"));
        assert_eq!(failure_of(&connection, "1"), None);
    }
    limit(&connection, pages + 8000);
    let handled = sqlite::process(
        &mut connection,
        broker.deliver_again("1"),
        &inbox_config,
        |transaction, event| {
            effect(transaction, event);
            Ok(())
        },
    );
    assert!(matches!(handled, Ok(Handled::Processed(_))), "{handled:?}");
}

/// Only a savepoint that is not there says that the effect has ended the transaction:
/// another refusal is told as what it is.
#[test]
fn a_savepoint_that_is_refused_is_no_transaction_that_has_ended() {
    use rusqlite::hooks::{AuthAction, Authorization, TransactionOperation};

    let mut connection = database();
    let refuse = |operation| {
        move |asked: rusqlite::hooks::AuthContext<'_>| match asked.action {
            AuthAction::Savepoint { operation: found, .. } if found == operation => {
                Authorization::Deny
            }
            _ => Authorization::Allow,
        }
    };
    connection.authorizer(Some(refuse(TransactionOperation::Release))).unwrap();
    let handled = sqlite::process(
        &mut connection,
        Broker::default().deliver("1"),
        &inbox_config(),
        |transaction, event| {
            effect(transaction, event);
            Ok(())
        },
    );
    assert!(matches!(handled, Ok(Handled::RetryLater(_))), "{handled:?}");
    let (_, _, reason) = failure_of(&connection, "1").unwrap();
    assert!(reason.starts_with("committing an effect: not authorized"), "{reason}");

    connection.authorizer(Some(refuse(TransactionOperation::Rollback))).unwrap();
    let fault =
        |_: &Transaction<'_>, _: &Envelope<_>| Err(HandlerError::transient("locked"));
    let told = sqlite::process(
        &mut connection,
        Broker::default().deliver("2"),
        &inbox_config(),
        fault,
    )
    .unwrap_err();
    assert!(told.chain().starts_with("storing a failure: not authorized"), "{told}");
    assert_eq!(effects(&connection), 0);
}
