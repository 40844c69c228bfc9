//! Steps and replies, each in one transaction: the row, the journal, and what leaves.

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::Handled;
use integration_automation_patterns::workflow::{Begun, NotStoredError, StepError};
use integration_automation_patterns::{Envelope, Event, RawEvent};

use crate::chain::Chain as _;
use crate::orders::order_to_cash::{Any, at};
use crate::orders::*;
use crate::suite::*;

/// Protects the whole: each step is taken once, its command leaves once, and the end has
/// no deadline.
pub(crate) async fn an_order_goes_through_and_ends<D: Database>() {
    let database = D::fresh().await;
    assert_eq!(database.begin("1", 900, true).await, Begun::New);
    assert_eq!(database.begin("1", 900, true).await, Begun::AlreadyThere);
    for (command, reply) in [
        (ReserveCredit::TYPE, CreditReserved::TYPE),
        (HoldStock::TYPE, StockHeld::TYPE),
        (CreateOrder::TYPE, OrderCreated::TYPE),
        (IssueInvoice::TYPE, InvoiceIssued::TYPE),
    ] {
        answered(&database, command, Answer::Does, reply).await;
    }
    assert_eq!(stands(&database, "1").await, "completed");
    assert_eq!(journal(&database, "1").await, "started done done done done");
    assert_eq!(effects(&database, "1").await, "4");
    assert_eq!(sent(&database).await.len(), 8, "four commands and their replies");
    assert_eq!(database.clerk(config()).await.moved, 0);
    let command = last(&database, CreateOrder::TYPE).await;
    assert_eq!(command.payload().bytes(), b"900");
    let key = format!("order_to_cash/{}", id("1"));
    assert_eq!(command.ordering_key(), Some(key.as_str()));
}

/// Protects from a command without its instance.
pub(crate) async fn what_is_rolled_back_never_was<D: Database>() {
    let database = D::fresh().await;
    assert_eq!(database.begin("1", 900, false).await, Begun::New);
    assert!(database.load("1").await.unwrap().is_none());
    assert_eq!(sent(&database).await, [""; 0]);
    assert_eq!(database.begin("1", 900, true).await, Begun::New);
}

/// Protects from a reply that is taken twice, and from one that leaves no trace.
pub(crate) async fn a_reply_that_is_not_awaited_is_an_entry<D: Database>() {
    let database = D::fresh().await;
    let _ = database.begin("1", 900, true).await;
    answered(&database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE).await;
    let reply = last(&database, CreditReserved::TYPE).await;
    // Delivered again, it is a duplicate; answered again, it is late.
    let again = database.receive(delivery(&reply), config()).await;
    assert!(matches!(again, Handled::Duplicate(_)), "{again:?}");
    let command = last(&database, ReserveCredit::TYPE).await;
    let second = command.follow("participant", "again", reply.payload().clone());
    let second = Delivery::new(second.build().unwrap(), ());
    let late = database.receive(second, config()).await;
    assert!(matches!(late, Handled::Processed(_)), "{late:?}");
    assert_eq!(stands(&database, "1").await, "awaiting hold_stock");
    assert_eq!(journal(&database, "1").await, "started done late");
}

/// Protects from events that vanish: what answers nothing waits for a person.
pub(crate) async fn what_answers_nothing_is_a_dead_letter<D: Database>() {
    let database = D::fresh().await;
    let _ = database.begin("1", 900, true).await;
    let ours = last(&database, ReserveCredit::TYPE).await;
    let ours = ours.correlation_id().unwrap().to_owned();
    let other = format!("order_to_cash/{}/reserve_credit/do", event_id("2"));
    for (correlation, event_type) in [
        ("import-7", CreditReserved::TYPE),
        (&ours.replace("order_to_cash", "hiring"), CreditReserved::TYPE),
        (&other, CreditReserved::TYPE),
        (&ours.replace("reserve_credit", "reserve_cash"), CreditReserved::TYPE),
        (&ours, StockHeld::TYPE),
    ] {
        let reply = Envelope::builder("crm", RawEvent::new(event_type, b"{}"));
        let reply = reply.correlation_id(correlation).build().unwrap();
        let handled = database.receive(Delivery::new(reply, ()), config()).await;
        assert!(
            matches!(handled, Handled::DeadLettered(_)),
            "{correlation}: {handled:?}"
        );
    }
    assert_eq!(stands(&database, "1").await, "awaiting reserve_credit");
    assert_eq!(journal(&database, "1").await, "started");
}

/// Protects from two programs that have the same instance in hand.
pub(crate) async fn a_step_from_an_older_revision_is_overtaken<D: Database>() {
    let database = D::fresh().await;
    let _ = database.begin("1", 900, true).await;
    let done = async || {
        let Some(Any::Awaiting(at::Awaiting::reserve_credit(at))) =
            database.load("1").await.unwrap()
        else {
            panic!("it awaits the credit")
        };
        at.done(CreditReserved)
    };
    let (one, other) = (done().await, done().await);
    database.store(one.into()).await.unwrap();
    let overtaken = database.store(other.into()).await.unwrap_err();
    let StepError::NotStored(NotStoredError::Overtaken { wanted, found }) = overtaken
    else {
        panic!("{overtaken}")
    };
    assert_eq!((wanted, found), (1, 2));
    let unknown = database.store(first("2", 900)).await.unwrap_err();
    assert!(matches!(unknown, StepError::NotStored(NotStoredError::Overtaken { .. })));
    assert_eq!(sent(&database).await, [ReserveCredit::TYPE, HoldStock::TYPE]);
}

/// Protects from an instance that a hand has moved.
pub(crate) async fn a_row_that_no_step_led_to_is_refused<D: Database>() {
    for (change, refused) in [
        ("step = 'charge_card'", "was the step renamed or removed?"),
        ("version = 9", "wanted an instance of version 1, and found version 9"),
        (
            "fingerprint = '0123456789abcdef'",
            "the instance began under 0x0123456789abcdef",
        ),
        ("status = 'undoing', step = 'create_order'", "has no stage `undoing`"),
        ("level = 1, reminded = (1 = 1), for_nobody = (1 = 1)", "asks nobody"),
        ("step = 'notify_billing'", "wanted the approval `over_limit`"),
        ("requested_by = NULL", "wanted the person who began it as sales"),
    ] {
        let database = D::fresh().await;
        let _ = database.begin("1", 900, true).await;
        database.sql(&format!("UPDATE workflow_instance SET {change}")).await;
        let error = database.load("1").await.unwrap_err();
        assert!(error.contains(refused), "{change}: {error}");
    }
}

/// Protects whoever deploys a program before its tables from an error that does not say
/// what makes them.
pub(crate) async fn tables_that_are_missing_are_named_with_what_makes_them<
    D: Database,
>() {
    let database = D::fresh().await;
    database.sql("ALTER TABLE workflow_instance RENAME TO elsewhere").await;
    let refused = database.store(first("1", 900)).await.unwrap_err().chain();
    assert!(refused.contains("`install` makes the"), "{refused}");
    assert!(refused.contains("workflow_instance"), "{refused}");
}
