//! `Command`: what leaves with a step, as an event.

use std::fmt;

use chrono::{DateTime, Utc};

use super::advance::AdvanceError;
use super::id::Correlation;
use super::wire::{Wire, WireError};
use crate::state::Pending;
use crate::{Envelope, Event, EventId, RawEvent, RetryPolicy};

/// What leaves with a step: an event of a derived id, so that it is one event however
/// often the step is taken.
#[derive(Clone)]
pub struct Command {
    id: EventId,
    correlation: String,
    ordering_key: String,
    event_type: &'static str,
    schema_version: &'static str,
    retry_policy: RetryPolicy,
    payload: Vec<u8>,
}

impl Command {
    pub(super) fn new<E: Event + Wire>(
        correlation: &Correlation,
        event: &E,
    ) -> Result<Self, WireError> {
        let (id, key) = (correlation.command_id(), correlation.ordering_key());
        Ok(Self::of::<E>(id, correlation.to_string(), key, event.write()?))
    }

    pub(super) fn of<E: Event>(
        id: EventId,
        correlation: String,
        ordering_key: String,
        payload: Vec<u8>,
    ) -> Self {
        Self {
            id,
            correlation,
            ordering_key,
            event_type: E::TYPE,
            schema_version: E::SCHEMA_VERSION,
            retry_policy: E::RETRY_POLICY,
            payload,
        }
    }

    /// The id.
    pub fn id(&self) -> &EventId {
        &self.id
    }

    /// What its participant is asked.
    pub fn event_type(&self) -> &'static str {
        self.event_type
    }

    /// What its reply carries back.
    pub fn correlation(&self) -> &str {
        &self.correlation
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(super) fn envelope(
        &self,
        source_system: &'static str,
        at: DateTime<Utc>,
    ) -> Result<Envelope<Pending>, AdvanceError> {
        let payload = RawEvent::new(self.event_type, self.payload.clone());
        let payload = payload.with_schema_version(self.schema_version);
        let builder = Envelope::builder(source_system, payload)
            .id(self.id.clone())
            .correlation_id(self.correlation.clone())
            .ordering_key(self.ordering_key.clone())
            .retry_policy(self.retry_policy);
        builder.build_at(at).map_err(|refused| AdvanceError::Event(refused.into_cause()))
    }
}

impl fmt::Debug for Command {
    /// Everything but the payload, which may hold what no log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("id", &self.id)
            .field("event_type", &self.event_type)
            .field("correlation", &self.correlation)
            .finish_non_exhaustive()
    }
}
