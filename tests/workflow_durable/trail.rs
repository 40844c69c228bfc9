//! The audit trail of workflows: who moved an instance, where to, and why.

use std::sync::{Arc, Mutex};

use integration_automation_patterns::Event;
use integration_automation_patterns::audit::{Action, AuditRecord, AuditTrail};
use integration_automation_patterns::workflow::{
    AnyRuling, Choice, Seen, WorkflowConfig,
};

use crate::desk::AtADesk;
use crate::orders::*;
use crate::suite::*;

/// Keeps every record, and hands out the configuration whose steps they are of.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<AuditRecord>>>);

impl Kept {
    fn config(&self) -> WorkflowConfig {
        let kept = Arc::clone(&self.0);
        let observer = move |record: &AuditRecord| {
            kept.lock().unwrap().push(record.clone());
            Ok(())
        };
        config().with_audit_trail(AuditTrail::new("orders", Arc::new(observer)))
    }

    fn take(&self) -> Vec<AuditRecord> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// The one record since the last look: what was done, where to, and by whom.
    fn one(&self) -> (Action, String, Option<String>) {
        let [record] = &self.take()[..] else { panic!("one record") };
        let text = record.to_string();
        assert_eq!(AuditRecord::parse(&text).as_ref(), Ok(record), "{text}");
        assert!(!text.contains("31415"), "{text}");
        let by = record.decision.as_ref().map(|decision| decision.by().to_owned());
        (record.action, record.event_type.clone(), by)
    }
}

async fn answers<D: Database>(database: &D, command: &str, reply: &str, kept: &Kept) {
    let command = last(database, command).await;
    let _handled = database.participate(delivery(&command), Answer::Does).await;
    let reply = last(database, reply).await;
    let _handled = database.receive(delivery(&reply), kept.config()).await;
}

/// Protects whoever must account for an order: each move is on the trail, with the
/// person behind it, under the id of the instance.
pub(crate) async fn every_move_is_on_the_audit_trail<D: AtADesk>() {
    let (database, kept) = (D::fresh().await, Kept::default());
    let place = |to: &str| format!("order_to_cash.{to}");
    let alone = |action, to: &str| (action, place(to), None);
    let by = |action, to: &str, who: &str| (action, place(to), Some(who.to_owned()));
    let _ = database.begin("1", 31_415, true).await;
    answers(&database, ReserveCredit::TYPE, CreditReserved::TYPE, &kept).await;
    let record = kept.0.lock().unwrap()[0].clone();
    let instance = format!("order_to_cash/{}", id("1"));
    assert_eq!(record.correlation_id, Some(instance));
    assert_eq!((record.system.as_str(), record.attempts), ("orders", 1));
    assert_eq!(kept.one(), alone(Action::Proceed, "hold_stock.awaiting"));
    answers(&database, HoldStock::TYPE, StockHeld::TYPE, &kept).await;
    assert_eq!(kept.one(), alone(Action::Proceed, "over_limit.awaiting"));
    database.reassign(&event_id("1"), 3, kept.config()).await.unwrap();
    assert_eq!(kept.one(), by(Action::Escalate, "over_limit.awaiting", "ute"));
    let fay = login::seat::<HeadOfFinance>("fay").unwrap();
    let ruling: AnyRuling = fay.decide("a good customer").unwrap().into();
    let approve = Choice::Approve(Seen::of(b"31415"));
    database.decide("1", approve, ruling, kept.config()).await.unwrap();
    assert_eq!(kept.one(), by(Action::Approve, "create_order.awaiting", "fay"));
    let create = last(&database, CreateOrder::TYPE).await;
    for expected in [(Action::Proceed, "forestalling"), (Action::Park, "parked")] {
        database.pass_time(DAY).await;
        assert_eq!(database.clerk(kept.config()).await.moved, 1);
        let to = format!("create_order.{}", expected.1);
        assert_eq!(kept.one(), alone(expected.0, &to));
    }
    let eve = login::seat::<ErpDesk>("eve").unwrap();
    let word: AnyRuling = eve.decide("the ERP has no such order").unwrap().into();
    let did_not = Choice::DidNotHappen { though_sent: true };
    database.decide("1", did_not, word, kept.config()).await.unwrap();
    assert_eq!(kept.one(), by(Action::Settle, "hold_stock.undoing", "eve"));
    let _done = database.participate(delivery(&create), Answer::Does).await;
    let late = last(&database, OrderCreated::TYPE).await;
    let _late = database.receive(delivery(&late), kept.config()).await;
    let [record] = &kept.take()[..] else { panic!("one record") };
    assert_eq!((record.action, &record.event_id), (Action::Late, late.id()));
    answers(&database, FreeStock::TYPE, StockFreed::TYPE, &kept).await;
    assert_eq!(kept.one(), alone(Action::Undo, "reserve_credit.undoing"));
    answers(&database, ReleaseCredit::TYPE, CreditReleased::TYPE, &kept).await;
    assert_eq!(kept.one(), alone(Action::Undo, "reserve_credit.undone"));
    database.pass_time(2 * DAY).await;
    assert_eq!(database.purge_by(DAY, kept.config()).await, 1);
    assert_eq!(kept.one(), by(Action::Purge, "instance.undone", "ute"));
}
