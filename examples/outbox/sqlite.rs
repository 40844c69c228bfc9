//! A SQLite file: opened read-only where nothing is decided, and never made.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use integration_automation_patterns::audit::AuditTrail;
use integration_automation_patterns::inbox::sqlite as inbox;
use integration_automation_patterns::outbox::StoreError;
use integration_automation_patterns::outbox::sqlite::Outbox;
use integration_automation_patterns::{Decision, EventId};
use rusqlite::{Connection, OpenFlags};

use crate::arguments::{AskInbox, Command};
use crate::database::{Found, discarded, held, listed, one, shown, stalled};
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
        Command::Inbox(AskInbox::Discard { source, id, decision }) => {
            let mut connection = connect(path)?;
            inbox::check_tables(&connection)?;
            Ok(discard(&mut connection, source, id, decision)?)
        }
        Command::Inbox(ask) => Ok(inbox::look(path, |connection| look(connection, ask))?),
        Command::Migrate => migrate::sqlite(&mut connect(path)?),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

fn look(connection: &Connection, ask: &AskInbox) -> Result<Report, StoreError> {
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
        AskInbox::Show { source, id, with_payload } => {
            let filter = one(source, id);
            let unreadable = inbox::unreadable(connection, &filter)?;
            let found = Found {
                letters: inbox::dead_letters(connection, &filter, 1)?,
                retrying: inbox::stalled(connection, &filter, Duration::ZERO, 1)?,
                held: inbox::held(connection, &filter, 1)?,
                remembered: match unreadable.as_slice() {
                    [] => inbox::get(connection, source, id)?,
                    _ => None,
                },
                unreadable,
            };
            shown(found, id, *with_payload)
        }
        // It writes, on a connection of its own.
        AskInbox::Discard { id, .. } => discarded(false, Vec::new(), id),
    })
}

fn discard(
    connection: &mut Connection,
    source: &str,
    id: &EventId,
    decision: &Decision,
) -> Result<Report, StoreError> {
    let unreadable = inbox::unreadable(connection, &one(source, id))?;
    let event = if unreadable.is_empty() {
        inbox::get(connection, source, id)?.and_then(|known| known.event)
    } else {
        None
    };
    let silent = AuditTrail::silent();
    let was_there = match event {
        Some(event) => inbox::discard(connection, &event, decision.clone(), &silent)?,
        None => false,
    };
    Ok(discarded(was_there, unreadable, id))
}
