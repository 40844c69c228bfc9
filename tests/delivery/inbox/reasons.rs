//! Why an event is a dead letter, with every cause of it.

use std::fmt;

use super::*;

#[derive(Debug)]
struct Refused(rusqlite::Error);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the account was not opened")
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn a_fault_is_told_with_every_cause() {
    let mut connection = database();
    connection
        .execute_batch(
            "CREATE TABLE account (name TEXT NOT NULL, sum INTEGER CHECK (sum >= 0))",
        )
        .unwrap();
    let recorded = Arc::new(Mutex::new(String::new()));
    let observer = Arc::clone(&recorded);
    let observer = move |record: &AuditRecord| {
        let failure = record.failure.as_ref().ok_or("no failure on record")?;
        observer.lock().unwrap().clone_from(&failure.reason);
        Ok(())
    };
    let trail = AuditTrail::new("erp", Arc::new(observer));
    let inbox_config =
        inbox_config().retry_policy(at_once(1)).with_audit_trail(trail.clone());
    for (sql, cause) in [
        (
            "INSERT INTO account VALUES (NULL, 1)",
            "NOT NULL constraint failed: account.name",
        ),
        ("INSERT INTO account VALUES ('Ada', -1)", "CHECK constraint failed: sum >= 0"),
        ("INSERT INTO acount VALUES ('Ada', 1)", "no such table: acount"),
    ] {
        let handled = sqlite::process(
            &mut connection,
            Broker::default().deliver(sql),
            &inbox_config,
            |transaction, _| {
                transaction.execute(sql, []).map_err(Refused)?;
                Ok(())
            },
        );
        assert!(matches!(handled, Ok(Handled::DeadLettered(_))), "{handled:?}");
        let (_, _, reason) = failure_of(&connection, sql).unwrap();
        assert!(
            reason.starts_with("the account was not opened: ") && reason.contains(cause),
            "{reason}"
        );
        let filter = Filter { id: Some(id(sql)), ..Filter::default() };
        let letters = sqlite::dead_letters(&connection, &filter, 10).unwrap();
        assert_eq!(letters[0].event.failure().unwrap().reason, reason);
        assert_eq!(*recorded.lock().unwrap(), reason);
    }
    assert_eq!(trail.lost(), 0);
}

struct LeadCreatedBefore;

impl Event for LeadCreatedBefore {
    const TYPE: &'static str = "crm.lead.created";
    const SCHEMA_VERSION: &'static str = "2.1";
}

#[test]
fn a_refusal_lists_a_type_once() {
    let mut connection = database();
    let inbox_config = inbox_config()
        .accept::<LeadCreated>()
        .accept::<LeadCreatedBefore>()
        .accept::<InvoicePaid>();
    let other = Envelope::builder("erp", RawEvent::new("erp.order.placed", b"{}"))
        .id(id("1"))
        .build()
        .unwrap();
    for delivery in
        [Delivery::new(other, Broker::default()), Broker::default().deliver("2")]
    {
        let _dead = sqlite::process(&mut connection, delivery, &inbox_config, |_, _| {
            panic!("no effect of it")
        })
        .unwrap();
    }
    let reason = |id| failure_of(&connection, id).unwrap().2;
    assert_eq!(
        reason("1"),
        r#"unknown event type "erp.order.placed": this inbox takes in crm.lead.created, erp.invoice.paid"#
    );
    assert_eq!(
        reason("2"),
        r#"unknown schema version "1.0" of crm.lead.created: this inbox takes in 2.0, 2.1"#
    );
}

#[cfg(feature = "cloudevents")]
#[test]
fn a_message_that_is_no_event_says_why_and_is_left_to_nobody() {
    use integration_automation_patterns::broker::{MessageOrigin, read_message};
    use integration_automation_patterns::cloudevents::Binding;

    let mut connection = database();
    let found = MessageOrigin { place: "orders", position: "17", at: chrono::Utc::now() };
    let message =
        || read_message(Binding::Nats, [("ce-id", "1")], b"hello".to_vec(), &found);
    let inbox_config = inbox_config().accept::<LeadCreated>().leave_unknown(WEEK);
    let delivery = Delivery::new(message(), Broker::default());
    let dead = sqlite::process(&mut connection, delivery, &inbox_config, |_, _| {
        panic!("no effect of it")
    });
    assert!(matches!(dead, Ok(Handled::DeadLettered(_))), "{dead:?}");
    let (_, _, reason) = failure_of(&connection, &message().id().to_string()).unwrap();
    assert!(
        reason.contains(
            "a CloudEvent has the attribute specversion, and this message has none"
        ),
        "{reason}"
    );
}

/// A lock within a program is as little the event's doing as that of another program.
#[test]
fn a_locked_table_spends_no_attempt() {
    let mut connection = database();
    for code in [rusqlite::ffi::SQLITE_BUSY, rusqlite::ffi::SQLITE_LOCKED] {
        let locked = |_: &Transaction<'_>, _: &Envelope<_>| {
            Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
                .into())
        };
        assert!(
            sqlite::process(
                &mut connection,
                Broker::default().deliver("1"),
                &inbox_config(),
                locked
            )
            .is_err()
        );
        assert_eq!(failure_of(&connection, "1"), None);
    }
}
