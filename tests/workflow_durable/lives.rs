//! A business key is for one life: what an instance that was purged has sent is never
//! taken for what another one of its key sends.

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::{Handled, HandlerError};
use integration_automation_patterns::workflow::{Begun, NotStoredError, StepError};
use integration_automation_patterns::{Envelope, Event, EventId, FailureClass, RawEvent};

use crate::desk::AtADesk;
use crate::orders::order_to_cash::{Any, at};
use crate::orders::*;
use crate::suite::*;

/// An order that has held its stock in vain, is undone, and is purged.
async fn a_life<D: AtADesk>(database: &D, key: &str) {
    let _ = database.begin(key, 900, true).await;
    answered(database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE).await;
    answered(database, HoldStock::TYPE, Answer::Refuses, StockRefused::TYPE).await;
    answered(database, ReleaseCredit::TYPE, Answer::Does, CreditReleased::TYPE).await;
    assert_eq!(stands(database, key).await, "undone");
    database.pass_time(2 * DAY).await;
    assert_eq!(database.purge(DAY, 10).await, 1);
}

async fn at_its_credit<D: Database>(
    database: &D,
    key: &str,
) -> integration_automation_patterns::workflow::AnyAdvance<order_to_cash::This> {
    match database.load(key).await.unwrap() {
        Some(Any::Awaiting(at::Awaiting::reserve_credit(at))) => {
            at.done(CreditReserved).into()
        }
        other => panic!("it awaits the credit: {}", other.is_some()),
    }
}

fn earlier(refused: StepError) -> EventId {
    let text = refused.to_string();
    let StepError::NotStored(NotStoredError::EarlierLife { event }) = refused else {
        panic!("{text}")
    };
    assert!(text.contains(&event.to_string()) && text.contains("another key"), "{text}");
    event
}

/// Protects from an instance that waits for a command which never leaves, and whose undo
/// then takes back what the first life has achieved.
pub(crate) async fn a_key_is_for_one_life<D: AtADesk>() {
    let database = D::fresh().await;
    a_life(&database, "1").await;
    let leaves = sent(&database).await;
    let first = last(&database, ReserveCredit::TYPE).await;
    let refused = database.try_begin("1", 900, true).await.unwrap_err();
    assert_eq!(earlier(refused), *first.id());
    // So is it in the handler of a consumer that begins one.
    let refused = database.try_begin("1", 900, true).await.unwrap_err();
    assert_eq!(HandlerError::from(refused).class, FailureClass::Permanent);
    assert!(database.load("1").await.unwrap().is_none(), "nothing is stored");
    assert_eq!(sent(&database).await, leaves, "nothing leaves");
    assert_eq!(journal(&database, "1").await, "");
    assert_eq!(database.begin("2", 900, true).await, Begun::New);

    database.sql("DELETE FROM outbox_event").await;
    assert_eq!(database.begin("1", 900, true).await, Begun::New);
    assert_eq!(sent(&database).await, [ReserveCredit::TYPE]);
}

/// Protects from the same where the outbox was purged in part.
pub(crate) async fn a_step_does_not_take_the_event_of_an_earlier_life_for_its_own<
    D: AtADesk,
>() {
    let database = D::fresh().await;
    a_life(&database, "1").await;
    let first = last(&database, ReserveCredit::TYPE).await;
    let purged = format!("DELETE FROM outbox_event WHERE id = '{}'", first.id());
    database.sql(&purged).await;
    assert_eq!(database.begin("1", 900, true).await, Begun::New);
    let hold = last(&database, HoldStock::TYPE).await;
    let step = at_its_credit(&database, "1").await;
    let refused = database.store(step).await.unwrap_err();
    assert_eq!(earlier(refused), *hold.id());
    assert_eq!(stands(&database, "1").await, "awaiting reserve_credit");
    assert_eq!(journal(&database, "1").await, "started");

    // Its reply is a dead letter at once, and says what to do: it is no trouble that passes.
    let to = last(&database, ReserveCredit::TYPE).await;
    let reply = Envelope::builder("crm", RawEvent::new(CreditReserved::TYPE, b"{}"));
    let reply = reply.correlation_id(to.correlation_id().unwrap()).build().unwrap();
    let handled = database.receive(Delivery::new(reply, ()), config()).await;
    assert!(matches!(handled, Handled::DeadLettered(_)), "{handled:?}");
    let found = database.look(&event_id("1")).await.unwrap().instance;
    let [dead] = &found.dead_replies[..] else { panic!("{found:?}") };
    assert!(dead.failure.contains("begin under another key"), "{dead}");
}

/// Protects an instance from standing still for good where a newer table, or a hand, leads
/// it to a step that it has asked for before.
pub(crate) async fn an_event_of_the_same_life_does_not_leave_twice<D: Database>() {
    let database = D::fresh().await;
    let _ = database.begin("1", 900, true).await;
    let reserve = last(&database, ReserveCredit::TYPE).await;
    answered(&database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE).await;
    let back = format!(
        "UPDATE workflow_instance SET step = 'reserve_credit', awaits = '{}'",
        reserve.id()
    );
    database.sql(&back).await;
    let leaves = sent(&database).await;
    database.store(at_its_credit(&database, "1").await).await.unwrap();
    assert_eq!(stands(&database, "1").await, "awaiting hold_stock");
    assert_eq!(sent(&database).await, leaves);
}
