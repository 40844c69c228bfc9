//! What the benches compare: the envelope beside the same fields in a struct that is
//! changed in place, as one would write it by hand.

#![allow(dead_code, reason = "no bench uses everything")]

pub(crate) mod reconcile;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use chrono::{DateTime, Utc};
use integration_automation_patterns::state::{
    Acknowledged, Dispatched, Pending, Processed,
};
use integration_automation_patterns::{
    DeliveryStatus, Envelope, Event, EventId, RetryPolicy,
};
use uuid::Uuid;

pub(crate) struct LeadCreated(pub(crate) u64);

impl Event for LeadCreated {
    const TYPE: &'static str = "crm.lead.created";
}

/// The eleven fields of an event, the status one of them, as one who writes no library
/// keeps them: a step is an assignment. Nothing is checked (a source that is empty, a
/// year that RFC 3339 cannot write), and there is no room for the last failure and a
/// person's decisions, which the envelope has beside these.
pub(crate) struct ByHand {
    pub(crate) id: EventId,
    pub(crate) event_type: &'static str,
    pub(crate) source_system: Cow<'static, str>,
    pub(crate) payload: LeadCreated,
    pub(crate) correlation_id: Option<String>,
    pub(crate) schema_version: &'static str,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) status: DeliveryStatus,
    pub(crate) attempts: u32,
    pub(crate) retry_policy: RetryPolicy,
    pub(crate) tags: BTreeMap<String, String>,
}

impl ByHand {
    #[inline]
    pub(crate) fn dispatch(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
        self.status = DeliveryStatus::Dispatched;
    }

    #[inline]
    pub(crate) fn acknowledge(&mut self) {
        self.status = DeliveryStatus::Acknowledged;
    }

    #[inline]
    pub(crate) fn process(&mut self) {
        self.status = DeliveryStatus::Processed;
    }
}

/// A time as given from outside, made once: to make one costs more than to create an
/// event.
pub(crate) const MOMENT: DateTime<Utc> =
    DateTime::from_timestamp(1_767_600_000, 123_456_000).unwrap();

pub(crate) fn id(number: u64) -> EventId {
    Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0000 | u128::from(number)).into()
}

#[inline(always)]
pub(crate) fn envelope(
    number: u64,
    moment: DateTime<Utc>,
) -> Envelope<Pending, LeadCreated> {
    Envelope::builder("crm", LeadCreated(number)).id(id(number)).build_at(moment).unwrap()
}

#[inline(always)]
pub(crate) fn by_hand(number: u64, created_at: DateTime<Utc>) -> ByHand {
    ByHand {
        id: id(number),
        event_type: LeadCreated::TYPE,
        source_system: "crm".into(),
        payload: LeadCreated(number),
        correlation_id: None,
        schema_version: LeadCreated::SCHEMA_VERSION,
        created_at,
        status: DeliveryStatus::Pending,
        attempts: 0,
        retry_policy: RetryPolicy::DEFAULT,
        tags: BTreeMap::new(),
    }
}

/// As most events are created: with a fresh id, at the present time.
#[inline(always)]
pub(crate) fn fresh_envelope(number: u64) -> Envelope<Pending, LeadCreated> {
    Envelope::builder("crm", LeadCreated(number)).build().unwrap()
}

#[inline(always)]
pub(crate) fn fresh_by_hand(number: u64) -> ByHand {
    ByHand { id: Uuid::now_v7().into(), ..by_hand(number, Utc::now()) }
}

/// Calls that the compiler may not see into: the envelope goes by value, the struct by
/// hand in place once it is there.
pub(crate) mod called {
    use super::{
        Acknowledged, ByHand, DateTime, Dispatched, Envelope, LeadCreated, Pending,
        Processed, Utc,
    };

    #[inline(never)]
    pub(crate) fn create(
        number: u64,
        moment: DateTime<Utc>,
    ) -> Envelope<Pending, LeadCreated> {
        super::envelope(number, moment)
    }

    #[inline(never)]
    pub(crate) fn create_by_hand(number: u64, moment: DateTime<Utc>) -> ByHand {
        super::by_hand(number, moment)
    }

    #[inline(never)]
    pub(crate) fn dispatch(
        event: Envelope<Pending, LeadCreated>,
    ) -> Envelope<Dispatched, LeadCreated> {
        event.dispatch()
    }

    #[inline(never)]
    pub(crate) fn acknowledge(
        event: Envelope<Dispatched, LeadCreated>,
    ) -> Envelope<Acknowledged, LeadCreated> {
        event.acknowledge()
    }

    #[inline(never)]
    pub(crate) fn process(
        event: Envelope<Acknowledged, LeadCreated>,
    ) -> Envelope<Processed, LeadCreated> {
        event.process()
    }

    #[inline(never)]
    pub(crate) fn dispatch_by_hand(event: &mut ByHand) {
        event.dispatch();
    }

    #[inline(never)]
    pub(crate) fn acknowledge_by_hand(event: &mut ByHand) {
        event.acknowledge();
    }

    #[inline(never)]
    pub(crate) fn process_by_hand(event: &mut ByHand) {
        event.process();
    }
}

pub(crate) fn deliver_all(
    events: Vec<Envelope<Pending, LeadCreated>>,
) -> Vec<Envelope<Processed, LeadCreated>> {
    events.into_iter().map(|event| event.dispatch().acknowledge().process()).collect()
}

pub(crate) fn deliver_all_by_hand(mut events: Vec<ByHand>) -> Vec<ByHand> {
    for event in &mut events {
        event.dispatch();
        event.acknowledge();
        event.process();
    }
    events
}

/// The audit line as one would write it with `write!` and chrono, unescaped.
pub(crate) fn write_line_by_hand(
    out: &mut String,
    event: &Envelope<Dispatched, LeadCreated>,
) {
    write!(
        out,
        "[INTEGRATION_EVENT] event_id={} type={} source={} status={} attempts={} correlation={} schema={} created={}",
        event.id(),
        event.event_type(),
        event.source_system(),
        event.status(),
        event.attempts(),
        event.correlation_id().unwrap_or("none"),
        event.schema_version(),
        event.created_at().format("%Y-%m-%dT%H:%M:%S%.6f%:z"),
    )
    .unwrap();
}
