//! Many connections at once: one winner, one entry of the journal, one command.

use std::time::Duration;

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::workflow::{AnyRuling, Begun, Choice, Role, Seen};
use integration_automation_patterns::{Event, RawEvent};

use crate::orders::*;
use crate::suite::*;

/// Protects from an order that is begun twice.
pub(crate) async fn of_eight_starts_one_begins<D: Database>() {
    let database = D::fresh().await;
    for key in ["1", "2", "3"] {
        let start = async || database.begin(key, 900, true).await;
        let (a, b, c, d, e, f, g, h) = tokio::join!(
            start(),
            start(),
            start(),
            start(),
            start(),
            start(),
            start(),
            start(),
        );
        let all = [a, b, c, d, e, f, g, h];
        let new = all.iter().filter(|begun| **begun == Begun::New).count();
        assert_eq!(new, 1, "{all:?}");
        assert_eq!(journal(&database, key).await, "started");
    }
    assert_eq!(sent(&database).await.len(), 3);
}

/// Protects from an instance that goes on and is undone.
pub(crate) async fn of_a_reply_and_its_deadline_one_moves<D: Database>() {
    let (mut done, mut undone) = (0, 0);
    for _ in 0..8 {
        let database = D::fresh().await;
        let _ = database.begin("1", 900, true).await;
        let reserve = last(&database, ReserveCredit::TYPE).await;
        let _done = database.participate(delivery(&reserve), Answer::Does).await;
        database.pass_time(Duration::from_secs(60 * 60)).await;
        let reply = last(&database, CreditReserved::TYPE).await;
        let replies = async || database.receive(delivery(&reply), config()).await;
        let clerk = async || database.clerk(config()).await.moved;
        let (_, a, _, b) = tokio::join!(replies(), clerk(), replies(), clerk());
        match stands(&database, "1").await.as_str() {
            "awaiting hold_stock" => {
                done += 1;
                assert_eq!(
                    (a + b, journal(&database, "1").await.as_str()),
                    (0, "started done")
                );
            }
            "undoing reserve_credit" => {
                undone += 1;
                let journal = journal(&database, "1").await;
                assert_eq!((a + b, journal.as_str()), (1, "started timed_out late"));
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(done + undone, 8);
}

/// Protects from a step that two answers take, whether they are one event or several.
pub(crate) async fn of_eight_replies_one_moves<D: Database>() {
    let database = D::fresh().await;
    let _ = database.begin("1", 900, true).await;
    let reserve = last(&database, ReserveCredit::TYPE).await;
    let reply = async |name: &str| {
        let payload = RawEvent::new(CreditReserved::TYPE, b"{}");
        let reply = reserve.follow("crm", name, payload).build().unwrap();
        drop(database.receive(Delivery::new(reply, ()), config()).await);
    };
    tokio::join!(
        reply("a"),
        reply("b"),
        reply("a"),
        reply("b"),
        reply("a"),
        reply("b"),
        reply("a"),
        reply("b"),
    );
    assert_eq!(stands(&database, "1").await, "awaiting hold_stock");
    assert_eq!(journal(&database, "1").await, "started done late");
    assert_eq!(sent(&database).await, [ReserveCredit::TYPE, HoldStock::TYPE]);
}

/// A person's ruling on the first order, which one of many may make.
async fn rules<D: Database, R: Role<Key = login::Key>>(
    database: &D,
    person: &str,
    choice: Choice,
) -> bool {
    let ruling = login::seat::<R>(person).unwrap().decide("I have looked").unwrap();
    database.decide("1", choice, AnyRuling::from(ruling), config()).await.is_ok()
}

/// Protects an order from being approved and refused.
pub(crate) async fn of_an_approval_and_its_expiry_one_decides<D: Database>() {
    for _ in 0..4 {
        let database = D::fresh().await;
        let _ = database.begin("1", 12_000, true).await;
        answered(&database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE)
            .await;
        answered(&database, HoldStock::TYPE, Answer::Does, StockHeld::TYPE).await;
        for _ in 0..2 {
            database.pass_time(DAY).await;
            assert_eq!(database.clerk(config()).await.moved, 1);
        }
        database.pass_time(DAY).await;
        let seen = Choice::Approve(Seen::of(b"12000"));
        let approves = async |person: &str| {
            let approved = rules::<D, Controller>(&database, person, seen.clone()).await;
            u64::from(approved)
        };
        let clerk = async || database.clerk(config()).await.moved;
        let (a, b, c, d, e, f, g, h) = tokio::join!(
            approves("carl"),
            clerk(),
            approves("cora"),
            clerk(),
            approves("cuno"),
            clerk(),
            approves("cleo"),
            clerk(),
        );
        assert_eq!(a + b + c + d + e + f + g + h, 1, "one decides");
        let (stands, journal) =
            (stands(&database, "1").await, journal(&database, "1").await);
        let decided = journal.strip_prefix("started done done reminded escalated ");
        match decided.unwrap_or_else(|| panic!("{journal}")) {
            "approved" => assert_eq!(stands, "awaiting create_order"),
            "expired" => assert_eq!(stands, "undoing hold_stock"),
            other => panic!("{other}"),
        }
    }
}

/// Protects a silent step from going on by its reply and back by a person's word.
pub(crate) async fn of_a_persons_word_and_the_reply_one_counts<D: Database>() {
    for _ in 0..4 {
        let database = D::fresh().await;
        let _ = database.begin("1", 900, true).await;
        answered(&database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE)
            .await;
        answered(&database, HoldStock::TYPE, Answer::Does, StockHeld::TYPE).await;
        let create = last(&database, CreateOrder::TYPE).await;
        let _done = database.participate(delivery(&create), Answer::Does).await;
        for _ in 0..2 {
            database.pass_time(Duration::from_secs(2 * 60 * 60)).await;
            assert_eq!(database.clerk(config()).await.moved, 1);
        }
        assert_eq!(stands(&database, "1").await, "parked create_order");
        let created = last(&database, OrderCreated::TYPE).await;
        let replies = async || drop(database.receive(delivery(&created), config()).await);
        let never = Choice::DidNotHappen { though_sent: true };
        let says = async |person: &str| {
            u64::from(rules::<D, ErpDesk>(&database, person, never.clone()).await)
        };
        let (a, (), b, (), c, (), d, ()) = tokio::join!(
            says("eve"),
            replies(),
            says("ede"),
            replies(),
            says("eli"),
            replies(),
            says("emma"),
            replies(),
        );
        let (stands, journal) =
            (stands(&database, "1").await, journal(&database, "1").await);
        let after = journal.strip_prefix("started done done timed_out timed_out ");
        let expected = match after.unwrap_or_else(|| panic!("{journal}")) {
            "done" => (0, "awaiting notify_billing"),
            "did_not_happen late" => (1, "undoing hold_stock"),
            other => panic!("{other}"),
        };
        assert_eq!((a + b + c + d, stands.as_str()), expected);
    }
}

/// Protects the account, where everything comes at once and again.
pub(crate) async fn every_end_is_the_same_under_eight_at_once<D: Database>() {
    let database = D::fresh().await;
    let keys = ["1", "2", "3", "4"];
    for key in keys {
        let _ = database.begin(key, 900, true).await;
    }
    for round in 0..40 {
        let events = database.events().await;
        let deliver = async |worker: usize| {
            for event in events.iter().skip(worker).step_by(4) {
                let delivery = delivery(event).redelivered(round % 2 == 1);
                if event.source_system() == "participant" {
                    let _ = database.receive(delivery, config()).await;
                } else if event.event_type() != "workflow.question.asked" {
                    let refuses = event.event_type() == CreateOrder::TYPE && worker == 0;
                    let answer = if refuses { Answer::Refuses } else { Answer::Does };
                    let _ = database.participate(delivery, answer).await;
                }
            }
        };
        let clerks = async || database.clerk(config()).await;
        tokio::join!(deliver(0), deliver(1), deliver(2), deliver(3), clerks(), clerks());
        if round == 2 {
            // Some deadlines pass while replies are on their way.
            database.pass_time(Duration::from_secs(16 * 60)).await;
        }
        let open = "SELECT CAST(count(*) AS text) FROM workflow_instance \
             WHERE due_at IS NOT NULL";
        if database.text(open).await == "0" {
            break;
        }
    }
    for key in keys {
        let (stands, effects) =
            (stands(&database, key).await, effects(&database, key).await);
        let expected = match stands.as_str() {
            "completed" => "4",
            "undone" => "0",
            other => panic!("{key} ends as {other}: {}", journal(&database, key).await),
        };
        assert_eq!(effects, expected, "{key} is {stands}");
    }
}
