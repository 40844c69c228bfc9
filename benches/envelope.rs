//! Times and allocations of the envelope, each beside what one would use instead; ratios
//! stand in `figures`.
//!
//! What is created stays where it is created, and is dropped out of the time. `inlined`
//! means so on both sides: a call that gives a value back has it copied to its place,
//! which costs either side more than all the rest.

use std::hint::black_box;

use backon::BackoffBuilder;
use divan::{AllocProfiler, Bencher};
use integration_automation_patterns::{AuditLine, EventId, RetryPolicy};
use support::{
    MOMENT, by_hand, called, deliver_all, deliver_all_by_hand, envelope, fresh_by_hand,
    fresh_envelope,
};

mod support;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench_group]
mod create_inlined {
    use super::{MOMENT, black_box, by_hand, envelope};

    #[divan::bench]
    #[inline(always)]
    fn ours() -> impl Sized {
        envelope(black_box(7), black_box(MOMENT))
    }

    #[divan::bench]
    #[inline(always)]
    fn struct_by_hand() -> impl Sized {
        by_hand(black_box(7), black_box(MOMENT))
    }
}

#[divan::bench_group]
mod create_as_a_call {
    use super::{MOMENT, black_box, called};

    #[divan::bench]
    #[inline(always)]
    fn ours() -> impl Sized {
        called::create(black_box(7), black_box(MOMENT))
    }

    #[divan::bench]
    #[inline(always)]
    fn struct_by_hand() -> impl Sized {
        called::create_by_hand(black_box(7), black_box(MOMENT))
    }
}

#[divan::bench_group]
mod create_with_a_fresh_id_now {
    use super::{black_box, fresh_by_hand, fresh_envelope};

    #[divan::bench]
    #[inline(always)]
    fn ours() -> impl Sized {
        fresh_envelope(black_box(7))
    }

    #[divan::bench]
    #[inline(always)]
    fn struct_by_hand() -> impl Sized {
        fresh_by_hand(black_box(7))
    }
}

#[divan::bench_group]
mod create_and_three_transitions_inlined {
    use super::{MOMENT, black_box, by_hand, envelope};

    #[divan::bench]
    #[inline(always)]
    fn ours() -> impl Sized {
        envelope(black_box(7), black_box(MOMENT)).dispatch().acknowledge().process()
    }

    #[divan::bench]
    #[inline(always)]
    fn struct_by_hand() -> impl Sized {
        let mut event = by_hand(black_box(7), black_box(MOMENT));
        event.dispatch();
        event.acknowledge();
        event.process();
        event
    }
}

#[divan::bench_group]
mod create_and_three_transitions_as_calls {
    use super::{MOMENT, black_box, called};

    #[divan::bench]
    #[inline(always)]
    fn ours() -> impl Sized {
        let event = called::create(black_box(7), black_box(MOMENT));
        called::process(called::acknowledge(called::dispatch(event)))
    }

    #[divan::bench]
    #[inline(always)]
    fn struct_by_hand() -> impl Sized {
        let mut event = called::create_by_hand(black_box(7), black_box(MOMENT));
        called::dispatch_by_hand(&mut event);
        called::acknowledge_by_hand(&mut event);
        called::process_by_hand(&mut event);
        event
    }
}

#[divan::bench_group(sample_count = 10, sample_size = 1)]
mod three_transitions_of_a_million_in_place {
    use super::{Bencher, MOMENT, by_hand, deliver_all, deliver_all_by_hand, envelope};

    #[divan::bench]
    fn ours(bencher: Bencher) {
        let events =
            || (0..1_000_000).map(|number| envelope(number, MOMENT)).collect::<Vec<_>>();
        bencher.with_inputs(events).bench_values(deliver_all);
    }

    #[divan::bench]
    fn struct_by_hand(bencher: Bencher) {
        let events =
            || (0..1_000_000).map(|number| by_hand(number, MOMENT)).collect::<Vec<_>>();
        bencher.with_inputs(events).bench_values(deliver_all_by_hand);
    }
}

#[divan::bench_group]
mod audit_line {
    use super::{AuditLine, Bencher, MOMENT, black_box, envelope, support};

    #[divan::bench]
    fn ours(bencher: Bencher) {
        let event = envelope(7, MOMENT).dispatch();
        let mut out = String::with_capacity(512);
        bencher.bench_local(|| {
            out.clear();
            black_box(&event).audit_line().write_to(&mut out)
        });
    }

    #[divan::bench]
    fn write_with_chrono(bencher: Bencher) {
        let event = envelope(7, MOMENT).dispatch();
        let mut out = String::with_capacity(512);
        bencher.bench_local(|| {
            out.clear();
            support::write_line_by_hand(&mut out, black_box(&event));
        });
    }

    #[divan::bench]
    fn copy_of_the_finished_line(bencher: Bencher) {
        let line = envelope(7, MOMENT).dispatch().audit_line().to_string();
        let mut out = String::with_capacity(512);
        bencher.bench_local(|| {
            out.clear();
            out.push_str(black_box(&line));
        });
    }

    #[divan::bench]
    fn parse(bencher: Bencher) {
        let line = envelope(7, MOMENT).dispatch().audit_line().to_string();
        bencher.bench(|| AuditLine::parse(black_box(&line)).is_ok());
    }
}

#[divan::bench_group]
mod eight_waits {
    use std::time::Duration;

    use super::{BackoffBuilder, EventId, RetryPolicy, black_box};

    #[divan::bench]
    fn ours() -> Duration {
        (0..8).map(|retry| black_box(RetryPolicy::DEFAULT).wait(retry)).sum()
    }

    #[divan::bench]
    fn ours_with_full_jitter(bencher: divan::Bencher) {
        let id = EventId::generate();
        let policy = RetryPolicy::DEFAULT.with_full_jitter();
        bencher.bench(|| {
            (0..8).map(|retry| black_box(policy).wait_for(&id, retry)).sum::<Duration>()
        });
    }

    #[divan::bench]
    fn backon() -> Duration {
        let builder = backon::ExponentialBuilder::default()
            .with_min_delay(Duration::from_secs(30))
            .with_max_delay(Duration::from_secs(3600))
            .with_max_times(8);
        black_box(builder).build().sum()
    }
}

#[divan::bench_group]
mod id {
    use super::{EventId, black_box};

    #[divan::bench]
    fn fresh() -> EventId {
        EventId::generate()
    }

    #[divan::bench]
    fn derived() -> impl Sized {
        EventId::derived(black_box("payroll"), black_box("evt-001"))
    }

    #[divan::bench]
    fn of_another_system() -> impl Sized {
        black_box("evt_1IuKmFQveW0ONQsdEAB1O64Y").parse::<EventId>()
    }

    #[divan::bench]
    fn uuid_v7() -> impl Sized {
        uuid::Uuid::now_v7()
    }
}
