//! A receiver that is out of order, behind a relay: what its events spend, and which others
//! wait for it.

use std::sync::Arc;
use std::time::Duration;

use integration_automation_patterns::broker::webhook::{Webhook, WebhookConfig};
use integration_automation_patterns::broker::{Broker, Routes};
use integration_automation_patterns::outbox::sqlite as outbox;
use integration_automation_patterns::relay::{Relay, RelayConfig, Summary};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::{Envelope, RawEvent};
use rusqlite::Connection;
use tokio::sync::Notify;

use super::SECRET;
use super::peer::Receiver;
use crate::suite::{File, in_time};

const INVOICE: &str = "crm.invoice.issued";
const LEAD: &str = "crm.lead.created";
/// So many different events may fail before the receiver is to blame.
const ACCIDENTS: u64 = 3;

/// An outbox with so many events of each type, which are tried again once, at once.
fn filled(file: &File, events: &[(&'static str, usize)]) -> outbox::Outbox {
    let once = RetryPolicy::retries(1, Backoff::Fixed(Duration::ZERO));
    let mut crm = Connection::open(&file.0).unwrap();
    outbox::install(&mut crm).unwrap();
    let business = crm.transaction().unwrap();
    for (event_type, count) in events {
        for _ in 0..*count {
            let event = Envelope::builder("crm", RawEvent::new(*event_type, b"{}"));
            let event = event.retry_policy(once).build().unwrap();
            outbox::enqueue(&business, event).unwrap();
        }
    }
    business.commit().unwrap();
    outbox::Outbox::open(&file.0).unwrap()
}

/// It shares this time between connection and answer.
fn webhook(url: &str, waits: Duration) -> Webhook {
    let config = WebhookConfig::new(SECRET).allow_http().allow_private();
    let config = config.connect_timeout(waits / 2).request_timeout(waits / 2);
    Webhook::new(url, config).unwrap()
}

/// Runs a relay until it has delivered so many events.
async fn relayed(
    store: outbox::Outbox,
    broker: impl Broker,
    config: RelayConfig,
    receiver: &Receiver,
    taken: usize,
) -> Summary {
    let config = config.poll_interval(Duration::from_millis(10));
    let relay = Relay::new("relay-1", store, broker, config).unwrap();
    let delivered = Arc::new(Notify::new());
    let running = tokio::spawn(relay.run({
        let delivered = Arc::clone(&delivered);
        async move { delivered.notified().await }
    }));
    receiver.has_taken(taken).await;
    while relay.progress().acknowledged < u64::try_from(taken).unwrap() {
        tokio::task::yield_now().await;
    }
    delivered.notify_one();
    running.await.unwrap()
}

/// Protects all events of a receiver that is down for longer than their retries last: a
/// load balancer without a receiver answers, and so each event failed on its own.
#[tokio::test]
async fn a_receiver_that_answers_503_for_long_costs_no_event() {
    in_time(async {
        let (file, receiver) = (File::new("webhook-503"), Receiver::start().await);
        let store = filled(&file, &[(LEAD, 20)]);
        // All of them at once, and four tries to find out whether it takes events again.
        let webhook = webhook(&receiver.url("down-24"), Duration::from_secs(60));
        let config = RelayConfig::default().in_flight(20);
        let config = config.send_timeout(Duration::from_secs(70));
        let summary = relayed(store, webhook, config, &receiver, 20).await;
        assert_eq!((summary.acknowledged, summary.failed), (20, 0), "{summary:?}");
        assert!(summary.retrying <= ACCIDENTS, "{summary:?}");
    })
    .await;
}

/// Protects the events of one receiver from another that hangs: each of those held a place
/// in flight until its timeout, one batch after another, and spent an attempt.
#[tokio::test]
async fn a_receiver_that_hangs_holds_up_no_other_route() {
    in_time(async {
        let (file, receiver) = (File::new("webhook-hangs"), Receiver::start().await);
        let store = filled(&file, &[(INVOICE, 40), (LEAD, 4)]);
        let routes = Routes::new()
            .route(INVOICE, webhook(&receiver.url("hang"), Duration::from_millis(400)))
            .otherwise(webhook(&receiver.url("204"), Duration::from_secs(60)));
        let config = RelayConfig::default().in_flight(5);
        let config = config.send_timeout(Duration::from_secs(70));
        let summary = relayed(store, routes, config, &receiver, 4).await;
        assert_eq!((summary.acknowledged, summary.failed), (4, 0), "{summary:?}");
        assert!(summary.retrying <= ACCIDENTS, "{summary:?}");
    })
    .await;
}
