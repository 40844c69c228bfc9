//! The costs carried to a billion events a day: how many a day each part of the database
//! bears, and which gives way first.

use crate::cost::{Cost, Costs, WEEK};
use crate::more::Seconds;

const EVENTS_A_DAY: f64 = 1e9;
const DAY: f64 = 24.0 * 60.0 * 60.0;

/// The rate of the busiest hour, beside the day's average.
const PEAK: f64 = 3.0;
/// The cores of the server. Each is taken to be one of this machine's.
const CORES: f64 = 32.0;
/// The bytes of log that disk and standbys take a second, for good.
const WAL_A_SECOND: f64 = 200e6;
/// The commits a second that one disk makes durable, many at a time.
const COMMITS_A_SECOND: f64 = 30e3;
/// The bytes of disk that tables and indexes may fill.
const DISK: f64 = 4e12;
/// For how many days either side keeps an event.
const KEPT: f64 = WEEK.as_secs() as f64 / DAY;
/// The transaction ids after which every table is frozen (`autovacuum_freeze_max_age`,
/// raised to what is left of 2^31 with a margin).
const IDS_UNTIL_FROZEN: f64 = 1e9;
/// How often a day a freeze of all tables may come.
const FREEZES_A_DAY: f64 = 2.0;
/// The share of its time for which the one vacuum that a table can have may work.
const VACUUM: f64 = 0.5;

/// A part of the database that is used up.
struct Part {
    name: &'static str,
    side: &'static str,
    /// The events a day at which it gives way.
    bears: f64,
}

/// The events a day of a part that is used up by rate.
fn by_rate(cost: f64, a_second: f64) -> f64 {
    a_second / cost * DAY / PEAK
}

fn parts(costs: &Costs, seconds: Seconds) -> Vec<Part> {
    let outbox = Cost::sum(&[costs.enqueued, costs.relayed, costs.outbox_purged]);
    let inbox = Cost::sum(&[costs.handled, costs.inbox_purged]);
    let of_this_machine =
        std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
    let mut parts = Vec::new();
    for (side, cost, seconds, kept) in [
        ("outbox", outbox, seconds.enqueued + seconds.relayed, costs.outbox_bytes),
        ("inbox", inbox, seconds.handled, costs.inbox_bytes),
    ] {
        for (name, bears) in [
            ("cores", by_rate(seconds * of_this_machine, CORES)),
            ("bytes of WAL", by_rate(cost.wal, WAL_A_SECOND)),
            ("commits on disk", by_rate(cost.transactions, COMMITS_A_SECOND)),
            ("disk", DISK / (kept * KEPT)),
            ("transaction ids", IDS_UNTIL_FROZEN * FREEZES_A_DAY / cost.ids),
        ] {
            parts.push(Part { name, side, bears });
        }
    }
    let bears = by_rate(costs.vacuum, VACUUM);
    parts.push(Part { name: "the vacuum of the table", side: "outbox", bears });
    parts.sort_by(|one, other| one.bears.total_cmp(&other.bears));
    parts
}

pub(crate) fn print(costs: &Costs, seconds: Seconds) {
    println!(
        "\n| what gives way, the first first | events a day | of 10^9 |\n|---|---|---|"
    );
    for Part { name, side, bears } in parts(costs, seconds) {
        let share = bears / EVENTS_A_DAY;
        println!("| {side}: {name} | {:.0} million | {share:.2} |", bears / 1e6);
    }
    let purged = Cost::sum(&[costs.outbox_purged, costs.inbox_purged]);
    let all = [costs.enqueued, costs.relayed, costs.handled, purged];
    println!(
        "\n| what purging takes, which dropping a partition saves | share |\n|---|---|"
    );
    let share = |of: fn(Cost) -> f64| of(purged) / of(Cost::sum(&all));
    println!("| bytes of WAL | {:.2} |", share(|cost| cost.wal));
    println!("| dead rows | {:.2} |", share(|cost| cost.dead));
}
