//! The relay: whatever the broker does, nothing is lost, and the rest goes on.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use integration_automation_patterns::DeliveryStatus;
use integration_automation_patterns::audit::{Action, AuditRecord, AuditTrail};
use integration_automation_patterns::broker::BrokerError;
use integration_automation_patterns::outbox::Admin;
use integration_automation_patterns::relay::{Incident, Relay, RelayConfig, Summary};

use crate::broker::{Does, Scripted};
use crate::suite::*;

pub(crate) fn config() -> RelayConfig {
    RelayConfig::default().poll_interval(Duration::from_millis(50))
}

pub(crate) fn relay<D: Database>(
    database: &D,
    broker: &Scripted,
    config: RelayConfig,
) -> Relay<D::Outbox, Scripted> {
    Relay::new("relay-1", database.outbox().clone(), broker.clone(), config).unwrap()
}

/// Runs until `done`, and no longer than a test may hang.
pub(crate) async fn run_until<D: Database>(
    relay: &Relay<D::Outbox, Scripted>,
    done: impl Future<Output = ()> + Send,
) -> Summary {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, relay.run(done))
        .await
        .expect("the relay stops when it is told")
}

fn many(
    count: usize,
) -> Vec<
    integration_automation_patterns::Envelope<
        integration_automation_patterns::state::Pending,
    >,
> {
    (0..count).map(|number| impatient(&format!("{number}"), 3)).collect()
}

async fn done<D: Database>(database: &D) -> u64 {
    database.outbox().counts().await.unwrap().of(DeliveryStatus::Acknowledged)
}

pub(crate) async fn everything_is_delivered_once<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(many(300), true).await;
    let broker = Scripted::new(|_, _| Does::Ack);
    let summary = relay(&database, &broker, config())
        .run_until_idle(std::future::pending::<()>())
        .await;
    assert_eq!((summary.claimed, summary.acknowledged), (300, 300));
    let mut confirmed = broker.confirmed();
    confirmed.sort();
    confirmed.dedup();
    assert_eq!(confirmed.len(), 300);
    assert_eq!(done(&database).await, 300);
    assert_balanced(&database).await;
}

pub(crate) async fn poison_at_the_head_stops_nothing<D: Database>() {
    let database = D::fresh().await;
    let poison = (0..50)
        .map(|number| build(&format!("poison-{number}"), None, Default::default()));
    database.enqueue(poison.chain(many(100)).collect(), true).await;
    let broker = Scripted::new(|id, _| match id.starts_with("poison") {
        true => Does::Answer(BrokerError::transient("does not like it")),
        false => Does::Ack,
    });
    // A batch is as large as the poison.
    let relay = relay(&database, &broker, config().in_flight(50));
    let summary = relay.run_until_idle(std::future::pending::<()>()).await;
    assert_eq!((summary.acknowledged, summary.retrying), (100, 50));
    assert_balanced(&database).await;
}

pub(crate) async fn poison_in_one_key_stops_that_key_alone<D: Database>() {
    let database = D::fresh().await;
    let mut events = vec![keyed("poison", "a"), keyed("a2", "a")];
    events.extend(
        (0..20).map(|number| build(&format!("b{number:02}"), Some("b"), at_once(3))),
    );
    database.enqueue(events, true).await;
    let broker = Scripted::new(|id, times| match id {
        "poison" => Does::Answer(BrokerError::permanent("too large")),
        // Every one fails once, and keeps its place.
        _ if times == 1 => Does::Answer(BrokerError::transient("connection reset")),
        _ => Does::Ack,
    });
    relay(&database, &broker, config())
        .run_until_idle(std::future::pending::<()>())
        .await;
    let expected: Vec<String> = (0..20).map(|number| format!("b{number:02}")).collect();
    assert_eq!(broker.confirmed(), expected, "in their order");
    assert_eq!(status(&database, "poison").await, (DeliveryStatus::Failed, 1));
    assert_eq!(status(&database, "a2").await, (DeliveryStatus::Pending, 0));
    assert_balanced(&database).await;
}

pub(crate) async fn a_send_that_never_returns_stops_nothing<D: Database>() {
    let database = D::fresh().await;
    let mut events = vec![impatient("hung", 2)];
    events.extend(many(100));
    database.enqueue(events, true).await;
    let broker = Scripted::new(|id, _| if id == "hung" { Does::Hang } else { Does::Ack });
    let relay = relay(
        &database,
        &broker,
        config().send_timeout(Duration::from_millis(50)).in_flight(10),
    );
    let summary = relay.run_until_idle(std::future::pending::<()>()).await;
    assert_eq!((summary.acknowledged, summary.failed), (100, 1));
    let dead = database.outbox().dead_letters(&Default::default(), 10).await.unwrap();
    assert_eq!(
        dead[0].event.failure().unwrap().reason,
        "the broker did not confirm within 50ms"
    );
    assert_eq!(broker.sends("hung"), 2);
    assert_balanced(&database).await;
}

pub(crate) async fn an_outage_spends_no_attempt<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(many(20), true).await;
    let tries = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let broker = Scripted::new({
        // It comes back after as many sends as would have spent every budget, had they
        // counted.
        let tries = Arc::clone(&tries);
        move |_, _| match tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 23 {
            true => Does::Answer(BrokerError::unreachable("connection refused")),
            false => Does::Ack,
        }
    });
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let relay = relay(&database, &broker, config()).on_incident({
        let told = Arc::clone(&told);
        move |incident| told.lock().unwrap().push(incident.to_string())
    });
    let summary = run_until::<D>(&relay, broker.confirms(20)).await;
    assert!(summary.released >= 20, "{summary:?}");
    let told = told.lock().unwrap().clone();
    assert_eq!(
        told[0],
        "the relay pauses, as the broker cannot be reached: connection refused"
    );
    assert!(
        told[1].starts_with("the relay goes on: the broker can be reached again, after "),
        "one outage is a line and its end: {told:?}"
    );
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!((summary.failed, summary.retrying), (0, 0));
    for number in 0..20 {
        assert_eq!(
            status(&database, &number.to_string()).await,
            (DeliveryStatus::Acknowledged, 1)
        );
    }
    assert_balanced(&database).await;
}

pub(crate) async fn an_outage_ends_a_run_that_is_to_end_when_idle<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(many(5), true).await;
    let broker = Scripted::new(|_, _| {
        Does::Answer(BrokerError::unreachable("connection refused"))
    });
    // Who watches has a bug of its own, which is not the relay's.
    let relay = relay(&database, &broker, config())
        .on_incident(|_| panic!("a bug in what watches (a test)"));
    let summary = relay.run_until_idle(std::future::pending::<()>()).await;
    // While some are on their way, one of the others may be sent again, to see whether
    // the broker is back.
    assert!(summary.claimed >= 5, "{summary:?}");
    assert_eq!((summary.released, summary.failed), (summary.claimed, 0));
    for number in 0..5 {
        let number = number.to_string();
        assert_eq!(status(&database, &number).await, (DeliveryStatus::Pending, 0));
    }
}

pub(crate) async fn a_batch_slower_than_its_lease_is_sent_once<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(many(10), true).await;
    let slow = Duration::from_millis(3600);
    let broker = Scripted::new(move |_, _| Does::ConfirmAfter(slow));
    let config = config()
        .store_timeout(Duration::from_millis(250))
        .lease(Duration::from_millis(1500));
    let (one, other) =
        (relay(&database, &broker, config.clone()), relay(&database, &broker, config));
    let stop = || broker.confirms(10);
    let (one, other) =
        tokio::join!(run_until::<D>(&one, stop()), run_until::<D>(&other, stop()));
    assert_eq!(
        (one.acknowledged + other.acknowledged, one.leases_lost + other.leases_lost),
        (10, 0),
        "{one:?} {other:?}"
    );
    assert!(
        (0..10).all(|number| broker.sends(&number.to_string()) == 1),
        "each was sent once"
    );
}

pub(crate) async fn a_relay_that_stops_gives_back_what_it_holds<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(many(10), true).await;
    let broker = Scripted::new(|id, _| if id == "0" { Does::Ack } else { Does::Hang });
    let relay =
        relay(&database, &broker, config().shutdown_timeout(Duration::from_millis(50)));
    let summary = run_until::<D>(&relay, broker.sent("9", 1)).await;
    assert_eq!((summary.acknowledged, summary.released, summary.retrying), (1, 9, 0));
    for number in 1..10 {
        assert_eq!(
            status(&database, &number.to_string()).await,
            (DeliveryStatus::Pending, 0)
        );
    }
    assert_balanced(&database).await;
}

pub(crate) async fn two_relays_share_the_work<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(many(200), true).await;
    let broker = Scripted::new(|_, _| Does::Ack);
    let relays = [
        relay(&database, &broker, config().in_flight(10)),
        relay(&database, &broker, config().in_flight(10)),
    ];
    let (one, other) = tokio::join!(
        run_until::<D>(&relays[0], broker.confirms(200)),
        run_until::<D>(&relays[1], broker.confirms(200))
    );
    assert_eq!(one.acknowledged + other.acknowledged, 200, "{one:?} {other:?}");
    assert!(
        (0..200).all(|number| broker.sends(&number.to_string()) == 1),
        "no event twice"
    );
    assert_balanced(&database).await;
}

pub(crate) async fn a_panicking_broker_costs_an_attempt<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(many(3), true).await;
    let broker =
        Scripted::new(
            |id, times| if id == "1" && times == 1 { Does::Panic } else { Does::Ack },
        );
    let panics = Arc::new(std::sync::Mutex::new(Vec::new()));
    let relay = relay(&database, &broker, config()).on_incident({
        let panics = Arc::clone(&panics);
        move |incident| {
            if let Incident::SendPanicked(event) = incident {
                panics.lock().unwrap().push(event.clone());
            }
        }
    });
    relay.run_until_idle(std::future::pending::<()>()).await;
    assert_eq!(*panics.lock().unwrap(), [Some(id("1"))]);
    assert_eq!(
        status(&database, "1").await,
        (DeliveryStatus::Dispatched, 1),
        "until its lease ends"
    );
    expire_leases(&database).await;
    let summary = relay.run_until_idle(std::future::pending::<()>()).await;
    assert_eq!((summary.expired, summary.acknowledged), (1, 1));
    assert_eq!(status(&database, "1").await, (DeliveryStatus::Acknowledged, 2));
    assert_balanced(&database).await;
}

pub(crate) async fn every_change_is_told_once<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(vec![impatient("1", 3), impatient("2", 1)], true).await;
    let broker = Scripted::new(|id, times| match (id, times) {
        ("1", 2) => Does::Ack,
        _ => Does::Answer(BrokerError::transient("timeout")),
    });
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let observer = Arc::clone(&told);
    let trail = AuditTrail::new(
        "relay-1",
        Arc::new(move |record: &AuditRecord| {
            observer.lock().unwrap().push((
                record.event_id.to_string(),
                record.action,
                record.status,
                record.attempts,
            ));
            Ok(())
        }),
    );
    relay(&database, &broker, config())
        .with_audit_trail(trail)
        .run_until_idle(std::future::pending::<()>())
        .await;
    let told = told.lock().unwrap();
    let of = |wanted: &str| -> Vec<_> {
        told.iter()
            .filter(|(id, ..)| id == wanted)
            .map(|(_, action, status, attempts)| (*action, *status, *attempts))
            .collect()
    };
    assert_eq!(
        of("1"),
        [
            (Action::Dispatch, DeliveryStatus::Dispatched, 1),
            (Action::Fail, DeliveryStatus::Retrying, 1),
            (Action::Dispatch, DeliveryStatus::Dispatched, 2),
            (Action::Acknowledge, DeliveryStatus::Acknowledged, 2),
        ]
    );
    assert_eq!(
        of("2"),
        [
            (Action::Dispatch, DeliveryStatus::Dispatched, 1),
            (Action::Fail, DeliveryStatus::Failed, 1)
        ]
    );
}

pub(crate) async fn no_more_is_on_its_way_than_allowed<D: Database>() {
    let database = D::fresh().await;
    database.enqueue(many(50), true).await;
    let broker = Scripted::new(|_, _| Does::ConfirmAfter(Duration::from_millis(5)));
    relay(&database, &broker, config().in_flight(4))
        .run_until_idle(std::future::pending::<()>())
        .await;
    assert_eq!(broker.confirmed().len(), 50);
    assert!(broker.most() <= 4, "{} at once", broker.most());
}
