//! `process` and `receive` know no order: an event that names another is handled as it
//! comes, and what a worker holds is not theirs.

use super::*;

#[test]
fn an_event_that_names_another_is_handled_as_it_comes() {
    let (mut connection, broker) = (database(), Broker::default());
    let early = event("2");
    let early = Envelope::builder("crm", early.payload().clone())
        .id(early.id().clone())
        .ordering_key("lead-7")
        .tag("keyafter", "1");
    let delivery = Delivery::new(early.build().unwrap(), broker);
    let handled =
        sqlite::process(&mut connection, delivery, &inbox_config(), |tx, event| {
            effect(tx, event);
            Ok(())
        });
    assert!(matches!(handled, Ok(Handled::Processed(_))), "{handled:?}");
    assert_eq!(effects(&connection), 1);
}

#[test]
fn what_a_worker_holds_is_a_duplicate_to_everybody_else() {
    let (mut connection, broker) = (database(), Broker::default());
    let config = inbox_config().retry_policy(at_once(5));
    let failed =
        sqlite::process(&mut connection, broker.deliver("1"), &config, |_, _| {
            Err(HandlerError::transient("locked"))
        });
    assert!(matches!(failed, Ok(Handled::RetryLater(_))), "{failed:?}");
    connection.execute_batch("UPDATE inbox_event SET due_at = 0").unwrap();
    for delivery in [broker.deliver("1"), broker.deliver_again("1")] {
        let handled = sqlite::process(&mut connection, delivery, &config, |_, _| {
            panic!("it is the worker's to handle")
        });
        assert!(matches!(handled, Ok(Handled::Duplicate(_))), "{handled:?}");
    }
    let receipt = sqlite::receive(begin(&mut connection), broker.deliver("1"), &config);
    assert!(matches!(receipt, Ok(Receipt::Duplicate(_))), "{receipt:?}");
    drop(receipt);
    assert_eq!(
        failure_of(&connection, "1"),
        Some(("retrying".into(), 1, "locked".into()))
    );
}

/// Protects an event that is held through a long outage from waiting for one that was
/// handled, and is forgotten.
#[test]
fn what_a_held_event_waits_for_is_not_purged() {
    let (mut connection, broker) = (database(), Broker::default());
    let config = inbox_config();
    let handled =
        sqlite::process(&mut connection, broker.deliver("1"), &config, |_, _| Ok(()));
    assert!(matches!(handled, Ok(Handled::Processed(_))), "{handled:?}");
    let held = "UPDATE inbox_event SET received_at = 0; \
         INSERT INTO inbox_event (source_system, id, received_at, status, attempts, \
         held_after, due_at) VALUES ('crm', '2', 0, 'retrying', 1, '1', 0)";
    connection.execute_batch(held).unwrap();
    assert_eq!(sqlite::purge(&connection, &config, 10).unwrap(), 0);
    connection
        .execute_batch("UPDATE inbox_event SET status = 'processed' WHERE id = '2'")
        .unwrap();
    assert_eq!(sqlite::purge(&connection, &config, 10).unwrap(), 2);
}
