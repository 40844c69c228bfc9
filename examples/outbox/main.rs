//! The desk of an outbox, for whoever is on call: what waits, what has failed and why,
//! and what is decided about it.
//!
//! ```text
//! cargo run --example outbox --features sqlite -- <DATABASE> <COMMAND>
//! ```
//!
//! `--help` lists the commands; the guide's chapter on operating shows each with its
//! output.
//!
//! Exit codes: 0, it is done, or in order. 1, it is done as far as it can be, and
//! something waits for a person: `verify` found something, a redrive refused an event, a
//! dead letter is no valid event, or there is none of the id that was named. 2, the
//! command line is wrong, and nothing was done; or the database answered with an error.

mod arguments;
mod broker;
#[path = "../support/columns.rs"]
mod columns;
#[path = "../support/command_line.rs"]
mod command_line;
mod database;
mod json;
#[path = "../support/json_line.rs"]
mod json_line;
#[cfg(feature = "postgres")]
#[path = "../support/line.rs"]
mod line;
mod migrate;
#[path = "../support/place.rs"]
mod place;
#[cfg(feature = "postgres")]
mod postgres;
#[path = "../support/reason.rs"]
mod reason;
mod report;
mod sqlite;
#[path = "../support/terminal.rs"]
mod terminal;
mod text;
mod work;

use std::process::ExitCode;

use terminal::{Program, Said};

fn main() -> ExitCode {
    let request = arguments::read(lexopt::Parser::from_env());
    Program("outbox").run(arguments::HELP, request, async |request| {
        let report = database::run(&request).await?;
        Ok(Said {
            text: if request.as_json {
                json::write(&report)
            } else {
                text::write(&report)
            },
            note: report.note(),
            needs_a_person: report.needs_a_person(),
        })
    })
}
