//! What no worker is made of: settings and handlers that cannot hold their promise.
#![cfg(feature = "sqlite")]

use std::time::Duration;

use integration_automation_patterns::inbox::InboxConfig;
use integration_automation_patterns::inbox::sqlite::{Worker, handlers};
use integration_automation_patterns::inbox::worker::{ByKey, WorkerConfig, WorkerError};
use integration_automation_patterns::{Event, RetryPolicy, inbox};

use super::feed::feed;
use super::{How, LeadCreated, LeadCreatedV1};
use crate::sqlite::fresh_path;

/// The worker's refusal, in words.
macro_rules! refusal {
    ($handlers:expr, $config:expr) => {{
        let (_, fed) = feed();
        let How { inbox, .. } = How::default();
        let worker = Worker::open(fresh_path(), inbox, fed, $handlers, $config);
        let error: WorkerError = worker.map(drop).expect_err("it is refused");
        error.to_string()
    }};
}

fn nothing<E>(
    _: &rusqlite::Transaction<'_>,
    _: inbox::worker::Received<'_, E>,
) -> Result<(), inbox::HandlerError> {
    Ok(())
}

#[test]
fn handlers_that_cannot_be_told_apart_are_refused() {
    let twice = handlers()
        .on::<LeadCreated>()
        .or::<LeadCreatedV1>()
        .effect(nothing)
        .on::<LeadCreatedV1>()
        .effect(nothing);
    assert_eq!(
        refusal!(twice, WorkerConfig::default()),
        r#"the handlers: expected one for each type and schema version, found "two for crm.lead.created 1.0""#
    );
    assert_eq!(
        refusal!(handlers(), WorkerConfig::default()),
        "the handlers: expected at least one: `.on::<E>().effect(..)` names an event, and `.otherwise(..)` takes every event, found \"none\""
    );
}

#[derive(serde::Deserialize)]
struct Unconventional {}

impl Event for Unconventional {
    const TYPE: &'static str = "LeadCreated";
}

#[test]
fn a_type_that_no_event_can_have_is_refused() {
    let handlers = handlers().on::<Unconventional>().effect(nothing);
    assert_eq!(
        refusal!(handlers, WorkerConfig::default()),
        r#"the TYPE of a typed event: expected `domain.entity.action` in lower case, found "LeadCreated""#
    );
}

#[test]
fn an_order_that_its_inbox_cannot_keep_is_refused() {
    let day = Duration::from_secs(24 * 60 * 60);
    let refused = |window: Duration, order: ByKey| {
        let inbox = InboxConfig::new(window, RetryPolicy::DEFAULT).unwrap();
        let (_, fed) = feed();
        let handlers = handlers().otherwise(|_, _| Ok(()));
        let config = WorkerConfig::default().order(order);
        let worker = Worker::open(fresh_path(), inbox, fed, handlers, config);
        worker.map(drop).err().map(|error: WorkerError| error.to_string())
    };
    assert_eq!(refused(5 * day, ByKey::default()), None);
    assert_eq!(
        refused(4 * day, ByKey::default()).as_deref(),
        Some(
            "the dedup_window: expected longer than 4 days, for which an outbox names an event to the next of its \
             key (an inbox that has forgotten it waits for it), found \"345600s\""
        )
    );
    assert_eq!(
        refused(7 * day, ByKey::default().patience(Duration::from_secs(60))).as_deref(),
        Some(
            "the patience: expected at least 90s, for which the inbox retries (an event that is retried is not \
             missing), found \"60s\""
        )
    );
}

#[test]
fn what_sqlite_cannot_keep_is_refused() {
    let handlers = || handlers().otherwise(|_, _| Ok(()));
    assert_eq!(
        refusal!(handlers(), WorkerConfig::default().lanes(2)),
        r#"the lanes: expected 1 on SQLite, which has one writer, found "2""#
    );
    let bounded = WorkerConfig::default().handler_timeout(Duration::from_secs(1));
    assert_eq!(
        refusal!(handlers(), bounded),
        "the handler_timeout: expected none on SQLite, where a handler blocks its thread and cannot be stopped, found \"1s\""
    );
    let hasty = WorkerConfig::default().ack_timeout(Duration::ZERO);
    assert_eq!(
        refusal!(handlers(), hasty),
        r#"the ack_timeout: expected more than 0s, and at most a day, found "0ns""#
    );
}

/// Protects what is handled from being handled by another consumer at the same time.
#[test]
fn a_broker_that_does_not_wait_for_the_transaction_is_refused() {
    let worker = |ack_wait| {
        let fed = feed().1.with_ack_wait(Duration::from_millis(ack_wait));
        let handlers = handlers().otherwise(|_, _| Ok(()));
        let (inbox, config) = (How::default().inbox, WorkerConfig::default());
        Worker::open(fresh_path(), inbox, fed, handlers, config)
    };
    assert_eq!(
        worker(249).map(drop).map_err(|error| error.to_string()),
        Err("the ack_wait of the consumer: expected at least 250ms, in which a \
             transaction (250ms) and the handler_timeout of its last event (0ns) end: \
             or the broker delivers again what is still handled, found \"249ms\""
            .to_owned())
    );
    assert!(worker(250).is_ok());
}

/// The same, with the time that a handler may take; it is refused before it connects.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_broker_that_does_not_wait_for_a_handler_is_refused() {
    use integration_automation_patterns::inbox::postgres;

    let fed = feed().1.with_ack_wait(Duration::from_secs(30));
    let handlers = postgres::handlers().otherwise(async |_, _| Ok(()));
    let patient = WorkerConfig::default().handler_timeout(Duration::from_secs(30));
    let nowhere = tokio_postgres::Config::new();
    let inbox = How::default().inbox;
    let worker = postgres::Worker::connect(nowhere, inbox, fed, handlers, patient).await;
    let error = worker.map(drop).expect_err("it is refused").to_string();
    assert!(error.contains("at least 30.25s") && error.contains("30s"), "{error}");
}
