//! What no worker is made of: settings and handlers that cannot hold their promise.
#![cfg(feature = "sqlite")]

use std::time::Duration;

use integration_automation_patterns::inbox::sqlite::{Worker, handlers};
use integration_automation_patterns::inbox::worker::{WorkerConfig, WorkerError};
use integration_automation_patterns::{Event, inbox};

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
        "one handler for each kind of event, and found two for crm.lead.created of schema version 1.0"
    );
    assert_eq!(
        refusal!(handlers(), WorkerConfig::default()),
        "a worker needs a handler: name an event with `.on::<E>().effect(..)`, or take all with `.otherwise(..)`"
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
        "the TYPE of a typed event is `domain.entity.action` in lower case, and found \"LeadCreated\""
    );
}

#[test]
fn what_sqlite_cannot_keep_is_refused() {
    let handlers = || handlers().otherwise(|_, _| Ok(()));
    assert_eq!(
        refusal!(handlers(), WorkerConfig::default().lanes(2)),
        "lanes = 1 does not hold on SQLite, which has one writer: 2"
    );
    let bounded = WorkerConfig::default().handler_timeout(Duration::from_secs(1));
    assert_eq!(
        refusal!(handlers(), bounded),
        "a handler_timeout cannot be kept on SQLite: a handler blocks its thread, and cannot be stopped"
    );
    let hasty = WorkerConfig::default().ack_timeout(Duration::ZERO);
    assert_eq!(
        refusal!(handlers(), hasty),
        "ack_timeout between 0s and a day does not hold: 0ns"
    );
}
