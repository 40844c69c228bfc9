//! What a workflow costs in a database, each figure a ratio of two things measured in turn
//! in one run.
//!
//! The bare statements are what a program by hand writes that stores the same: the row of
//! the instance, a line of its journal, the command in the outbox and the reply in the
//! inbox, in the same transactions, on tables made by the same SQL, with prepared
//! statements and values that are text already. They check nothing, count no votes, and
//! know no deadline.
//!
//! `cargo bench --bench workflow --features sqlite,workflow`, with `postgres` for both
//! databases; `-- quick` is for a try, with a tenth of the instances beside.

mod bare;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
#[path = "../../tests/support/servers.rs"]
mod servers;
#[path = "../support/side_by_side.rs"]
mod side_by_side;
mod sqlite;
mod table;

use std::error::Error;
use std::time::Duration;

use integration_automation_patterns::RetryPolicy;
use integration_automation_patterns::inbox::InboxConfig;

pub(crate) use self::side_by_side::{median, ratio, timed};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How much is measured: in full, or for a try.
#[derive(Clone, Copy)]
pub(crate) struct Amount {
    /// How often two sides are compared.
    pub(crate) pairs: usize,
    /// The instances that wait beside the one that is due.
    pub(crate) depths: [u32; 2],
}

const IN_FULL: Amount = Amount { pairs: 301, depths: [1_000, 1_000_000] };
const QUICK: Amount = Amount { pairs: 51, depths: [1_000, 100_000] };

/// The instances beside the one that is due: their state, the workflow that they are of,
/// and in how many seconds the first of them is due.
pub(crate) const BESIDE: [(&str, &str, i32); 2] = [
    ("that wait", "orders", 3_600),
    ("that are due and of a workflow that no clerk takes", "other", -86_400),
];

fn main() -> Outcome {
    let quick = std::env::args().any(|argument| argument == "quick");
    let amount = if quick { QUICK } else { IN_FULL };
    println!("| figure | measured | reach |");
    println!("|---|---|---|");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        sqlite::measure(amount).await?;
        #[cfg(feature = "postgres")]
        postgres::measure(amount).await?;
        Ok(())
    })
}

pub(crate) fn inbox_config() -> Outcome<InboxConfig> {
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    Ok(InboxConfig::new(week, RetryPolicy::DEFAULT)?)
}

/// Prints how many instances go through three steps a second, beside the bare statements.
pub(crate) fn print_rate(database: &str, ratio: f64) {
    println!(
        "| {database}: instances per second through three steps, beside the bare statements | {ratio:.2} | at least 0.6 |"
    );
}

/// How long a clerk takes beside few instances and beside many: to find that nothing is
/// due, and to take the one that is.
#[derive(Default)]
pub(crate) struct Rounds {
    pub(crate) looks: Vec<[Duration; 2]>,
    pub(crate) turns: Vec<[Duration; 2]>,
}

impl Rounds {
    /// Prints how each depends on the instances beside: the median of the rounds.
    pub(crate) fn print(&self, database: &str, state: &str, amount: Amount) {
        let [few, many] = amount.depths;
        for (what, times) in [("look", &self.looks), ("turn", &self.turns)] {
            let ratio =
                |[few, many]: &[Duration; 2]| many.as_secs_f64() / few.as_secs_f64();
            println!(
                "| {database}: a clerk's {what} beside {many} instances {state}, beside {few} | {:.2} | at most 1.5 |",
                median(times.iter().map(ratio).collect())
            );
        }
    }
}
