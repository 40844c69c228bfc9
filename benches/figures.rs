//! The figures of the guide's chapter `figures`: each a ratio of two things measured in
//! turn, in one run.
//!
//! A ratio is the median over many rounds, each of which times both sides. It depends on
//! the machine far less than a time does.

use std::hint::black_box;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::time::{Duration, Instant};

use backon::BackoffBuilder;
use chrono::{DateTime, Utc};
use integration_automation_patterns::state::{Dispatched, Pending};
use integration_automation_patterns::{Envelope, EventId, RetryPolicy};
use support::reconcile::{self, Snapshots, contact, snapshots};
use support::{
    ByHand, LeadCreated, MOMENT, by_hand, called, deliver_all, deliver_all_by_hand,
    envelope, fresh_by_hand, fresh_envelope,
};

mod support;

const ROUNDS: usize = 301;
const CALLS: u32 = 2_000;

/// The time of many calls, one after another, all in the cache. What they give back is
/// written where it stays, and not dropped: neither a copy of it nor its end is what is
/// measured. None of it holds memory.
fn time<T>(mut work: impl FnMut() -> T) -> Duration {
    let mut place = MaybeUninit::uninit();
    let start = Instant::now();
    for _ in 0..CALLS {
        black_box(&mut place).write(work());
    }
    start.elapsed()
}

/// Leaves what a call gave back where it is.
#[inline(always)]
fn keep<T>(value: T) {
    black_box(&ManuallyDrop::new(value));
}

/// The time of one call that uses up its input, made beforehand.
fn time_once<I, T>(input: I, work: impl FnOnce(I) -> T) -> Duration {
    let input = black_box(input);
    let start = Instant::now();
    let result = black_box(work(input));
    let elapsed = start.elapsed();
    drop(result);
    elapsed
}

/// The time of a call for each of many events, made beforehand.
fn time_each<E, T>(make: fn(u64, DateTime<Utc>) -> E, work: impl Fn(E) -> T) -> Duration {
    let events =
        (0..u64::from(CALLS)).map(|number| make(number, MOMENT)).collect::<Vec<_>>();
    time_once(events, |events| {
        for event in events {
            black_box(work(event));
        }
    })
}

fn print(
    what: &str,
    reach: &str,
    rounds: usize,
    mut round: impl FnMut() -> (Duration, Duration),
) {
    round();
    let ratio =
        |(ours, theirs): (Duration, Duration)| ours.as_secs_f64() / theirs.as_secs_f64();
    let mut ratios = (0..rounds).map(|_| ratio(round())).collect::<Vec<_>>();
    ratios.sort_by(f64::total_cmp);
    println!("| {what} | {:.2} | {reach} |", ratios[rounds / 2]);
}

fn main() {
    let beside = size_of::<Envelope<Pending, LeadCreated>>() - size_of::<LeadCreated>();
    let sizes = (beside, size_of::<Envelope<Pending>>(), size_of::<ByHand>());
    println!("| figure | measured | reach |");
    println!("|---|---|---|");
    println!("| bytes of an envelope beside its payload | {} | at most 80 |", sizes.0);
    println!("| bytes of an envelope of a raw payload | {} | |", sizes.1);
    println!("| bytes of the struct by hand | {} | |", sizes.2);

    print_creation();
    print_transitions();

    let event = envelope(7, MOMENT).dispatch();
    let line = event.audit_line().to_string();
    let mut out = String::with_capacity(512);
    print("audit line, beside a copy of the finished line", "at most 8", ROUNDS, || {
        let ours = time(|| write_line(&mut out, &event));
        (ours, time(|| copy(&mut out, &line)))
    });
    print("audit line, beside `write!` with chrono", "", ROUNDS, || {
        let ours = time(|| write_line(&mut out, &event));
        let theirs = time(|| {
            out.clear();
            support::write_line_by_hand(&mut out, &event);
        });
        (ours, theirs)
    });

    let peer = backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(30))
        .with_max_delay(Duration::from_secs(3600))
        .with_max_times(8);
    let policy = RetryPolicy::DEFAULT;
    print("eight waits, beside `backon`", "", ROUNDS, || {
        let ours =
            time(|| (0..8).map(|retry| black_box(&policy).wait(retry)).sum::<Duration>());
        (ours, time(|| black_box(&peer).build().sum::<Duration>()))
    });
    print_reconcile();
    print_flat();
    print("a fresh id, beside `Uuid::now_v7`", "", ROUNDS, || {
        (time(EventId::generate), time(uuid::Uuid::now_v7))
    });
}

/// An event of one's own in the cache: nothing of it is there before.
fn print_creation() {
    print("create, beside the struct by hand", "", ROUNDS, || {
        let ours = time(|| envelope(black_box(7), black_box(MOMENT)));
        (ours, time(|| by_hand(black_box(7), black_box(MOMENT))))
    });
    print(
        "create with a fresh id at the present time, beside the struct by hand",
        "",
        ROUNDS,
        || (time(|| fresh_envelope(black_box(7))), time(|| fresh_by_hand(black_box(7)))),
    );
    print(
        "create and three transitions, inlined, beside the struct by hand",
        "at most 1.1",
        ROUNDS,
        || {
            let ours = time(|| {
                envelope(black_box(7), black_box(MOMENT))
                    .dispatch()
                    .acknowledge()
                    .process()
            });
            let theirs = time(|| {
                let mut event = by_hand(black_box(7), black_box(MOMENT));
                event.dispatch();
                event.acknowledge();
                event.process();
                event
            });
            (ours, theirs)
        },
    );
    print(
        "create and three transitions as calls, beside the struct by hand",
        "",
        ROUNDS,
        || {
            let ours = time(|| {
                let event = called::create(black_box(7), black_box(MOMENT));
                keep(called::process(called::acknowledge(called::dispatch(event))))
            });
            let theirs = time(|| {
                let mut event = called::create_by_hand(black_box(7), black_box(MOMENT));
                called::dispatch_by_hand(&mut event);
                called::acknowledge_by_hand(&mut event);
                called::process_by_hand(&mut event);
                keep(event)
            });
            (ours, theirs)
        },
    );
}

/// Many events that were there before: the smaller one has the more of them in the cache.
fn print_transitions() {
    print(
        "three transitions of each of 2000 events, inlined, beside the struct by hand",
        "",
        ROUNDS,
        || {
            let ours =
                time_each(envelope, |event| event.dispatch().acknowledge().process());
            let theirs = time_each(by_hand, |mut event| {
                event.dispatch();
                event.acknowledge();
                event.process();
                event
            });
            (ours, theirs)
        },
    );
    print(
        "three transitions of each of 2000 events, as calls, beside the struct by hand",
        "",
        ROUNDS,
        || {
            let ours = time_each(envelope, |event| {
                called::process(called::acknowledge(called::dispatch(event)))
            });
            let theirs = time_each(by_hand, |mut event| {
                called::dispatch_by_hand(&mut event);
                called::acknowledge_by_hand(&mut event);
                called::process_by_hand(&mut event);
                event
            });
            (ours, theirs)
        },
    );
    print(
        "three transitions of a million events in place, beside the struct by hand",
        "at most 1.0",
        15,
        || {
            let ours =
                (0..1_000_000).map(|number| envelope(number, MOMENT)).collect::<Vec<_>>();
            let ours = time_once(ours, deliver_all);
            let theirs =
                (0..1_000_000).map(|number| by_hand(number, MOMENT)).collect::<Vec<_>>();
            (ours, time_once(theirs, deliver_all_by_hand))
        },
    );
}

/// What a record costs among a million, beside what it costs among a thousand: a thousand
/// times a thousand, the same work.
fn print_flat() {
    let many = (0..1_000_000)
        .map(|number| snapshots(number, number % 4 == 0))
        .collect::<Vec<_>>();
    let few =
        (0..1_000).map(|number| snapshots(number, number % 4 == 0)).collect::<Vec<_>>();
    let by_hand = |records: &[Snapshots]| {
        black_box(records).iter().map(reconcile::by_hand).sum::<usize>()
    };
    let reconcile = |records: &[Snapshots]| {
        black_box(records).iter().map(reconcile::declared).sum::<usize>()
    };
    print(
        "a declared boundary, a record among a million, beside one among a thousand",
        "flat",
        15,
        || {
            let start = Instant::now();
            black_box(reconcile(&many));
            let of_many = start.elapsed();
            let start = Instant::now();
            black_box((0..1_000).map(|_| reconcile(&few)).sum::<usize>());
            (of_many, start.elapsed())
        },
    );
    print(
        "a declared boundary, a million records of 8 fields, beside the rules by hand",
        "at most 1.05",
        15,
        || {
            let start = Instant::now();
            black_box(reconcile(&many));
            let ours = start.elapsed();
            let start = Instant::now();
            black_box(by_hand(&many));
            (ours, start.elapsed())
        },
    );
    print(
        "the rules by hand, a record among a million, beside one among a thousand",
        "",
        15,
        || {
            let start = Instant::now();
            black_box(by_hand(&many));
            let of_many = start.elapsed();
            let start = Instant::now();
            black_box((0..1_000).map(|_| by_hand(&few)).sum::<usize>());
            (of_many, start.elapsed())
        },
    );
}

/// The reconcile kernel, a thousand records at a time.
fn print_reconcile() {
    reconcile::assert_by_hand_decides_alike();
    let contract = contact::contract().unwrap();
    for (what, conflicting) in [("agreeing", false), ("conflicting", true)] {
        let records =
            (0..1000).map(|number| snapshots(number, conflicting)).collect::<Vec<_>>();
        let maps = records.iter().map(reconcile::maps).collect::<Vec<_>>();
        let all = |reconcile: fn(&Snapshots) -> usize| {
            let start = Instant::now();
            black_box(black_box(&records).iter().map(reconcile).sum::<usize>());
            start.elapsed()
        };
        let dynamic = || {
            let start = Instant::now();
            black_box(
                black_box(&maps)
                    .iter()
                    .map(|maps| reconcile::dynamic(&contract, maps))
                    .sum::<usize>(),
            );
            start.elapsed()
        };
        let by_hand = || (all(reconcile::declared), all(reconcile::by_hand));
        print(
            &format!(
                "a declared boundary, {what} records of 8 fields, beside the rules by hand"
            ),
            "at most 1.05",
            ROUNDS,
            by_hand,
        );
        let reach = "at most 0.05";
        let of_maps = || (all(reconcile::declared), dynamic());
        print(
            &format!(
                "a declared boundary, {what} records of 8 fields, beside maps of values"
            ),
            reach,
            ROUNDS,
            of_maps,
        );
    }
}

fn write_line(out: &mut String, event: &Envelope<Dispatched, LeadCreated>) {
    out.clear();
    black_box(event).audit_line().write_to(out).unwrap();
    black_box(out);
}

fn copy(out: &mut String, line: &str) {
    out.clear();
    out.push_str(black_box(line));
    black_box(out);
}
