//! Which database is meant, and whether it holds what is asked about: no table is made where somebody mistyped a name.

use std::error::Error;
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use integration_automation_patterns::audit::AuditTrail;
use integration_automation_patterns::outbox::DeadLetter;
use integration_automation_patterns::{EventId, inbox, outbox};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::arguments::Command;
use crate::report::{Outcome, Report};
use crate::work;

/// Does what was asked, on the database that was named.
pub(crate) async fn run(database: &OsStr, command: &Command) -> Result<Report, String> {
    let url = database.to_str().filter(|text| text.starts_with("postgres://") || text.starts_with("postgresql://"));
    match url {
        // The address may hold a password, so no error repeats it.
        Some(url) => on_postgres(url, command).await.map_err(|error| format!("postgres: {}", chain(&*error))),
        None => {
            let path = Path::new(database);
            on_sqlite(path, command).await.map_err(|error| format!("{}: {}", path.display(), chain(&*error)))
        }
    }
}

/// The table that a command is about.
const fn table(command: &Command) -> &'static str {
    match command {
        Command::InboxList { .. } | Command::InboxDiscard { .. } => "inbox_event",
        Command::Outbox(_) => "outbox_event",
    }
}

fn no_table(command: &Command) -> String {
    format!("wanted a database with a table {}, and this one has none", table(command))
}

/// What an inbox answers that was asked for one dead letter more than is wanted.
fn listed(mut letters: Vec<DeadLetter>, limit: usize) -> Report {
    let more = letters.len() > limit;
    letters.truncate(limit);
    Report::Dead { letters, unreadable: Vec::new(), more }
}

fn discarded(was_there: bool, id: &EventId) -> Report {
    if was_there {
        Report::Decided { decided: vec![(id.clone(), Outcome::Discarded)], unreadable: Vec::new() }
    } else {
        Report::NoneSuch { id: id.clone(), wanted: "dead letter (of this source)" }
    }
}

async fn on_sqlite(path: &Path, command: &Command) -> Result<Report, Box<dyn Error>> {
    // A file that is not there is not made.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let found = connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1", [table(command)], |_| Ok(()))
        .optional()?;
    if found.is_none() {
        return Err(no_table(command).into());
    }
    Ok(match command {
        Command::InboxList { filter, limit } => {
            listed(inbox::sqlite::dead_letters(&connection, filter, limit.saturating_add(1))?, *limit)
        }
        Command::InboxDiscard { source, id, decision } => {
            discarded(inbox::sqlite::discard(&mut connection, source, id, decision.clone(), &AuditTrail::silent())?, id)
        }
        Command::Outbox(command) => {
            drop(connection);
            work::run(&outbox::sqlite::Outbox::open(path)?, command).await?
        }
    })
}

#[cfg(feature = "postgres")]
async fn on_postgres(url: &str, command: &Command) -> Result<Report, Box<dyn Error>> {
    let config: tokio_postgres::Config = url.parse()?;
    let (mut client, connection) = config.connect(tokio_postgres::NoTls).await?;
    // It ends with its client.
    tokio::spawn(connection);
    let sql = format!("SELECT to_regclass('{}') IS NOT NULL", table(command));
    if !client.query_one(&sql, &[]).await?.try_get::<_, bool>(0)? {
        return Err(no_table(command).into());
    }
    Ok(match command {
        Command::InboxList { filter, limit } => {
            listed(inbox::postgres::dead_letters(&client, filter, limit.saturating_add(1)).await?, *limit)
        }
        Command::InboxDiscard { source, id, decision } => discarded(
            inbox::postgres::discard(&mut client, source, id, decision.clone(), &AuditTrail::silent()).await?,
            id,
        ),
        Command::Outbox(command) => {
            drop(client);
            work::run(&outbox::postgres::Outbox::connect(config).await?, command).await?
        }
    })
}

#[cfg(not(feature = "postgres"))]
async fn on_postgres(_url: &str, _command: &Command) -> Result<Report, Box<dyn Error>> {
    Err("this program was built without the feature `postgres`".into())
}

/// An error with those of its causes that it does not name itself.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let why = error.to_string();
        if !text.contains(&why) {
            text.push_str(": ");
            text.push_str(&why);
        }
        cause = error.source();
    }
    text
}
