//! Each verb of the whole table, one after another.

use chrono::{DateTime, Utc};
use integration_automation_patterns::Decision;
use integration_automation_patterns::workflow::memory::Memory;
use integration_automation_patterns::workflow::{
    Advance, AnyAdvance, Asked, Cause, Completed, Escalated, Forestalled, Instance,
    InstanceId, NotDecidedError, NotStoredError, Person, Status, Voted,
};

use crate::orders::order_to_cash::{self, Any, This, at, step};
use crate::orders::*;

fn now() -> DateTime<Utc> {
    "2026-01-05T08:00:00Z".parse().unwrap()
}

/// A store with one order.
struct Shop {
    store: Memory,
    id: InstanceId<This>,
}

impl Shop {
    fn new(total: u64) -> Self {
        let anna = login::seat::<Sales>("anna").unwrap();
        let (mut store, id) = (Memory::default(), InstanceId::of("order 4711").unwrap());
        let advance = order_to_cash::start(id.clone(), Order::of(total), &anna);
        store.begin(advance, now()).unwrap();
        Self { store, id }
    }

    fn any(&self) -> Any {
        self.store.load(&self.id).unwrap().unwrap()
    }

    fn store(&mut self, advance: impl Into<AnyAdvance<This>>) {
        self.store.store(advance, now()).unwrap();
    }

    fn stands(&self) -> (Status, Option<&str>) {
        let row = self.store.record(self.id.as_event_id()).unwrap();
        (row.status, row.step.as_deref())
    }

    fn sent(&mut self) -> Vec<String> {
        let sent = self.store.take_commands();
        sent.iter().map(|command| command.event_type().to_owned()).collect()
    }
}

macro_rules! at {
    ($shop:ident $status:ident $step:ident) => {{
        let Any::$status(at::$status::$step(at)) = $shop.any() else {
            panic!("{:?}", $shop.any())
        };
        at
    }};
}

#[test]
fn a_small_order_needs_no_approval_and_ends_completed() {
    let mut shop = Shop::new(900);
    assert_eq!(shop.sent(), ["crm.credit.reserve"]);
    let at = at!(shop Awaiting reserve_credit);
    shop.store(at.done(CreditReserved));
    assert_eq!(shop.sent(), ["erp.stock.hold"]);
    let at = at!(shop Awaiting hold_stock);
    let Asked::NotNeeded(advance) = at.done(StockHeld) else { panic!() };
    assert_eq!(advance.commands()[0].payload(), b"900");
    shop.store(advance);
    let at = at!(shop Awaiting create_order);
    assert_eq!(at.cleared()[0].approval, "over_limit");
    shop.store(at.done(OrderCreated));
    let at = at!(shop Awaiting notify_billing);
    shop.store(at.done(InvoiceIssued));
    assert_eq!(shop.stands(), (Status::Completed, None));
    assert_eq!(shop.sent(), ["erp.order.create", "billing.invoice.issue"]);
}

#[test]
fn four_eyes() {
    let mut shop = Shop::new(90_000);
    let at = at!(shop Awaiting reserve_credit);
    shop.store(at.done(CreditReserved));
    let at = at!(shop Awaiting hold_stock);
    let Asked::Needed(advance) = at.done(StockHeld) else { panic!() };
    shop.store(advance);
    assert_eq!(shop.sent().last().unwrap(), "workflow.question.asked");
    let at = at!(shop Awaiting over_limit);
    let seen = at.asked();
    let herself = login::seat::<Controller>("Anna").unwrap().decide("fine").unwrap();
    let refused = at.approve(herself, seen).unwrap_err();
    assert!(matches!(refused.cause(), NotDecidedError::OwnRequest { .. }));
    let at = refused.into_value();
    let bert = login::seat::<Controller>("bert").unwrap();
    let bert = bert.instead_of(Person::new("anna").unwrap());
    let refused = at.approve(bert.decide("she is away").unwrap(), seen).unwrap_err();
    assert!(matches!(refused.cause(), NotDecidedError::OwnRequest { .. }));
    let carl = login::seat::<HeadOfFinance>("carl").unwrap();
    let advance = refused.into_value().amend(
        |order| order.total = 80_000,
        Decision::new("anna", "a discount").unwrap(),
    );
    shop.store(advance);
    let asked = shop.store.commands().last().unwrap();
    assert_eq!(asked.event_type, "workflow.question.asked", "people are asked anew");
    let asked = std::str::from_utf8(&asked.payload).unwrap();
    assert!(asked.contains(r#""shown":"80000""#), "{asked}");
    let at = at!(shop Awaiting over_limit);
    let refused = at.approve(carl.decide("seen").unwrap(), seen).unwrap_err();
    assert!(matches!(refused.cause(), NotDecidedError::Changed { .. }));
    let at = refused.into_value();
    let seen = at.asked();
    let advance = at.approve(carl.decide("a good customer").unwrap(), seen).unwrap();
    assert_eq!(advance.commands().last().unwrap().payload(), b"80000");
    shop.store(advance);
    assert_eq!(shop.stands(), (Status::Awaiting, Some("create_order")));
}

#[test]
fn a_refusal_undoes_what_was_done_from_the_last_to_the_first() {
    let mut shop = Shop::new(900);
    let at = at!(shop Awaiting reserve_credit);
    shop.store(at.done(CreditReserved));
    let at = at!(shop Awaiting hold_stock);
    shop.store(at.done(StockHeld));
    let at = at!(shop Awaiting create_order);
    shop.store(at.refused(OrderRefused));
    let at = at!(shop Undoing hold_stock);
    shop.store(at.undone(StockFreed));
    let at = at!(shop Undoing reserve_credit);
    shop.store(at.undone(CreditReleased));
    assert_eq!(shop.stands(), (Status::Undone, None));
    let sent = shop.sent();
    assert_eq!(sent[3..], ["erp.stock.free", "crm.credit.release"]);
}

#[test]
fn a_silent_step_is_undone_first_since_it_may_have_been_done() {
    let mut shop = Shop::new(900);
    let at = at!(shop Awaiting reserve_credit);
    shop.store(at.timed_out());
    assert_eq!(shop.stands(), (Status::Undoing, Some("reserve_credit")));
    let at = at!(shop Undoing reserve_credit);
    shop.store(at.timed_out());
    assert_eq!(shop.stands(), (Status::Stuck, Some("reserve_credit")));
    assert_eq!(shop.sent().last().unwrap(), "workflow.question.asked");

    let desk = login::seat::<CreditDesk>("dora").unwrap();
    let at = at!(shop Stuck reserve_credit);
    let again = at.settle(desk.decide("it was lost").unwrap()).ask_again();
    assert_eq!(
        again.commands().last().unwrap().correlation().rsplit('/').next(),
        Some("2")
    );
    shop.store(again);
    let at = at!(shop Undoing reserve_credit);
    shop.store(at.undone(CreditReleased));
    assert_eq!(shop.stands(), (Status::Undone, None));
}

/// Protects from an account that calls a reservation gone which nobody has released.
#[test]
fn an_undo_that_is_given_up_leaves_its_own_step_standing() {
    let mut shop = Shop::new(900);
    let at = at!(shop Awaiting reserve_credit);
    shop.store(at.done(CreditReserved));
    let at = at!(shop Awaiting hold_stock);
    shop.store(at.timed_out());
    let at = at!(shop Undoing hold_stock);
    shop.store(at.timed_out());
    shop.sent();
    let desk = login::seat::<ErpDesk>("dora").unwrap();
    let at = at!(shop Stuck hold_stock);
    let over = at.settle(desk.decide("the shelf is gone").unwrap()).give_up();
    assert_eq!(over.entry().standing, ["reserve_credit", "hold_stock"]);
    shop.store(over);
    assert_eq!(shop.sent(), ["workflow.question.closed"]);
}

/// Protects from a command that leaves after a person has given its step up, or beside the
/// one that takes its place.
#[test]
fn a_command_that_has_not_left_goes_with_the_word_that_ends_its_asking() {
    for again in [false, true] {
        let mut shop = Shop::new(900);
        let at = at!(shop Awaiting reserve_credit);
        shop.store(at.done(CreditReserved));
        let at = at!(shop Awaiting hold_stock);
        shop.store(at.done(StockHeld));
        let at = at!(shop Awaiting create_order);
        shop.store(at.done(OrderCreated));
        let at = at!(shop Awaiting notify_billing);
        shop.store(at.timed_out());
        let word = login::seat::<BillingDesk>("dora").unwrap().decide("closed").unwrap();
        let settling = at!(shop Parked notify_billing).settle(word);
        if again {
            shop.store(settling.ask_again());
        } else {
            shop.store(settling.give_up());
        }
        let invoices =
            shop.sent().iter().filter(|sent| *sent == "billing.invoice.issue").count();
        assert_eq!(invoices, usize::from(again));
    }
}

#[test]
fn a_silent_pivot_is_forestalled_and_then_a_person_is_asked() {
    let mut shop = Shop::new(900);
    let at = at!(shop Awaiting reserve_credit);
    shop.store(at.done(CreditReserved));
    let at = at!(shop Awaiting hold_stock);
    shop.store(at.done(StockHeld));
    shop.sent();
    let at = at!(shop Awaiting create_order);
    shop.store(at.timed_out());
    assert_eq!(shop.sent(), ["workflow.step.forestall"]);
    let at = at!(shop Forestalling create_order);
    let never = at.refused(Forestalled);
    assert_eq!(never.commands().last().unwrap().event_type(), "erp.stock.free");
    let at = at!(shop Forestalling create_order);
    shop.store(at.timed_out());
    assert_eq!(shop.stands(), (Status::Parked, Some("create_order")));

    let desk = login::seat::<ErpDesk>("dora").unwrap();
    let word = || desk.decide("the ERP has no such order").unwrap();
    let at = at!(shop Parked create_order);
    let refused = shop.store.store(at.settle(word()).did_not_happen(), now());
    let cause = refused.unwrap_err().into_cause();
    assert!(matches!(cause, NotStoredError::StillOut { .. }), "its command has left");
    let at = at!(shop Parked create_order);
    shop.store(at.settle(word()).happened(OrderCreated));
    assert_eq!(shop.stands(), (Status::Awaiting, Some("notify_billing")));
}

#[test]
fn behind_the_pivot_a_person_asks_again_or_gives_up_what_stands() {
    let mut shop = Shop::new(900);
    let at = at!(shop Awaiting reserve_credit);
    shop.store(at.done(CreditReserved));
    let at = at!(shop Awaiting hold_stock);
    shop.store(at.done(StockHeld));
    let at = at!(shop Awaiting create_order);
    shop.store(at.done(OrderCreated));
    let at = at!(shop Awaiting notify_billing);
    shop.store(at.timed_out());
    let at = at!(shop Parked notify_billing);
    shop.store(at.timed_out());
    assert_eq!(shop.store.journal().last().unwrap().entry.cause, Cause::Reminded);
    let desk = login::seat::<BillingDesk>("dora").unwrap();
    let at = at!(shop Parked notify_billing);
    let over = at.settle(desk.decide("they are bankrupt").unwrap()).give_up();
    let stands = ["reserve_credit", "hold_stock", "create_order"];
    assert_eq!(over.entry().standing, stands);
    shop.store(over);
    assert_eq!(shop.stands(), (Status::GivenUp, None));
}

#[test]
fn silence_is_no_approval() {
    let mut shop = Shop::new(90_000);
    let at = at!(shop Awaiting reserve_credit);
    shop.store(at.done(CreditReserved));
    let at = at!(shop Awaiting hold_stock);
    shop.store(at.done(StockHeld));
    for cause in [Cause::Reminded, Cause::Escalated] {
        let at = at!(shop Awaiting over_limit);
        let Escalated::Asked(advance) = at.timed_out() else { panic!("{cause}") };
        assert_eq!(advance.entry().cause, cause);
        shop.store(advance);
    }
    let at = at!(shop Awaiting over_limit);
    let Escalated::Refused(advance) = at.timed_out() else { panic!() };
    shop.store(advance);
    assert_eq!(shop.stands(), (Status::Undoing, Some("hold_stock")));
    assert!(shop.sent().contains(&"workflow.question.closed".to_owned()));
}

#[test]
fn a_person_cancels_before_the_pivot_is_sent() {
    let mut shop = Shop::new(900);
    let at = at!(shop Awaiting reserve_credit);
    shop.store(at.cancel(Decision::new("eve", "the customer called").unwrap()));
    assert_eq!(shop.stands(), (Status::Undoing, Some("reserve_credit")));
    let by = shop.store.journal().last().unwrap().entry.by.as_ref().unwrap();
    assert_eq!((by.decision().by(), by.role()), ("eve", None));

    let mut shop = Shop::new(900);
    let seat = login::seat::<CreditDesk>("eve").unwrap();
    let seat = seat.instead_of(Person::new("dora").unwrap());
    let at = at!(shop Awaiting reserve_credit);
    shop.store(at.cancel(seat.decide("the customer called").unwrap()));
    let by = shop.store.journal().last().unwrap().entry.by.as_ref().unwrap();
    let away = by.instead_of().map(Person::name);
    assert_eq!((by.role(), away), (Some("credit desk"), Some("dora")));
}

/// Protects a test's `unwrap_err` from a table, whose stages have no `Debug`.
#[test]
fn what_follows_is_printed_without_its_stages() {
    fn is_printed<T: std::fmt::Debug>() {}
    type Approval = order_to_cash::Awaiting<step::over_limit>;
    type Pivot = order_to_cash::Awaiting<step::create_order>;
    is_printed::<Asked<Approval, Advance<Pivot>>>();
    is_printed::<Escalated<Approval, order_to_cash::Undoing<step::hold_stock>>>();
    is_printed::<Voted<Approval, Advance<Pivot>>>();
}

/// What one program asks for is stored once: the second finds another revision.
#[test]
fn the_second_of_two_movers_is_overtaken() {
    let mut shop = Shop::new(900);
    let (reply, deadline) =
        (at!(shop Awaiting reserve_credit), at!(shop Awaiting reserve_credit));
    shop.store(reply.done(CreditReserved));
    let refused = shop.store.store(deadline.timed_out(), now()).unwrap_err();
    assert!(matches!(refused.cause(), NotStoredError::Overtaken { wanted: 1, found: 2 }));
    assert_eq!(shop.stands(), (Status::Awaiting, Some("hold_stock")));
}

/// Protects the hot path: an instance and a word about it are handed on as a pointer.
#[test]
fn an_instance_is_a_pointer() {
    let pointer = size_of::<usize>();
    assert_eq!(size_of::<Instance<order_to_cash::Parked<step::create_order>>>(), pointer);
    assert_eq!(size_of::<Instance<Completed<This>>>(), pointer);
    assert_eq!(size_of::<Option<Instance<Completed<This>>>>(), pointer);
}
