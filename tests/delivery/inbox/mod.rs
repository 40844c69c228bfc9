//! The inbox on SQLite: an effect once, whatever is delivered how often.

mod admin;
mod attempts;
mod commit;
mod order;
mod reasons;
mod released;
mod upgrade;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use integration_automation_patterns::audit::{Action, AuditRecord, AuditTrail};
use integration_automation_patterns::broker::{
    Ack, Broker as _, BrokerError, Consumer, Delivery, in_process,
};
use integration_automation_patterns::inbox::{
    Handled, HandlerError, InboxConfig, Receipt, StoreErrorKind, sqlite,
};
use integration_automation_patterns::outbox::Filter;
use integration_automation_patterns::{
    AfterFailure, Decision, Envelope, Event, FailureClass, RawEvent, RetryPolicy,
};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use crate::sqlite::fresh_path;
use crate::suite::{at_once, event, id};

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[derive(Debug, Clone, PartialEq)]
enum Told {
    Confirmed,
    Retry(Duration),
}

/// A broker's end that remembers what it was told.
#[derive(Clone, Default)]
struct Broker(Arc<Mutex<Vec<Told>>>);

impl Broker {
    fn deliver(&self, text: &str) -> Delivery<Self> {
        Delivery::new(event(text), self.clone())
    }

    fn deliver_again(&self, text: &str) -> Delivery<Self> {
        self.deliver(text).redelivered(true)
    }

    fn told(&self) -> Vec<Told> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Ack for Broker {
    async fn ack(self) -> Result<(), BrokerError> {
        self.0.lock().unwrap().push(Told::Confirmed);
        Ok(())
    }

    async fn nack(self, after: Duration) -> Result<(), BrokerError> {
        self.0.lock().unwrap().push(Told::Retry(after));
        Ok(())
    }
}

fn inbox_config() -> InboxConfig {
    InboxConfig::new(WEEK, RetryPolicy::DEFAULT).unwrap()
}

fn open(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(20)).unwrap();
    connection
}

fn database() -> Connection {
    database_at(&fresh_path())
}

fn database_at(path: &Path) -> Connection {
    let mut connection = open(path);
    sqlite::install(&mut connection).unwrap();
    connection.execute_batch("CREATE TABLE effect (id TEXT)").unwrap();
    connection
}

fn begin(connection: &mut Connection) -> Transaction<'_> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap()
}

fn effect(
    transaction: &Transaction<'_>,
    event: &Envelope<integration_automation_patterns::state::Acknowledged>,
) {
    transaction
        .execute("INSERT INTO effect VALUES (?1)", [event.id().to_string()])
        .unwrap();
}

/// What is stored of an event's failures: its state, attempts and reason.
fn failure_of(connection: &Connection, id: &str) -> Option<(String, u32, String)> {
    let sql = "SELECT status, attempts, failure_reason FROM inbox_event WHERE id = ?1";
    connection
        .query_row(sql, [id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()
        .unwrap()
}

fn effects(connection: &Connection) -> i64 {
    connection.query_row("SELECT count(*) FROM effect", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_duplicate_has_no_effect() {
    let (mut connection, broker) = (database(), Broker::default());
    for round in 0..3 {
        let receipt =
            sqlite::receive(begin(&mut connection), broker.deliver("1"), &inbox_config())
                .unwrap();
        let committed = match (round, receipt) {
            (0, Receipt::New(first)) => {
                effect(first.transaction(), first.event());
                first.commit().unwrap()
            }
            (1.., Receipt::Duplicate(committed)) => committed,
            (round, receipt) => panic!("delivery {round}: {receipt:?}"),
        };
        committed.ack().await.unwrap();
    }
    assert_eq!((effects(&connection), broker.told().len()), (1, 3));
}

#[tokio::test]
async fn an_effect_that_is_rolled_back_never_was() {
    let (mut connection, broker) = (database(), Broker::default());
    let Receipt::New(first) =
        sqlite::receive(begin(&mut connection), broker.deliver("1"), &inbox_config())
            .unwrap()
    else {
        panic!("the first")
    };
    effect(first.transaction(), first.event());
    drop(first); // as a crash does
    assert_eq!((effects(&connection), broker.told()), (0, vec![]));
    let handled = sqlite::process(
        &mut connection,
        broker.deliver("1"),
        &inbox_config(),
        |transaction, event| {
            effect(transaction, event);
            Ok(())
        },
    );
    assert!(
        matches!(handled, Ok(Handled::Processed(_))),
        "it is the first again: {handled:?}"
    );
    assert_eq!(effects(&connection), 1);
}

#[test]
fn of_eight_duplicates_at_once_one_has_an_effect() {
    let path = fresh_path();
    let mut connection = Connection::open(&path).unwrap();
    sqlite::install(&mut connection).unwrap();
    connection.execute_batch("CREATE TABLE effect (id TEXT)").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut connection = Connection::open(&path).unwrap();
                connection.busy_timeout(Duration::from_secs(20)).unwrap();
                let _told = sqlite::process(
                    &mut connection,
                    Broker::default().deliver("1"),
                    &inbox_config(),
                    |transaction, event| {
                        effect(transaction, event);
                        Ok(())
                    },
                )
                .unwrap();
            });
        }
    });
    assert_eq!(effects(&connection), 1);
}

#[tokio::test]
async fn a_fault_is_remembered_and_its_writes_are_not() {
    let (mut connection, broker) = (database(), Broker::default());
    let inbox_config = inbox_config().retry_policy(at_once(3));
    for attempt in 1..=3 {
        let handled = sqlite::process(
            &mut connection,
            broker.deliver("1"),
            &inbox_config,
            |transaction, event| {
                assert_eq!(event.attempts(), attempt);
                effect(transaction, event);
                transaction.execute("INSERT INTO no_such_table VALUES (1)", [])?;
                Ok(())
            },
        );
        handled.unwrap().settle().await.unwrap();
    }
    assert_eq!(effects(&connection), 0);
    assert_eq!(
        broker.told(),
        [Told::Retry(Duration::ZERO), Told::Retry(Duration::ZERO), Told::Confirmed]
    );

    let dead = sqlite::dead_letters(&connection, &Filter::default(), 10).unwrap();
    let failure = dead[0].event.failure().unwrap();
    assert!(failure.reason.contains("no such table"), "{failure}");
    assert_eq!(dead[0].event.payload().bytes(), b"1");
    let handled =
        sqlite::process(&mut connection, broker.deliver("1"), &inbox_config, |_, _| {
            panic!("it is dead")
        });
    assert!(matches!(handled, Ok(Handled::Duplicate(_))));
}

#[tokio::test]
async fn a_retry_that_succeeds_is_remembered() {
    let (mut connection, broker) = (database(), Broker::default());
    let handled =
        sqlite::process(&mut connection, broker.deliver("1"), &inbox_config(), |_, _| {
            Err(HandlerError::transient("locked"))
        });
    handled.unwrap().settle().await.unwrap();
    assert_eq!(
        broker.told(),
        [Told::Retry(Duration::from_secs(30))],
        "as the policy says"
    );
    for _ in 0..2 {
        let handled = sqlite::process(
            &mut connection,
            broker.deliver("1"),
            &inbox_config(),
            |transaction, event| {
                effect(transaction, event);
                Ok(())
            },
        );
        handled.unwrap().settle().await.unwrap();
    }
    assert_eq!((effects(&connection), broker.told().len()), (1, 2));
}

struct LeadCreated;

impl Event for LeadCreated {
    const TYPE: &'static str = "crm.lead.created";
    const SCHEMA_VERSION: &'static str = "2.0";
}

struct InvoicePaid;

impl Event for InvoicePaid {
    const TYPE: &'static str = "erp.invoice.paid";
}

#[tokio::test]
async fn what_the_rules_do_not_name_is_a_dead_letter() {
    let (mut connection, broker) = (database(), Broker::default());
    let inbox_config = inbox_config().accept::<LeadCreated>();
    let other = Envelope::builder("erp", RawEvent::new("erp.invoice.paid", b"{}"))
        .id(id("2"))
        .build()
        .unwrap();
    let current = RawEvent::new("crm.lead.created", b"{}").with_schema_version("2.0");
    let right = Envelope::builder("crm", current).id(id("3")).build().unwrap();
    for delivery in
        [broker.deliver("1"), Delivery::new(other, broker.clone()), broker.deliver("1")]
    {
        let handled =
            sqlite::process(&mut connection, delivery, &inbox_config, |_, _| {
                panic!("no effect of it")
            });
        assert!(matches!(handled, Ok(Handled::DeadLettered(_))), "{handled:?}");
    }
    let handled = sqlite::process(
        &mut connection,
        Delivery::new(right, broker.clone()),
        &inbox_config,
        |_, _| Ok(()),
    );
    assert!(matches!(handled, Ok(Handled::Processed(_))));
    let narrower =
        InboxConfig::new(WEEK, RetryPolicy::DEFAULT).unwrap().accept::<InvoicePaid>();
    let current = RawEvent::new("crm.lead.created", b"{}").with_schema_version("2.0");
    let right = Envelope::builder("crm", current).id(id("3")).build().unwrap();
    let handled = sqlite::process(
        &mut connection,
        Delivery::new(right, broker.clone()),
        &narrower,
        |_, _| Ok(()),
    );
    assert!(
        matches!(handled, Ok(Handled::Duplicate(_))),
        "what was processed under other rules was processed"
    );

    let dead = sqlite::dead_letters(&connection, &Filter::default(), 10).unwrap();
    let mut reasons: Vec<_> =
        dead.iter().map(|dead| dead.event.failure().unwrap().reason.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        [
            r#"unknown event type "erp.invoice.paid": this inbox takes in crm.lead.created"#,
            r#"unknown schema version "1.0" of crm.lead.created: this inbox takes in 2.0"#,
        ]
    );
    assert!(
        dead.iter()
            .all(|dead| dead.event.failure().unwrap().class == FailureClass::Permanent)
    );
}

#[tokio::test]
async fn what_was_processed_late_is_remembered_from_then_on() {
    let (mut connection, broker) = (database(), Broker::default());
    let inbox_config = inbox_config().retry_policy(at_once(3));
    let fails =
        |_: &Transaction<'_>, _: &Envelope<_>| Err(HandlerError::transient("locked"));
    let _again =
        sqlite::process(&mut connection, broker.deliver("1"), &inbox_config, fails)
            .unwrap();
    connection.execute("UPDATE inbox_event SET received_at = 0", []).unwrap();
    let _told =
        sqlite::process(&mut connection, broker.deliver("1"), &inbox_config, |_, _| {
            Ok(())
        })
        .unwrap();
    assert_eq!(
        sqlite::purge(&connection, &inbox_config, 10).unwrap(),
        0,
        "it was processed just now"
    );
    let handled =
        sqlite::process(&mut connection, broker.deliver("1"), &inbox_config, |_, _| {
            panic!("a second effect")
        });
    assert!(matches!(handled, Ok(Handled::Duplicate(_))));
}

#[tokio::test]
async fn an_effect_that_panics_is_counted() {
    let (mut connection, broker) = (database(), Broker::default());
    let inbox_config = inbox_config().retry_policy(at_once(2));
    for expected in ["RetryLater", "DeadLettered"] {
        let handled = sqlite::process(
            &mut connection,
            broker.deliver("1"),
            &inbox_config,
            |transaction, event| {
                effect(transaction, event);
                panic!("a bug in the effect (a test)")
            },
        );
        assert!(format!("{:?}", handled.unwrap()).starts_with(expected));
    }
    assert_eq!(effects(&connection), 0);
    let dead = sqlite::dead_letters(&connection, &Filter::default(), 10).unwrap();
    assert_eq!(
        dead[0].event.failure().unwrap().reason,
        "the handler panicked: a bug in the effect (a test)"
    );
}

#[tokio::test]
async fn a_broker_within_the_process_knows_what_was_sent_before() {
    let (broker, mut listener) = in_process(1);
    let first = event("1").dispatch();
    let (sent, ()) = tokio::join!(broker.send(&first), async {
        assert!(!listener.next().await.unwrap().unwrap().is_redelivered());
    });
    let AfterFailure::Retrying(again) = first.fail(sent.unwrap_err().to_string()) else {
        panic!("there is budget")
    };
    let again = again.dispatch();
    let (_, ()) = tokio::join!(broker.send(&again), async {
        assert!(listener.next().await.unwrap().unwrap().is_redelivered());
    });
}

/// All that is stored of an event, but its key and when it was received.
fn stored(connection: &Connection, id: &str) -> Vec<Value> {
    let mut statement =
        connection.prepare("SELECT * FROM inbox_event WHERE id = ?1").unwrap();
    let columns = 3..statement.column_count();
    statement
        .query_row([id], |row| columns.map(|column| row.get(column)).collect())
        .unwrap()
}

#[tokio::test]
async fn a_first_delivery_that_is_dropped_rolls_back_whatever_the_transaction_was_told() {
    let (mut connection, broker) = (database(), Broker::default());
    let mut transaction = begin(&mut connection);
    transaction.set_drop_behavior(rusqlite::DropBehavior::Commit);
    drop(sqlite::receive(transaction, broker.deliver("1"), &inbox_config()).unwrap());
    let receipt =
        sqlite::receive(begin(&mut connection), broker.deliver("1"), &inbox_config())
            .unwrap();
    assert!(matches!(receipt, Receipt::New(_)), "{receipt:?}");
}

#[tokio::test]
async fn every_change_and_every_duplicate_is_told_once() {
    let (mut connection, broker) = (database(), Broker::default());
    let told = Arc::new(Mutex::new(Vec::new()));
    let observer = Arc::clone(&told);
    let observer = move |record: &AuditRecord| {
        let actor = record.decision.as_ref().map(|decision| decision.by().to_owned());
        observer.lock().unwrap().push((
            record.event_id.to_string(),
            record.action,
            record.status,
            actor,
        ));
        Ok(())
    };
    let trail = AuditTrail::new("erp", Arc::new(observer));
    let inbox_config =
        inbox_config().retry_policy(at_once(2)).with_audit_trail(trail.clone());
    let fails =
        |_: &Transaction<'_>, _: &Envelope<_>| Err(HandlerError::transient("locked"));
    for text in ["1", "1", "2", "2"] {
        let works = |_: &Transaction<'_>, _: &Envelope<_>| Ok(());
        let _told = match text {
            "1" => sqlite::process(
                &mut connection,
                broker.deliver(text),
                &inbox_config,
                works,
            ),
            _ => sqlite::process(
                &mut connection,
                broker.deliver(text),
                &inbox_config,
                fails,
            ),
        }
        .unwrap();
    }
    let decision = || Decision::new("on-call", "the account exists now").unwrap();
    let again =
        sqlite::redrive(begin(&mut connection), &event("2"), decision(), &inbox_config)
            .unwrap()
            .unwrap();
    let _told = again.fail(HandlerError::permanent("no such account")).unwrap();
    assert!(sqlite::discard(&mut connection, &event("2"), decision(), &trail).unwrap());

    use integration_automation_patterns::DeliveryStatus::{
        Acknowledged, Failed, Pending, Processed, Retrying, Skipped,
    };
    let someone = || Some("on-call".to_owned());
    let expected = [
        ("1", Action::Process, Processed, None),
        ("1", Action::Duplicate, Acknowledged, None),
        ("2", Action::Fail, Retrying, None),
        ("2", Action::Fail, Failed, None),
        ("2", Action::Redrive, Pending, someone()),
        ("2", Action::Reject, Failed, None),
        ("2", Action::Discard, Skipped, someone()),
    ];
    let expected = expected
        .map(|(id, action, status, actor)| (id.to_owned(), action, status, actor));
    assert_eq!(*told.lock().unwrap(), expected);
}
