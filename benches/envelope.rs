//! Times and allocations of the envelope, each beside what one would use instead; ratios
//! stand in `figures`.

use std::hint::black_box;

use backon::BackoffBuilder;
use divan::{AllocProfiler, Bencher};
use integration_automation_patterns::{AuditLine, EventId, RetryPolicy};
use support::{by_hand, called, deliver_all, deliver_all_by_hand, envelope, moment};

mod support;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench_group]
mod create {
    use super::{black_box, by_hand, envelope, moment};

    #[divan::bench]
    fn ours() -> impl Sized {
        envelope(black_box(7), moment())
    }

    #[divan::bench]
    fn struct_by_hand() -> impl Sized {
        by_hand(black_box(7), moment())
    }
}

#[divan::bench_group]
mod three_transitions_inlined {
    use super::{black_box, by_hand, envelope, moment};

    #[divan::bench]
    fn ours() -> impl Sized {
        envelope(black_box(7), moment()).dispatch().acknowledge().process()
    }

    #[divan::bench]
    fn struct_by_hand() -> impl Sized {
        let mut event = by_hand(black_box(7), moment());
        event.dispatch();
        event.acknowledge();
        event.process();
        event
    }
}

#[divan::bench_group]
mod three_transitions_as_calls {
    use super::{black_box, by_hand, called, envelope, moment};

    #[divan::bench]
    fn ours() -> impl Sized {
        called::process(called::acknowledge(called::dispatch(envelope(
            black_box(7),
            moment(),
        ))))
    }

    #[divan::bench]
    fn struct_by_hand() -> impl Sized {
        let mut event = by_hand(black_box(7), moment());
        called::dispatch_by_hand(&mut event);
        called::acknowledge_by_hand(&mut event);
        called::process_by_hand(&mut event);
        event
    }
}

#[divan::bench_group(sample_count = 10, sample_size = 1)]
mod three_transitions_of_a_million_in_place {
    use super::{Bencher, by_hand, deliver_all, deliver_all_by_hand, envelope, moment};

    #[divan::bench]
    fn ours(bencher: Bencher) {
        let events = || {
            (0..1_000_000).map(|number| envelope(number, moment())).collect::<Vec<_>>()
        };
        bencher.with_inputs(events).bench_values(deliver_all);
    }

    #[divan::bench]
    fn struct_by_hand(bencher: Bencher) {
        let events =
            || (0..1_000_000).map(|number| by_hand(number, moment())).collect::<Vec<_>>();
        bencher.with_inputs(events).bench_values(deliver_all_by_hand);
    }
}

#[divan::bench_group]
mod audit_line {
    use super::{AuditLine, Bencher, black_box, envelope, moment, support};

    #[divan::bench]
    fn ours(bencher: Bencher) {
        let event = envelope(7, moment()).dispatch();
        let mut out = String::with_capacity(512);
        bencher.bench_local(|| {
            out.clear();
            black_box(&event).audit_line().write_to(&mut out)
        });
    }

    #[divan::bench]
    fn write_with_chrono(bencher: Bencher) {
        let event = envelope(7, moment()).dispatch();
        let mut out = String::with_capacity(512);
        bencher.bench_local(|| {
            out.clear();
            support::write_line_by_hand(&mut out, black_box(&event));
        });
    }

    #[divan::bench]
    fn copy_of_the_finished_line(bencher: Bencher) {
        let line = envelope(7, moment()).dispatch().audit_line().to_string();
        let mut out = String::with_capacity(512);
        bencher.bench_local(|| {
            out.clear();
            out.push_str(black_box(&line));
        });
    }

    #[divan::bench]
    fn parse(bencher: Bencher) {
        let line = envelope(7, moment()).dispatch().audit_line().to_string();
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
