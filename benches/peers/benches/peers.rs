//! The envelope beside a machine of `statum` and an event of `cloudevents-sdk`.

use std::hint::black_box;

use chrono::{DateTime, Utc};
use cloudevents::{EventBuilder, EventBuilderV10};
use divan::{AllocProfiler, Bencher};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Envelope, Event, EventId};
use statum::{machine, state, transition};
use uuid::Uuid;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

struct LeadCreated(#[allow(dead_code, reason = "only its size counts")] u64);

impl Event for LeadCreated {
    const TYPE: &'static str = "crm.lead.created";
}

/// A time as given from outside, made once: to make one costs more than to create an
/// event.
const MOMENT: DateTime<Utc> = DateTime::from_timestamp(1_767_600_000, 123_456_000).unwrap();

#[inline(always)]
fn envelope(number: u64) -> Envelope<Pending, LeadCreated> {
    let id = EventId::from(Uuid::from_u128(u128::from(number)));
    Envelope::builder("crm", LeadCreated(number)).id(id).build_at(black_box(MOMENT)).unwrap()
}

#[state]
enum Stage {
    Waiting,
    Sent,
    Held,
    Done,
}

/// What a typed envelope without tags holds, in plainer types: an id that can only be a
/// UUID, a source that can only be a literal. Nothing is checked.
#[machine]
struct Parcel<Stage> {
    id: Uuid,
    source_system: &'static str,
    created_at: DateTime<Utc>,
    attempts: u32,
    payload: LeadCreated,
}

#[transition]
impl Parcel<Waiting> {
    fn dispatch(mut self) -> Parcel<Sent> {
        self.attempts += 1;
        self.transition()
    }
}

#[transition]
impl Parcel<Sent> {
    fn acknowledge(self) -> Parcel<Held> {
        self.transition()
    }
}

#[transition]
impl Parcel<Held> {
    fn process(self) -> Parcel<Done> {
        self.transition()
    }
}

#[inline(always)]
fn parcel(number: u64) -> Parcel<Waiting> {
    Parcel::<Waiting>::builder()
        .id(Uuid::from_u128(u128::from(number)))
        .source_system("crm")
        .created_at(black_box(MOMENT))
        .attempts(0)
        .payload(LeadCreated(number))
        .build()
}

#[divan::bench_group]
mod create {
    use super::{EventBuilder, EventBuilderV10, MOMENT, black_box, envelope, parcel};

    #[divan::bench]
    #[inline(always)]
    fn ours() -> impl Sized {
        envelope(black_box(7))
    }

    #[divan::bench]
    #[inline(always)]
    fn statum() -> impl Sized {
        parcel(black_box(7))
    }

    #[divan::bench]
    fn cloudevents_sdk() -> impl Sized {
        let event = EventBuilderV10::new().id(black_box("evt-001")).source("crm").ty("crm.lead.created");
        event.time(black_box(MOMENT)).data("application/octet-stream", vec![7_u8]).build()
    }
}

#[divan::bench_group]
mod create_as_a_call {
    use super::{Envelope, LeadCreated, Parcel, Pending, Waiting, black_box};

    #[inline(never)]
    fn envelope(number: u64) -> Envelope<Pending, LeadCreated> {
        super::envelope(number)
    }

    #[inline(never)]
    fn parcel(number: u64) -> Parcel<Waiting> {
        super::parcel(number)
    }

    #[divan::bench]
    #[inline(always)]
    fn ours() -> impl Sized {
        envelope(black_box(7))
    }

    #[divan::bench]
    #[inline(always)]
    fn statum() -> impl Sized {
        parcel(black_box(7))
    }
}

#[divan::bench_group]
mod create_and_three_transitions {
    use super::{black_box, envelope, parcel};

    #[divan::bench]
    #[inline(always)]
    fn ours() -> impl Sized {
        envelope(black_box(7)).dispatch().acknowledge().process()
    }

    #[divan::bench]
    #[inline(always)]
    fn statum() -> impl Sized {
        parcel(black_box(7)).dispatch().acknowledge().process()
    }
}

#[divan::bench_group(sample_count = 10, sample_size = 1)]
mod three_transitions_of_a_million_in_place {
    use super::{Bencher, envelope, parcel};

    #[divan::bench]
    fn ours(bencher: Bencher) {
        bencher.with_inputs(|| (0..1_000_000).map(envelope).collect::<Vec<_>>()).bench_values(|events| {
            events.into_iter().map(|event| event.dispatch().acknowledge().process()).collect::<Vec<_>>()
        });
    }

    #[divan::bench]
    fn statum(bencher: Bencher) {
        bencher.with_inputs(|| (0..1_000_000).map(parcel).collect::<Vec<_>>()).bench_values(|parcels| {
            parcels.into_iter().map(|parcel| parcel.dispatch().acknowledge().process()).collect::<Vec<_>>()
        });
    }
}
