//! The desk of the workflows in one database, for whoever is on call: where each instance
//! is, what it waits for and since when, and what a person does about it. The table of the
//! orders and their people stand in `company.rs`: change its line `pub(crate) use` for the
//! table of your own.
//!
//! ```text
//! cargo run --example workflow --features workflow,sqlite -- <DATABASE> <COMMAND>
//! ```
//!
//! `--help` lists the commands; the guide's chapter on operating shows each with its
//! output.
//!
//! Exit codes: 0, it is done, or in order. 1, something waits for a person: `verify` found
//! something, a move was refused, or there is no instance of the id that was named. 2, the
//! command line is wrong, and nothing was done; or the database answered with an error.

mod arguments;
#[path = "../support/columns.rs"]
mod columns;
#[path = "../support/command_line.rs"]
mod command_line;
mod company;
mod database;
mod json;
#[path = "../support/json_line.rs"]
mod json_line;
#[cfg(feature = "postgres")]
#[path = "../support/line.rs"]
#[allow(dead_code, reason = "nothing is asked of an outbox")]
mod line;
mod look;
mod moves;
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
    Program("workflow").run(arguments::HELP, request, async |request| {
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
