//! Events that are put aside while an earlier one of their key is under way: no claim
//! meets them twice, and none is forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use integration_automation_patterns::broker::{Broker, BrokerError};
use integration_automation_patterns::outbox::{Admin, Filter, OnDeadLetter, Store};
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Decision, Envelope};

use crate::suite::*;

fn of_one_key(count: usize) -> Vec<Envelope<Pending>> {
    (0..count).map(|n| keyed(&format!("{n:04}"), "k")).collect()
}

pub(crate) async fn what_waits_behind_its_key_is_put_aside_once<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(of_one_key(30), true).await;
    let first = claim(&database, "relay-1", 10).await;
    assert_eq!((ids(&first.claims), first.blocked), (vec!["0000".to_owned()], 29));
    let again = claim(&database, "relay-2", 10).await;
    assert_eq!(
        (again.claims.len(), again.blocked),
        (0, 0),
        "no claim looks at them again"
    );

    // One at a time, each let go by the one before it.
    let mut next = first.claims;
    for n in 0..30 {
        assert_eq!(ids(&next), [format!("{n:04}")]);
        settle(&database, next.remove(0).acknowledge()).await;
        next = claim(&database, "relay-1", 10).await.claims;
    }
    assert!(next.is_empty());
    assert_balanced(&database).await;
}

pub(crate) async fn what_is_put_aside_hides_no_other_event<D: Database>() {
    let database = D::fresh().await;
    let mut events = of_one_key(2_500);
    events.push(event("free"));
    database.enqueue(events, true).await;
    let (mut found, mut aside) = (Vec::new(), 0);
    loop {
        let claimed = claim(&database, "relay-1", 10).await;
        let blocked = claimed.blocked;
        aside += blocked;
        found.extend(claimed.claims);
        if blocked == 0 {
            break;
        }
    }
    assert_eq!((ids(&found), aside), (vec!["0000".to_owned(), "free".to_owned()], 2_499));
    let waiting = database.outbox().waiting(&Filter::id(id("0007")), 10).await.unwrap();
    assert_eq!(waiting[0].behind, Some(id("0000")), "people see what it waits for");
}

pub(crate) async fn every_end_of_an_event_lets_the_next_of_its_key_go<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(of_one_key(6), true).await;
    let next = async || claim_one(&database).await;
    let first = next().await;
    settle(&database, first.acknowledge()).await;
    let second = next().await;
    settle(&database, second.skip("not wanted")).await;
    let third = next().await;
    settle(&database, third.reject("unknown account")).await;
    assert!(
        claim(&database, "relay-1", 1).await.claims.is_empty(),
        "a dead letter blocks its key"
    );
    let person = Decision::new("on-call", "the account is gone").unwrap();
    database.outbox().discard(&Filter::id(id("0002")), &person).await.unwrap();

    let fourth = next().await;
    assert_eq!(fourth.id(), &id("0003"));
    settle(&database, fourth.release("the relay was stopped")).await;
    let fourth = next().await;
    assert_eq!(fourth.id(), &id("0003"), "what is given back is in the way as before");
    drop(fourth);
    // Its lease ends for the last time.
    database
        .sql("UPDATE outbox_event SET retry_policy = '1 fixed 0s' WHERE id = '0003'")
        .await;
    expire_leases(&database).await;
    assert!(claim(&database, "relay-1", 1).await.claims.is_empty());
    database.outbox().discard(&Filter::id(id("0003")), &person).await.unwrap();

    // A row that is no event.
    database
        .sql("UPDATE outbox_event SET retry_policy = 'never' WHERE id = '0004'")
        .await;
    let claimed = claim(&database, "relay-1", 1).await;
    assert_eq!((claimed.claims.len(), claimed.quarantined.len()), (0, 1));
    let mut passing = order("relay-1", 1);
    passing.on_dead_letter = OnDeadLetter::Skip;
    let claimed = database.outbox().claim(&passing).await.unwrap();
    assert_eq!(ids(&claimed.claims), ["0005"]);
}

pub(crate) async fn what_was_put_aside_and_forgotten_is_found<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(of_one_key(3), true).await;
    drop(claim(&database, "relay-1", 10).await);
    assert_eq!(claim(&database, "relay-1", 10).await.blocked, 0);
    // By hand, and so without a word to the next of its key.
    database.sql("DELETE FROM outbox_event WHERE id = '0000'").await;
    let restarted = database.another().await;
    let claimed = restarted.claim(&order("relay-1", 10)).await.unwrap();
    assert_eq!(ids(&claimed.claims), ["0001"]);
    assert_eq!(claimed.blocked, 0, "and the one behind it stays where it is");
}

struct Counted(Arc<AtomicUsize>);

impl Broker for Counted {
    const SYSTEM: &str = "counted";

    async fn send(&self, _: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

pub(crate) async fn relays_that_share_keys_forget_no_event<D: Database>() {
    const EVENTS: usize = 400;
    let database = D::fresh().await;
    let events =
        (0..EVENTS).map(|n| keyed(&n.to_string(), &format!("k{}", n % 5))).collect();
    database.enqueue(events, true).await;
    let sent = Arc::new(AtomicUsize::new(0));
    let mut relays = tokio::task::JoinSet::new();
    for name in ["relay-1", "relay-2", "relay-3"] {
        let config =
            RelayConfig::default().in_flight(7).poll_interval(Duration::from_millis(5));
        let relay = Relay::new(
            name,
            database.another().await,
            Counted(Arc::clone(&sent)),
            config,
        )
        .unwrap();
        let (sent, database) = (Arc::clone(&sent), database.another().await);
        relays.spawn(async move {
            let all = async {
                while sent.load(Ordering::Relaxed) < EVENTS
                    || database.counts().await.unwrap().under_way() > 0
                {
                    tokio::task::yield_now().await;
                }
            };
            relay.run(all).await
        });
    }
    let summaries = relays.join_all().await;
    let acknowledged: u64 = summaries.iter().map(|summary| summary.acknowledged).sum();
    assert_eq!(acknowledged, EVENTS as u64, "{summaries:?}");
    assert_balanced(&database).await;
}
