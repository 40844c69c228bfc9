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
mod database;
mod json;
#[cfg(feature = "postgres")]
#[path = "../support/line.rs"]
mod line;
#[cfg(feature = "postgres")]
mod postgres;
#[path = "../support/reason.rs"]
mod reason;
mod report;
mod sqlite;
mod text;
mod work;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let request = match arguments::read(lexopt::Parser::from_env()) {
        Ok(Some(request)) => request,
        Ok(None) => return print(arguments::HELP, ExitCode::SUCCESS),
        Err(error) => {
            return complain(&format!("{error}\n(`outbox --help` lists what there is)"));
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build()
    {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error.to_string()),
    };
    match runtime.block_on(database::run(&request)) {
        Ok(report) => {
            if let Some(note) = report.note() {
                tell(&note);
            }
            let code = if report.needs_a_person() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
            print(
                &if request.as_json {
                    json::write(&report)
                } else {
                    text::write(&report)
                },
                code,
            )
        }
        Err(error) => complain(&error),
    }
}

/// Prints, and gives the exit code; a reader who has gone away is no error.
fn print(text: &str, code: ExitCode) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(&format!("the output: {error}"))
        }
        _ => code,
    }
}

fn complain(error: &str) -> ExitCode {
    tell(error);
    ExitCode::from(2)
}

/// Says something beside the output; where nobody can hear it, nothing can be done about
/// that.
fn tell(text: &str) {
    let lines = text.lines().map(text::printable).collect::<Vec<_>>().join("\n");
    let _ = writeln!(io::stderr(), "outbox: {lines}");
}
