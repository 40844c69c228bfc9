//! Consumers of two versions beside one another: what the old one does not know, the new
//! one has its effect of.

use super::*;

struct LeadCreated;

impl Event for LeadCreated {
    const TYPE: &'static str = "crm.lead.created";
}

fn old() -> InboxConfig {
    inbox_config().accept::<LeadMerged>()
}

fn new() -> InboxConfig {
    at_once(2).accept::<LeadMerged>().accept::<LeadCreated>()
}

/// A dead letter of a kind that was unknown is no verdict: to a consumer that knows it,
/// it is a first delivery.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_kind_that_was_unknown_is_a_first_delivery_to_whoever_knows_it() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    for again in [false, true] {
        let id = again.to_string();
        assert!(matches!(
            have_effect(&mut client, &id, &old(), Ok(())).await,
            Handled::DeadLettered(_)
        ));
        let (delivered, inbox_config) = (delivery(&id).redelivered(again), new());
        let handled = inbox::postgres::process(
            &mut client,
            delivered,
            &inbox_config,
            async |transaction, event| {
                assert_eq!((event.attempts(), event.failure()), (1, None));
                transaction
                    .execute("INSERT INTO effect VALUES ($1)", &[&event.id().to_string()])
                    .await?;
                Ok(())
            },
        );
        assert!(matches!(handled.await.unwrap(), Handled::Processed(_)));
        for inbox_config in [new(), old()] {
            assert!(matches!(
                have_effect(&mut client, &id, &inbox_config, Ok(())).await,
                Handled::Duplicate(_)
            ));
        }
    }
    assert_eq!(database.value("SELECT count(*) FROM effect").await, 2);

    for becomes in ["RetryLater", "DeadLettered", "Duplicate"] {
        if becomes == "RetryLater" {
            assert!(matches!(
                have_effect(&mut client, "c", &old(), Ok(())).await,
                Handled::DeadLettered(_)
            ));
        }
        let handled = have_effect(
            &mut client,
            "c",
            &new(),
            Err(HandlerError::transient("unknown event type")),
        )
        .await;
        assert!(
            format!("{handled:?}").starts_with(becomes),
            "a verdict of its effect is final: {handled:?}"
        );
    }
}

/// The old consumer can leave it to the new one, and then decides nothing.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_is_unknown_can_be_left_to_the_new_consumer() {
    let database = with_inbox().await;
    let (mut client, wait) = (database.session().await, Duration::from_secs(5));
    let left = old().leave_unknown(wait);
    for delivered in [delivery("a"), redelivery("a")] {
        let handled = have_effect_of(&mut client, delivered, &left, Ok(())).await;
        assert!(
            matches!(&handled, Handled::RetryLater(again) if again.after() == wait),
            "{handled:?}"
        );
    }
    let receipt = inbox::postgres::receive(
        client.transaction().await.unwrap(),
        delivery("a"),
        &left,
    )
    .await
    .unwrap();
    assert!(
        matches!(&receipt, Receipt::RetryLater(again) if again.after() == wait),
        "{receipt:?}"
    );
    drop(receipt);
    assert_eq!(database.value("SELECT count(*) FROM inbox_event").await, 0);
    let unindexable = "long".repeat(2000);
    assert!(
        matches!(
            have_effect(&mut client, &unindexable, &left, Ok(())).await,
            Handled::DeadLettered(_)
        ),
        "for good"
    );
    assert!(matches!(
        have_effect(&mut client, "a", &new(), Ok(())).await,
        Handled::Processed(_)
    ));
    assert!(matches!(
        have_effect(&mut client, "a", &left, Ok(())).await,
        Handled::Duplicate(_)
    ));
}
