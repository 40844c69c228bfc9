//! What people ask of an inbox, and decide: counts, dead letters, what waits for a
//! delivery that never comes, retention.

use super::*;
use crate::chain::Chain as _;
use integration_automation_patterns::DeliveryStatus::{
    Failed, Processed, Retrying, Skipped,
};

fn decision() -> Decision {
    Decision::new("on-call", "the account exists now").unwrap()
}

fn fails(connection: &mut Connection, id: &str, fault: HandlerError) {
    let _told = sqlite::process(
        connection,
        Broker::default().deliver(id),
        &inbox_config(),
        |_, _| Err(fault),
    )
    .unwrap();
}

#[tokio::test]
async fn a_person_takes_a_dead_letter_up_again_or_gives_it_up() {
    let (mut connection, broker) = (database(), Broker::default());
    for text in ["1", "2"] {
        let fault = |_: &Transaction<'_>, _: &Envelope<_>| {
            Err(HandlerError::permanent("no such account"))
        };
        let _dead = sqlite::process(
            &mut connection,
            broker.deliver(text),
            &inbox_config(),
            fault,
        )
        .unwrap();
    }
    let again =
        sqlite::redrive(begin(&mut connection), &event("1"), decision(), &inbox_config())
            .unwrap()
            .unwrap();
    assert_eq!(
        (again.event().attempts(), again.event().redriven().map(Decision::by)),
        (1, Some("on-call"))
    );
    effect(again.transaction(), again.event());
    let _no_broker_waits = again.commit().unwrap();
    assert_eq!(effects(&connection), 1);

    assert!(
        sqlite::discard(&mut connection, &event("2"), decision(), &AuditTrail::silent())
            .unwrap()
    );
    assert!(
        !sqlite::discard(&mut connection, &event("2"), decision(), &AuditTrail::silent())
            .unwrap(),
        "once"
    );
    assert!(
        sqlite::redrive(begin(&mut connection), &event("2"), decision(), &inbox_config())
            .unwrap()
            .is_none()
    );
    assert_eq!(
        sqlite::dead_letters(&connection, &Filter::default(), 10).unwrap().len(),
        0
    );
}

/// Its broker has dropped it, by a limit of its own: no delivery ever ends it.
fn stall(connection: &mut Connection, id: &str) {
    fails(connection, id, HandlerError::transient("locked"));
    connection
        .execute(
            "UPDATE inbox_event SET received_at = received_at - 100000000 WHERE id = ?1",
            [id],
        )
        .unwrap();
}

#[test]
fn what_its_broker_has_dropped_is_counted_and_listed() {
    let mut connection = database();
    for id in ["dropped", "dropped too"] {
        stall(&mut connection, id);
    }
    fails(&mut connection, "young", HandlerError::transient("locked"));
    fails(&mut connection, "dead", HandlerError::permanent("no such account"));
    connection
        .execute("UPDATE inbox_event SET received_at = 0 WHERE id = 'dead'", [])
        .unwrap();
    let _told = sqlite::process(
        &mut connection,
        Broker::default().deliver("had"),
        &inbox_config(),
        |_, _| Ok(()),
    )
    .unwrap();

    let horizon = RetryPolicy::DEFAULT.horizon();
    let counts = sqlite::counts(&connection, horizon).unwrap();
    assert_eq!(
        [Processed, Retrying, Failed, Skipped].map(|status| counts.of(status)),
        [1, 3, 1, 0]
    );
    assert_eq!(
        counts.stalled, 2,
        "what may yet come is not among them, nor is the dead letter"
    );

    let listed = |filter: &Filter, limit| {
        let stalled = sqlite::stalled(&connection, filter, horizon, limit).unwrap();
        stalled.iter().map(|stalled| stalled.event.id().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed(&Filter::default(), 10), ["dropped", "dropped too"]);
    assert_eq!(listed(&Filter::default(), 1), ["dropped"], "the oldest first");
    assert_eq!(listed(&Filter::id(id("dropped too")), 10), ["dropped too"]);
    let other =
        Filter { reason_contains: Some("refused".to_owned()), ..Filter::default() };
    assert!(listed(&other, 10).is_empty());
    let found = sqlite::stalled(&connection, &Filter::default(), horizon, 1).unwrap();
    assert_eq!(
        found[0].event.failure().map(|failure| failure.reason.as_str()),
        Some("locked")
    );
    assert_eq!(found[0].event.payload().bytes(), b"dropped", "with its payload");
}

#[test]
fn what_its_broker_has_dropped_is_redriven_or_discarded() {
    let mut connection = database();
    for id in ["1", "2", "3"] {
        stall(&mut connection, id);
    }
    let again =
        sqlite::redrive(begin(&mut connection), &event("1"), decision(), &inbox_config())
            .unwrap()
            .unwrap();
    assert_eq!(
        (again.event().attempts(), again.event().redriven().map(Decision::by)),
        (1, Some("on-call"))
    );
    effect(again.transaction(), again.event());
    let _no_broker_waits = again.commit().unwrap();
    assert!(
        sqlite::discard(&mut connection, &event("2"), decision(), &AuditTrail::silent())
            .unwrap()
    );
    let again =
        sqlite::redrive(begin(&mut connection), &event("3"), decision(), &inbox_config())
            .unwrap()
            .unwrap();
    assert!(matches!(
        again.fail(HandlerError::permanent("no such account")),
        Ok(Handled::DeadLettered(_))
    ));

    let counts = sqlite::counts(&connection, Duration::ZERO).unwrap();
    assert_eq!(
        [Processed, Retrying, Failed, Skipped].map(|status| counts.of(status)),
        [1, 0, 1, 1]
    );
    assert!(
        sqlite::stalled(&connection, &Filter::default(), Duration::ZERO, 10)
            .unwrap()
            .is_empty()
    );
    for id in ["1", "2", "3"] {
        let late = sqlite::process(
            &mut connection,
            Broker::default().deliver(id),
            &inbox_config(),
            |_, _| panic!("{id}"),
        );
        assert!(
            matches!(late, Ok(Handled::Duplicate(_))),
            "the broker had not dropped it after all: {late:?}"
        );
    }
    assert_eq!(effects(&connection), 1);
}

#[test]
fn what_is_remembered_of_an_event_is_told_in_each_state() {
    let mut connection = database();
    let got = |connection: &Connection, text| {
        let remembered = sqlite::get(connection, "crm", &id(text)).unwrap()?;
        let event = remembered.event.map(|event| event.payload().bytes().to_vec());
        Some((remembered.status, remembered.attempts, event))
    };
    for text in ["had", "dead", "given up"] {
        fails(&mut connection, text, HandlerError::transient("locked"));
    }
    let works = |_: &Transaction<'_>, _: &Envelope<_>| Ok(());
    let delivery = Broker::default().deliver("had");
    let _told =
        sqlite::process(&mut connection, delivery, &inbox_config(), works).unwrap();
    fails(&mut connection, "dead", HandlerError::permanent("no such account"));
    let silent = AuditTrail::silent();
    assert!(
        sqlite::discard(&mut connection, &event("given up"), decision(), &silent)
            .unwrap()
    );
    fails(&mut connection, "again", HandlerError::transient("locked"));

    assert_eq!(got(&connection, "had"), Some((Processed, 2, None)));
    assert_eq!(got(&connection, "again"), Some((Retrying, 1, Some(b"again".to_vec()))));
    assert_eq!(got(&connection, "dead"), Some((Failed, 2, Some(b"dead".to_vec()))));
    assert_eq!(
        got(&connection, "given up"),
        Some((Skipped, 1, Some(Vec::new()))),
        "without its payload"
    );
    assert_eq!(got(&connection, "never came"), None);
    let elsewhere = sqlite::get(&connection, "erp", &id("had")).unwrap();
    assert!(elsewhere.is_none(), "an event is known by its source and id");
}

#[tokio::test]
async fn what_is_older_than_the_window_is_forgotten() {
    let (mut connection, broker) = (database(), Broker::default());
    for text in ["1", "2", "3"] {
        let _told = sqlite::process(
            &mut connection,
            broker.deliver(text),
            &inbox_config(),
            |_, _| Ok(()),
        )
        .unwrap();
    }
    let fault = |_: &Transaction<'_>, _: &Envelope<_>| {
        Err(HandlerError::permanent("no such account"))
    };
    let _dead =
        sqlite::process(&mut connection, broker.deliver("dead"), &inbox_config(), fault)
            .unwrap();
    assert_eq!(sqlite::purge(&connection, &inbox_config(), 100).unwrap(), 0);
    connection
        .execute("UPDATE inbox_event SET received_at = 0 WHERE id <> '3'", [])
        .unwrap();
    assert_eq!(sqlite::purge(&connection, &inbox_config(), 1).unwrap(), 1, "in batches");
    assert_eq!(sqlite::purge(&connection, &inbox_config(), 100).unwrap(), 1);
    let left: i64 = connection
        .query_row("SELECT count(*) FROM inbox_event", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 2, "what is young, and the dead letter");
}

/// What it did would stand alone: a redrive that is dropped would not be taken back.
#[test]
fn a_redrive_in_a_transaction_that_has_ended_is_refused() {
    let mut connection = database();
    fails(&mut connection, "1", HandlerError::permanent("no such account"));
    let transaction = begin(&mut connection);
    transaction.execute_batch("COMMIT").unwrap();
    let refused = sqlite::redrive(transaction, &event("1"), decision(), &inbox_config())
        .unwrap_err()
        .chain();
    assert!(refused.contains("the transaction has ended already"), "{refused}");
    assert_eq!(
        sqlite::dead_letters(&connection, &Filter::default(), 10).unwrap().len(),
        1
    );
}

/// Nothing but a moment of the calendar, and a number of attempts: whatever writes the
/// row.
#[test]
fn a_row_of_no_time_or_number_is_refused() {
    let mut connection = database();
    for (id, created_at) in
        [("early", "0000-01-01T00:00:00Z"), ("late", "9999-12-31T23:59:59.999999Z")]
    {
        let created_at = created_at.parse().unwrap();
        let record = integration_automation_patterns::Record {
            created_at,
            ..event(id).to_record()
        };
        let event = Envelope::try_from(record.rehydrate().unwrap()).unwrap();
        let delivery = Delivery::new(event, Broker::default());
        let fault = |_: &Transaction<'_>, _: &Envelope<_>| {
            Err(HandlerError::permanent("no such account"))
        };
        let dead = sqlite::process(&mut connection, delivery, &inbox_config(), fault);
        assert!(
            matches!(dead, Ok(Handled::DeadLettered(_))),
            "whatever is an event is kept: {dead:?}"
        );
    }
    for row in [
        "received_at = 9223372036854775807",
        "created_at = -9223372036854775808",
        "failed_at = 9223372036854775807",
        "redriven_at = 9223372036854775807",
        "discarded_at = 9223372036854775807",
        "attempts = -1",
        "attempts = 4294967296",
    ] {
        let refused = connection
            .execute(&format!("UPDATE inbox_event SET {row}"), [])
            .unwrap_err()
            .chain();
        assert!(refused.contains("CHECK constraint failed"), "{row}: {refused}");
    }
}

/// Protects an operator from rows that no list shows: plain SQL may write anything.
#[test]
fn what_is_no_event_is_listed_with_the_reason() {
    let mut connection = database();
    let broker = Broker::default();
    for (id, error) in [
        ("1", HandlerError::permanent("no such country")),
        ("2", HandlerError::transient("locked")),
        ("3", HandlerError::transient("locked")),
        ("4", HandlerError::transient("locked")),
    ] {
        let delivery = broker.deliver(id);
        let config = inbox_config();
        let _ = sqlite::process(&mut connection, delivery, &config, |_, _| Err(error));
    }
    let everything = Filter::default();
    assert_eq!(sqlite::unreadable(&connection, &everything).unwrap(), []);
    let torn = "UPDATE inbox_event SET retry_policy = 'often' WHERE id IN ('1', '2'); \
                UPDATE inbox_event SET due_at = received_at, failure_reason = NULL \
                WHERE id = '3'";
    connection.execute_batch(torn).unwrap();
    let found = sqlite::unreadable(&connection, &everything).unwrap();
    let said = |one: &integration_automation_patterns::inbox::Unreadable| {
        (one.source_system.clone(), one.id.clone(), one.reason.contains("policy"))
    };
    let mut found: Vec<_> = found.iter().map(said).collect();
    found.sort();
    let crm = |id: &str, policy| ("crm".to_owned(), id.to_owned(), policy);
    assert_eq!(found, [crm("1", true), crm("2", true), crm("3", false)]);
    let one = Filter::id(id("2"));
    assert_eq!(sqlite::unreadable(&connection, &one).unwrap().len(), 1);
}

/// Protects an operator from rows that are no event, and hide those that are.
#[test]
fn rows_that_are_no_event_hide_no_others() {
    let mut connection = database();
    let broker = Broker::default();
    for id in ["1", "2", "3", "4"] {
        let refused = HandlerError::permanent("no such country");
        let delivery = broker.deliver(id);
        let handled =
            sqlite::process(&mut connection, delivery, &inbox_config(), |_, _| {
                Err(refused)
            });
        assert!(matches!(handled.unwrap(), Handled::DeadLettered(_)));
    }
    let torn =
        "UPDATE inbox_event SET retry_policy = 'often' WHERE id IN ('1', '2', '3')";
    connection.execute_batch(torn).unwrap();
    let listed = sqlite::dead_letters(&connection, &Filter::default(), 1).unwrap();
    let listed: Vec<_> = listed.iter().map(|letter| letter.event.id()).collect();
    assert_eq!(listed, [&id("4")]);
}
