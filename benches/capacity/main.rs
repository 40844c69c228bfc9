//! How far one PostgreSQL database goes: what an event costs there, measured, and carried
//! to a billion events a day, with the part that gives way first.
//!
//! `cargo bench --bench capacity --features postgres`, with a PostgreSQL server on
//! 127.0.0.1 that has nothing else to do; `-- quick` is for a try. What is measured is
//! this machine's; what is assumed stands in `carry.rs`, by name.

mod carry;
mod cost;
mod database;
mod more;
#[path = "../../tests/support/servers.rs"]
mod servers;
#[path = "../support/delivery.rs"]
mod support;

pub(crate) use self::support::{AtOnce, Outcome, Ready, event};

/// How much is measured: in full, or for a try.
#[derive(Clone, Copy)]
pub(crate) struct Amount {
    /// The events of one measurement.
    pub(crate) events: usize,
    /// How often what an event costs is measured: the median counts.
    pub(crate) rounds: usize,
}

const IN_FULL: Amount = Amount { events: 20_000, rounds: 3 };
const QUICK: Amount = Amount { events: 4_000, rounds: 1 };

fn main() -> Outcome {
    let quick = std::env::args().any(|argument| argument == "quick");
    let amount = if quick { QUICK } else { IN_FULL };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(async {
        let costs = cost::measure(amount).await?;
        costs.print();
        let seconds = more::measure(amount).await?;
        carry::print(&costs, seconds);
        Ok(())
    });
    runtime.block_on(database::drop_it())?;
    measured
}
