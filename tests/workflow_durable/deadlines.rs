//! Deadlines, and what a participant or a person says of a step that did not answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use integration_automation_patterns::Event;
use integration_automation_patterns::inbox::Handled;
use integration_automation_patterns::workflow::{
    AnyRuling, Calendar, Choice, EveryHour, Forestall, Forestalled,
};

use crate::orders::*;
use crate::suite::*;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Protects the customer's credit from a step whose answer was lost: it may have happened,
/// and so it is undone.
pub(crate) async fn a_deadline_undoes_what_may_have_happened<D: Database>() {
    let database = D::fresh().await;
    let _ = database.begin("1", 900, true).await;
    let reserve = last(&database, ReserveCredit::TYPE).await;
    let _done = database.participate(delivery(&reserve), Answer::Does).await;
    assert_eq!(database.clerk(config()).await.moved, 0, "there is time yet");
    database.pass_time(HOUR).await;
    assert_eq!(database.clerk(config()).await.moved, 1);
    assert_eq!(stands(&database, "1").await, "undoing reserve_credit");
    // The answer comes at last, and moves nothing.
    let late = last(&database, CreditReserved::TYPE).await;
    let _late = database.receive(delivery(&late), config()).await;
    answered(&database, ReleaseCredit::TYPE, Answer::Does, CreditReleased::TYPE).await;
    assert_eq!(stands(&database, "1").await, "undone");
    assert_eq!(effects(&database, "1").await, "0");
    assert_eq!(journal(&database, "1").await, "started timed_out late undone");
}

/// Protects the account from an effect that fails for the moment and comes again behind
/// its undo.
pub(crate) async fn an_undo_that_comes_between_two_attempts_stops_the_next<
    D: Database,
>() {
    let database = D::fresh().await;
    let _ = database.begin("1", 900, true).await;
    let reserve = last(&database, ReserveCredit::TYPE).await;
    let failed = database.participate(delivery(&reserve), Answer::Fails).await;
    assert!(matches!(failed, Handled::RetryLater(_)), "{failed:?}");
    database.pass_time(HOUR).await;
    assert_eq!(database.clerk(config()).await.moved, 1);
    answered(&database, ReleaseCredit::TYPE, Answer::Does, CreditReleased::TYPE).await;
    let again = delivery(&reserve).redelivered(true);
    let again = database.participate(again, Answer::Does).await;
    assert!(matches!(again, Handled::Forestalled(_)), "{again:?}");
    assert_eq!(stands(&database, "1").await, "undone");
    assert_eq!(effects(&database, "1").await, "0");
}

async fn to_the_pivot<D: Database>() -> D {
    let database = D::fresh().await;
    let _ = database.begin("1", 900, true).await;
    answered(&database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE).await;
    answered(&database, HoldStock::TYPE, Answer::Does, StockHeld::TYPE).await;
    assert_eq!(stands(&database, "1").await, "awaiting create_order");
    database
}

/// Protects a person from questions that the participant can answer.
pub(crate) async fn a_silent_pivot_is_forestalled<D: Database>() {
    for is_done in [true, false] {
        let database: D = to_the_pivot().await;
        let create = last(&database, CreateOrder::TYPE).await;
        if is_done {
            let _ = database.participate(delivery(&create), Answer::Does).await;
        }
        database.pass_time(2 * HOUR).await;
        assert_eq!(database.clerk(config()).await.moved, 1);
        assert_eq!(stands(&database, "1").await, "forestalling create_order");
        let reply = if is_done { OrderCreated::TYPE } else { Forestalled::TYPE };
        answered(&database, Forestall::TYPE, Answer::Does, reply).await;
        let late = database.participate(delivery(&create), Answer::Does).await;
        if is_done {
            assert!(matches!(late, Handled::Duplicate(_)), "{late:?}");
            assert_eq!(stands(&database, "1").await, "awaiting notify_billing");
        } else {
            assert!(matches!(late, Handled::Forestalled(_)), "{late:?}");
            answered(&database, FreeStock::TYPE, Answer::Does, StockFreed::TYPE).await;
            answered(&database, ReleaseCredit::TYPE, Answer::Does, CreditReleased::TYPE)
                .await;
            assert_eq!(stands(&database, "1").await, "undone");
            assert_eq!(effects(&database, "1").await, "0");
        }
    }
}

fn erp_desk() -> AnyRuling {
    let eve = login::seat::<ErpDesk>("eve").unwrap();
    eve.decide("the ERP has no such order").unwrap().into()
}

/// Protects from a person's word about a command that is on its way.
pub(crate) async fn a_command_is_taken_back_or_the_word_is_refused<D: Database>() {
    let did_not = |though_sent| Choice::DidNotHappen { though_sent };
    for refused in [false, true] {
        let database: D = to_the_pivot().await;
        for _ in 0..2 {
            database.pass_time(2 * HOUR).await;
            assert_eq!(database.clerk(config()).await.moved, 1);
        }
        assert_eq!(stands(&database, "1").await, "parked create_order");
        if refused {
            let sent = "UPDATE outbox_event SET status = 'acknowledged', attempts = 1, \
                 due_at = NULL, done_at = created_at WHERE event_type = 'erp.order.create'";
            database.sql(sent).await;
        }
        let said = database.decide("1", did_not(false), erp_desk(), config()).await;
        assert_eq!(said.is_err(), refused, "{said:?}");
        if refused {
            assert_eq!(stands(&database, "1").await, "parked create_order");
            assert!(said.unwrap_err().contains("has left"));
            let said = database.decide("1", did_not(true), erp_desk(), config()).await;
            assert_eq!(said, Ok(()));
        } else {
            let create = last(&database, CreateOrder::TYPE).await;
            assert_eq!(create.status().as_str(), "skipped");
        }
        assert_eq!(stands(&database, "1").await, "undoing hold_stock");
    }
}

/// Protects the customer from an invoice that leaves after a person has closed the order.
pub(crate) async fn what_a_person_gives_up_is_not_sent_later<D: Database>() {
    let database: D = to_the_pivot().await;
    answered(&database, CreateOrder::TYPE, Answer::Does, OrderCreated::TYPE).await;
    database.pass_time(3 * DAY).await;
    assert_eq!(database.clerk(config()).await.moved, 1);
    assert_eq!(stands(&database, "1").await, "parked notify_billing");
    let dora = login::seat::<BillingDesk>("dora").unwrap();
    let word = dora.decide("they are bankrupt").unwrap().into();
    let said = database.decide("1", Choice::GiveUp, word, config()).await;
    assert_eq!(said, Ok(()));
    let invoice = last(&database, IssueInvoice::TYPE).await;
    assert_eq!(invoice.status().as_str(), "skipped");
    assert_eq!(stands(&database, "1").await, "given_up");
}

/// Protects a participant from a command that waited in the outbox until nobody wanted it
/// any more, and the instance from losing one that is under way.
pub(crate) async fn what_a_step_gives_up_is_taken_back<D: Database>() {
    let status = |id: &str| format!("SELECT status FROM outbox_event WHERE id = '{id}'");
    for (cancelled, sent) in [(false, false), (true, false), (false, true)] {
        let database = D::fresh().await;
        let _ = database.begin("1", 900, true).await;
        let reserve = last(&database, ReserveCredit::TYPE).await.id().to_string();
        if sent {
            let sent = "UPDATE outbox_event SET status = 'acknowledged', attempts = 1, \
                 due_at = NULL, done_at = created_at";
            database.sql(sent).await;
        }
        database.pass_time(HOUR).await;
        if cancelled {
            let eve = login::seat::<Sales>("eve").unwrap();
            let word = eve.decide("they have called").unwrap().into();
            let said = database.decide("1", Choice::Cancel, word, config()).await;
            assert_eq!(said, Ok(()));
        } else {
            assert_eq!(database.clerk(config()).await.moved, 1);
        }
        assert_eq!(stands(&database, "1").await, "undoing reserve_credit");
        let expected = if sent { "acknowledged" } else { "skipped" };
        assert_eq!(database.text(&status(&reserve)).await, expected);
        // It may have been done all the same.
        answered(&database, ReleaseCredit::TYPE, Answer::Does, CreditReleased::TYPE)
            .await;
        assert_eq!(stands(&database, "1").await, "undone");
    }
    // Where a person is asked, the silent step may yet be done.
    let database: D = to_the_pivot().await;
    answered(&database, CreateOrder::TYPE, Answer::Does, OrderCreated::TYPE).await;
    let invoice = last(&database, IssueInvoice::TYPE).await.id().to_string();
    database.pass_time(3 * DAY).await;
    assert_eq!(database.clerk(config()).await.moved, 1);
    assert_eq!(stands(&database, "1").await, "parked notify_billing");
    assert_eq!(database.text(&status(&invoice)).await, "pending");
}

/// Protects every other instance from one that cannot take its turn.
pub(crate) async fn one_that_fails_costs_the_others_nothing<D: Database>() {
    let database = D::fresh().await;
    for number in 0..20 {
        let _ = database.begin(&number.to_string(), 900, true).await;
    }
    // Five are of a version that this program does not know, and are due first.
    let broken: Vec<String> =
        (0..5).map(|n| format!("'{}'", id(&n.to_string()))).collect();
    let broken = broken.join(", ");
    let break_them =
        format!("UPDATE workflow_instance SET version = 7 WHERE id IN ({broken})");
    database.sql(&break_them).await;
    database.pass_time(HOUR).await;
    let summary = database.clerk(config()).await;
    assert_eq!((summary.moved, summary.failed), (15, 5));
    let listed = "SELECT CAST(count(*) AS text) FROM workflow_instance \
         WHERE turn_failures = 1 AND turn_failure LIKE '%found version 7%'";
    assert_eq!(database.text(listed).await, "5");
    assert_eq!(database.clerk(config()).await.failed, 0, "they wait for a while");
    database.pass_time(HOUR).await;
    assert_eq!(database.clerk(config()).await.failed, 5, "nobody gives them up");
    database.sql("UPDATE workflow_instance SET version = 1 WHERE version = 7").await;
    database.pass_time(HOUR).await;
    assert!(database.clerk(config()).await.moved >= 5, "they are repaired");
    let failing = "SELECT CAST(count(*) AS text) FROM workflow_instance \
         WHERE turn_failures > 0";
    assert_eq!(database.text(failing).await, "0");
}

/// Panics the first time, as the company's own code may.
struct Torn(AtomicBool);

impl Calendar for Torn {
    fn due(&self, from: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
        assert!(self.0.swap(true, Ordering::Relaxed), "no calendar for this year");
        EveryHour.due(from, span)
    }
}

/// Protects the clerk, and every other instance, from the company's own code.
pub(crate) async fn a_calendar_that_panics_fails_one_turn<D: Database>() {
    let database = D::fresh().await;
    let _ = database.begin("1", 900, true).await;
    let _ = database.begin("2", 900, true).await;
    database.pass_time(HOUR).await;
    let torn = config().calendar(Torn(AtomicBool::new(false)));
    let summary = database.clerk(torn).await;
    assert_eq!((summary.moved, summary.failed), (1, 1));
    let listed = "SELECT turn_failure FROM workflow_instance WHERE turn_failures = 1";
    let why = database.text(listed).await;
    assert_eq!(why, "the code of the step panicked", "what it says may quote data");
}

/// Protects instances of a program that is not deployed here.
pub(crate) async fn what_no_table_is_known_of_waits<D: Database>() {
    let database = D::fresh().await;
    let _ = database.begin("1", 900, true).await;
    let _ = database.begin("2", 900, true).await;
    let other = format!(
        "UPDATE workflow_instance SET workflow = 'hiring' WHERE id = '{}'",
        id("1")
    );
    database.sql(&other).await;
    database.pass_time(HOUR).await;
    let summary = database.clerk(config()).await;
    assert_eq!((summary.moved, summary.failed), (1, 0));
    assert_eq!(stands(&database, "1").await, "awaiting reserve_credit");
}
