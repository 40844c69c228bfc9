//! Consumers of two versions beside one another: what the old one does not know, the new
//! one has its effect of.

use super::*;

fn old() -> InboxConfig {
    inbox_config().accept::<InvoicePaid>()
}

struct LeadCreatedFirst;

impl Event for LeadCreatedFirst {
    const TYPE: &'static str = "crm.lead.created";
}

fn new() -> InboxConfig {
    old().accept::<LeadCreatedFirst>().retry_policy(at_once(2))
}

#[test]
fn a_kind_that_was_unknown_is_a_first_delivery_to_whoever_knows_it() {
    let other_version = || inbox_config().accept::<LeadCreated>();
    for (old, again) in
        [(old(), false), (old(), true), (other_version(), false), (other_version(), true)]
    {
        let (mut connection, broker) = (database(), Broker::default());
        let dead = sqlite::process(&mut connection, broker.deliver("1"), &old, |_, _| {
            panic!("it is unknown")
        });
        assert!(matches!(dead, Ok(Handled::DeadLettered(_))), "{dead:?}");
        let delivery = broker.deliver("1").redelivered(again);
        let handled =
            sqlite::process(&mut connection, delivery, &new(), |transaction, event| {
                assert_eq!((event.attempts(), event.failure()), (1, None));
                effect(transaction, event);
                Ok(())
            });
        assert!(matches!(handled, Ok(Handled::Processed(_))), "{handled:?}");
        for inbox_config in [new(), old] {
            let handled = sqlite::process(
                &mut connection,
                broker.deliver("1"),
                &inbox_config,
                |_, _| panic!("a second"),
            );
            assert!(matches!(handled, Ok(Handled::Duplicate(_))), "{handled:?}");
        }
        assert_eq!(effects(&connection), 1);
    }
}

#[test]
fn the_effect_of_what_was_unknown_has_its_attempts() {
    let (mut connection, broker) = (database(), Broker::default());
    let _dead = sqlite::process(&mut connection, broker.deliver("1"), &old(), |_, _| {
        panic!("unknown")
    })
    .unwrap();
    for (attempt, becomes) in [(1, "RetryLater"), (2, "DeadLettered")] {
        let handled =
            sqlite::process(&mut connection, broker.deliver("1"), &new(), |_, event| {
                assert_eq!(event.attempts(), attempt);
                Err(HandlerError::transient("unknown event type"))
            });
        assert!(format!("{handled:?}").contains(becomes), "{handled:?}");
    }
    let handled =
        sqlite::process(&mut connection, broker.deliver("1"), &new(), |_, _| {
            panic!("it is dead")
        });
    assert!(
        matches!(handled, Ok(Handled::Duplicate(_))),
        "a verdict of its effect is final: {handled:?}"
    );
}

#[test]
fn what_a_person_has_discarded_stays_so_where_it_is_known_later() {
    let (mut connection, broker) = (database(), Broker::default());
    let _dead = sqlite::process(&mut connection, broker.deliver("1"), &old(), |_, _| {
        panic!("unknown")
    })
    .unwrap();
    let decision = Decision::new("on-call", "not for us").unwrap();
    assert!(
        sqlite::discard(&mut connection, &event("1"), decision, &AuditTrail::silent())
            .unwrap()
    );
    let handled =
        sqlite::process(&mut connection, broker.deliver("1"), &new(), |_, _| {
            panic!("discarded")
        });
    assert!(matches!(handled, Ok(Handled::Duplicate(_))), "{handled:?}");
}

#[tokio::test]
async fn what_is_unknown_can_be_left_to_the_new_consumer() {
    let (mut connection, broker, wait) =
        (database(), Broker::default(), Duration::from_secs(5));
    let told = Arc::new(Mutex::new(Vec::new()));
    let observer = Arc::clone(&told);
    let observer = move |record: &AuditRecord| {
        observer.lock().unwrap().push(record.action);
        Ok(())
    };
    let left = old()
        .leave_unknown(wait)
        .with_audit_trail(AuditTrail::new("erp", Arc::new(observer)));
    for delivery in [broker.deliver("1"), broker.deliver_again("1")] {
        let handled = sqlite::process(&mut connection, delivery, &left, |_, _| {
            panic!("it is unknown")
        });
        handled.unwrap().settle().await.unwrap();
    }
    assert_eq!(broker.told(), [Told::Retry(wait), Told::Retry(wait)]);
    assert_eq!(*told.lock().unwrap(), [Action::Release, Action::Release]);
    assert_eq!(failure_of(&connection, "1"), None, "nothing is decided");

    let receipt =
        sqlite::receive(begin(&mut connection), broker.deliver("1"), &left).unwrap();
    assert!(
        matches!(&receipt, Receipt::RetryLater(again) if again.after() == wait),
        "{receipt:?}"
    );
    drop(receipt);
    let _dead = sqlite::process(&mut connection, broker.deliver("1"), &old(), |_, _| {
        panic!("unknown")
    })
    .unwrap();
    let handled = sqlite::process(&mut connection, broker.deliver("1"), &left, |_, _| {
        panic!("it is unknown")
    });
    assert!(
        matches!(handled, Ok(Handled::RetryLater(_))),
        "nor is it by one that did decide: {handled:?}"
    );
    let handled =
        sqlite::process(&mut connection, broker.deliver("1"), &new(), |_, _| Ok(()));
    assert!(matches!(handled, Ok(Handled::Processed(_))), "{handled:?}");
    let handled = sqlite::process(&mut connection, broker.deliver("1"), &left, |_, _| {
        panic!("it is unknown")
    });
    assert!(
        matches!(handled, Ok(Handled::Duplicate(_))),
        "what was had is not left: {handled:?}"
    );
}
