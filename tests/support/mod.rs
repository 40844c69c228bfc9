//! Deeds as data, for tests that walk an event through the lifecycle at random or as
//! recorded.

use chrono::{DateTime, Utc};
use integration_automation_patterns::{AnyEnvelope, Decision};

/// One thing that can be done to an event, whatever its state; what is illegal in a state
/// leaves it as it is.
#[derive(Debug, Clone)]
#[allow(dead_code, reason = "not every test does everything")]
pub(crate) enum Deed {
    Dispatch,
    Acknowledge,
    Process,
    Fail(String),
    Reject(String),
    Skip(String),
    Redrive(String),
    Discard(String),
}

/// The deed, at a given moment, as a `match` over the typed envelopes.
pub(crate) fn perform(event: AnyEnvelope, deed: &Deed, at: DateTime<Utc>) -> AnyEnvelope {
    let decision =
        |reason: &str| Decision::new_at("on-call", reason, at).expect("not blank");
    match (event, deed) {
        (AnyEnvelope::Pending(event), Deed::Dispatch) => event.dispatch().into(),
        (AnyEnvelope::Pending(event), Deed::Skip(reason)) => {
            event.skip(reason.as_str()).into()
        }
        (AnyEnvelope::Dispatched(event), Deed::Acknowledge) => event.acknowledge().into(),
        (AnyEnvelope::Dispatched(event), Deed::Process) => event.process().into(),
        (AnyEnvelope::Dispatched(event), Deed::Fail(reason)) => {
            event.fail_at(reason.clone(), at).into()
        }
        (AnyEnvelope::Dispatched(event), Deed::Reject(reason)) => {
            event.reject_at(reason.clone(), at).into()
        }
        (AnyEnvelope::Dispatched(event), Deed::Skip(reason)) => {
            event.skip(reason.as_str()).into()
        }
        (AnyEnvelope::Acknowledged(event), Deed::Process) => event.process().into(),
        (AnyEnvelope::Acknowledged(event), Deed::Fail(reason)) => {
            event.fail_at(reason.clone(), at).into()
        }
        (AnyEnvelope::Acknowledged(event), Deed::Reject(reason)) => {
            event.reject_at(reason.clone(), at).into()
        }
        (AnyEnvelope::Acknowledged(event), Deed::Skip(reason)) => {
            event.skip(reason.as_str()).into()
        }
        (AnyEnvelope::Retrying(event), Deed::Dispatch) => event.dispatch().into(),
        (AnyEnvelope::Retrying(event), Deed::Skip(reason)) => {
            event.skip(reason.as_str()).into()
        }
        (AnyEnvelope::Failed(event), Deed::Redrive(reason)) => {
            event.redrive(decision(reason)).into()
        }
        (AnyEnvelope::Failed(event), Deed::Discard(reason)) => {
            event.discard(decision(reason)).into()
        }
        (event, _) => event,
    }
}
