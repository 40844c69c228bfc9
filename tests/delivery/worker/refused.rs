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
