//! Many connections at once: one winner, one entry of the journal, one command.

use std::time::Duration;

use integration_automation_patterns::Event;
use integration_automation_patterns::workflow::Begun;

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
