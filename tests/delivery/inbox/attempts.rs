//! An attempt is counted where the broker may have delivered the event before, so that an
//! effect that ends its process has an end too.

use std::path::PathBuf;

use super::*;

const ABORT_IN: &str = "ABORT_IN";

/// Not a test of its own: the process whose effect ends it. Started by nobody, it does
/// nothing.
#[test]
fn abort_in_the_effect() {
    let Some(path) = std::env::var_os(ABORT_IN).map(PathBuf::from) else { return };
    let (mut connection, inbox_config) =
        (open(&path), inbox_config().retry_policy(at_once(3)));
    let handled = sqlite::process(
        &mut connection,
        Broker::default().deliver_again("1"),
        &inbox_config,
        |transaction, event| {
            effect(transaction, event);
            std::process::abort()
        },
    );
    unreachable!("the effect was not tried: {handled:?}");
}

#[cfg(unix)]
fn assert_aborts(path: &Path) {
    use std::os::unix::process::ExitStatusExt;
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command
        .args(["--exact", "inbox::attempts::abort_in_the_effect"])
        .env(ABORT_IN, path)
        .output()
        .unwrap();
    assert_eq!(output.status.signal(), Some(6), "it is ended by its effect: {output:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn an_effect_that_ends_its_process_is_a_dead_letter_after_the_attempts_of_the_policy()
 {
    let path = fresh_path();
    let (mut connection, broker) = (database_at(&path), Broker::default());
    for attempt in 1..=3 {
        assert_aborts(&path);
        let stored = connection.query_row(
            "SELECT status, attempts, failure_reason FROM inbox_event",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        );
        let expected = (
            "retrying".to_owned(),
            attempt,
            "the consumer ended before its effect did".to_owned(),
        );
        assert_eq!(stored, Ok(expected));
    }
    let told = Arc::new(Mutex::new(Vec::new()));
    let observer = Arc::clone(&told);
    let observer = move |record: &AuditRecord| {
        observer.lock().unwrap().push((record.action, record.status));
        Ok(())
    };
    let inbox_config = inbox_config()
        .retry_policy(at_once(3))
        .with_audit_trail(AuditTrail::new("erp", Arc::new(observer)));
    let handled = sqlite::process(
        &mut connection,
        broker.deliver_again("1"),
        &inbox_config,
        |_, _| panic!("a fourth"),
    );
    assert!(matches!(handled, Ok(Handled::DeadLettered(_))), "{handled:?}");
    assert_eq!(
        *told.lock().unwrap(),
        [(Action::Fail, integration_automation_patterns::DeliveryStatus::Failed)]
    );
    let handled = sqlite::process(
        &mut connection,
        broker.deliver_again("1"),
        &inbox_config,
        |_, _| panic!("a fifth"),
    );
    assert!(matches!(handled, Ok(Handled::Duplicate(_))), "{handled:?}");

    let dead = sqlite::dead_letters(&connection, &Filter::default(), 10).unwrap();
    assert_eq!(
        (dead.len(), dead[0].event.attempts(), dead[0].event.payload().bytes()),
        (1, 3, &b"1"[..])
    );
    assert_eq!(
        dead[0].event.failure().unwrap().reason,
        "the consumer ended before its effect did"
    );
    assert_eq!(effects(&connection), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn an_attempt_that_never_ended_is_spent_for_every_later_delivery() {
    let path = fresh_path();
    let (mut connection, broker, inbox_config) =
        (database_at(&path), Broker::default(), inbox_config().retry_policy(at_once(3)));
    for _ in 0..2 {
        assert_aborts(&path);
    }
    let handled = sqlite::process(
        &mut connection,
        broker.deliver("1"),
        &inbox_config,
        |_, event| {
            assert_eq!(
                (event.attempts(), event.failure().is_some()),
                (3, true),
                "sent twice, it is not a first delivery"
            );
            Err(HandlerError::transient("locked"))
        },
    );
    assert!(matches!(handled, Ok(Handled::DeadLettered(_))), "{handled:?}");

    let path = fresh_path();
    let mut connection = database_at(&path);
    for _ in 0..3 {
        assert_aborts(&path);
    }
    let receipt =
        sqlite::receive(begin(&mut connection), broker.deliver("1"), &inbox_config)
            .unwrap();
    assert!(matches!(receipt, Receipt::DeadLettered(_)), "{receipt:?}");
    drop(receipt);
    assert_eq!(
        sqlite::dead_letters(&connection, &Filter::default(), 10).unwrap().len(),
        1
    );
}

#[tokio::test]
async fn a_redelivery_that_succeeds_leaves_what_a_first_delivery_leaves() {
    let (mut connection, broker) = (database(), Broker::default());
    for delivery in [broker.deliver("1"), broker.deliver_again("2")] {
        let handled = sqlite::process(
            &mut connection,
            delivery,
            &inbox_config(),
            |transaction, event| {
                assert_eq!((event.attempts(), event.failure()), (1, None));
                effect(transaction, event);
                Ok(())
            },
        );
        assert!(matches!(handled, Ok(Handled::Processed(_))), "{handled:?}");
    }
    assert_eq!(effects(&connection), 2);
    assert_eq!(stored(&connection, "1"), stored(&connection, "2"));
}

#[tokio::test]
async fn a_redelivery_that_fails_is_counted_once() {
    let (mut connection, broker, inbox_config) =
        (database(), Broker::default(), inbox_config().retry_policy(at_once(3)));
    for (attempt, delivery) in [
        (1, broker.deliver("1")),
        (2, broker.deliver_again("1")),
        (3, broker.deliver_again("1")),
    ] {
        let handled = sqlite::process(
            &mut connection,
            delivery,
            &inbox_config,
            |transaction, event| {
                assert_eq!(event.attempts(), attempt);
                effect(transaction, event);
                Err(HandlerError::transient(format!("locked {attempt}")))
            },
        );
        handled.unwrap().settle().await.unwrap();
        let stored: (u32, String) = connection
            .query_row("SELECT attempts, failure_reason FROM inbox_event", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(stored, (attempt, format!("locked {attempt}")));
    }
    assert_eq!(
        broker.told(),
        [Told::Retry(Duration::ZERO), Told::Retry(Duration::ZERO), Told::Confirmed]
    );
    assert_eq!(effects(&connection), 0);
}

#[tokio::test]
async fn a_redelivery_of_what_is_done_or_not_taken_in_writes_no_attempt() {
    let path = fresh_path();
    let (mut connection, broker) = (database_at(&path), Broker::default());
    let _told =
        sqlite::process(&mut connection, broker.deliver("1"), &inbox_config(), |_, _| {
            Ok(())
        })
        .unwrap();
    let witness = open(&path);
    let version = || {
        witness.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = version();
    let handled = sqlite::process(
        &mut connection,
        broker.deliver_again("1"),
        &inbox_config(),
        |_, _| panic!("a second"),
    );
    assert!(matches!(handled, Ok(Handled::Duplicate(_))), "{handled:?}");
    assert_eq!(version(), before, "nothing was committed");

    let narrow = inbox_config().accept::<InvoicePaid>();
    let handled =
        sqlite::process(&mut connection, broker.deliver_again("2"), &narrow, |_, _| {
            panic!("not taken in")
        });
    assert!(matches!(handled, Ok(Handled::DeadLettered(_))), "{handled:?}");
    let dead = sqlite::dead_letters(&connection, &Filter::default(), 10).unwrap();
    assert!(dead[0].event.failure().unwrap().reason.starts_with("unknown event type"));
}

#[test]
fn of_eight_redeliveries_at_once_one_has_an_effect() {
    for _ in 0..10 {
        let path = fresh_path();
        let connection = database_at(&path);
        let inbox_config = inbox_config().retry_policy(at_once(1));
        let effect_of_one = || {
            let process = |transaction: &Transaction<'_>, event: &Envelope<_>| {
                effect(transaction, event);
                Ok(())
            };
            let _told = sqlite::process(
                &mut open(&path),
                Broker::default().deliver_again("1"),
                &inbox_config,
                process,
            )
            .unwrap();
        };
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(effect_of_one))));
        assert_eq!(effects(&connection), 1);
        let status: String = connection
            .query_row("SELECT status FROM inbox_event", [], |row| row.get(0))
            .unwrap();
        assert_eq!(status, "processed");
    }
}

/// Protects a verdict, and the budget, from a handler that says what the inbox says.
#[test]
fn what_a_handler_says_is_no_state_of_its_event() {
    let unknown = "unknown event type \"crm.lead.created\": this inbox takes in erp";
    let (mut connection, broker) = (database(), Broker::default());
    let inbox_config = inbox_config().retry_policy(at_once(3));
    let mut process = |delivery, error: HandlerError| {
        let handled =
            sqlite::process(&mut connection, delivery, &inbox_config, |_, _| Err(error));
        handled.unwrap()
    };
    let dead = process(broker.deliver("1"), HandlerError::permanent(unknown));
    assert!(matches!(dead, Handled::DeadLettered(_)), "{dead:?}");
    let again = process(broker.deliver("1"), HandlerError::permanent("a second effect"));
    assert!(matches!(again, Handled::Duplicate(_)), "{again:?}");

    let ended = "the consumer ended before its effect did";
    let _dead = process(broker.deliver("2"), HandlerError::permanent(ended));
    // Its broker has lost the ack, and an attempt of it is owed to this consumer.
    let again = process(broker.deliver_again("2"), HandlerError::permanent("a second"));
    assert!(matches!(again, Handled::Duplicate(_)), "{again:?}");
}

/// Each of them fails at its commit, and stores that afterwards.
#[test]
fn of_eight_copies_that_fail_at_once_one_is_counted_as_the_dead_letter() {
    for round in 0..10 {
        let path = fresh_path();
        let connection = database_at(&path);
        let tables = "CREATE TABLE owner (name TEXT PRIMARY KEY); CREATE TABLE owned \
                      (name REFERENCES owner DEFERRABLE INITIALLY DEFERRED)";
        connection.execute_batch(tables).unwrap();
        let inbox_config = inbox_config().retry_policy(at_once(1));
        let fails = || {
            let (broker, mut connection) = (Broker::default(), open(&path));
            connection.pragma_update(None, "foreign_keys", true).unwrap();
            let orphan = |transaction: &Transaction<'_>, _: &Envelope<_>| {
                transaction.execute("INSERT INTO owned VALUES ('nobody')", [])?;
                Ok(())
            };
            let delivery = broker.deliver("1");
            sqlite::process(&mut connection, delivery, &inbox_config, orphan).unwrap()
        };
        let dead = std::thread::scope(|scope| {
            let copies: Vec<_> = (0..8).map(|_| scope.spawn(fails)).collect();
            let handled = copies.into_iter().map(|copy| copy.join().unwrap());
            handled.filter(|handled| matches!(handled, Handled::DeadLettered(_))).count()
        });
        assert_eq!(dead, 1, "round {round}");
    }
}
