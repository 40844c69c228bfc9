//! A SQLite file: opened read-only where nothing is decided, and never made.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use integration_automation_patterns::audit::AuditTrail;
use integration_automation_patterns::inbox::sqlite as inbox;
use integration_automation_patterns::outbox::sqlite::Outbox;
use rusqlite::{Connection, OpenFlags};

use crate::arguments::{AskInbox, Command};
use crate::database::{discarded, held, listed, one, shown, stalled};
use crate::migrate;
use crate::report::Report;
use crate::work;

pub(crate) async fn run(
    path: &Path,
    command: &Command,
) -> Result<Report, Box<dyn Error + Send + Sync>> {
    match command {
        Command::Outbox(ask) => {
            let outbox = if ask.writes() {
                Outbox::open_existing(path)?
            } else {
                Outbox::open_read_only(path)?
            };
            Ok(work::run(&outbox, ask).await?)
        }
        Command::Inbox(ask) => {
            let mut connection = connect(path, matches!(ask, AskInbox::Discard { .. }))?;
            inbox::check_tables(&connection)?;
            in_inbox(&mut connection, ask)
        }
        Command::Migrate => migrate::sqlite(&mut connect(path, true)?),
    }
}

fn connect(path: &Path, to_write: bool) -> rusqlite::Result<Connection> {
    let access = if to_write {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    } else {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    };
    let connection =
        Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

fn in_inbox(
    connection: &mut Connection,
    ask: &AskInbox,
) -> Result<Report, Box<dyn Error + Send + Sync>> {
    Ok(match ask {
        AskInbox::Counts { stalled_after, .. } => Report::InboxCounts {
            counts: inbox::counts(connection, *stalled_after)?,
            lag: None,
        },
        AskInbox::List { filter, limit } => listed(
            inbox::dead_letters(connection, filter, limit.saturating_add(1))?,
            inbox::unreadable(connection, filter)?,
            *limit,
        ),
        AskInbox::Stalled { filter, limit, age } => stalled(
            inbox::stalled(connection, filter, *age, limit.saturating_add(1))?,
            *limit,
        ),
        AskInbox::Held { filter, limit } => {
            held(inbox::held(connection, filter, limit.saturating_add(1))?, *limit)
        }
        AskInbox::Show { filter, id, with_payload } => {
            let letters = inbox::dead_letters(connection, filter, 1)?;
            shown(
                letters,
                inbox::stalled(connection, filter, Duration::ZERO, 1)?,
                inbox::held(connection, filter, 1)?,
                inbox::unreadable(connection, filter)?,
                id,
                *with_payload,
            )
        }
        AskInbox::Discard { source, id, decision } => {
            let unreadable = inbox::unreadable(connection, &one(source, id))?;
            let event = if unreadable.is_empty() {
                inbox::get(connection, source, id)?.and_then(|known| known.event)
            } else {
                None
            };
            let was_there = match event {
                Some(event) => inbox::discard(
                    connection,
                    &event,
                    decision.clone(),
                    &AuditTrail::silent(),
                )?,
                None => false,
            };
            discarded(was_there, unreadable, id)
        }
    })
}
