//! A PostgreSQL database.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use integration_automation_patterns::audit::AuditTrail;
use integration_automation_patterns::inbox::postgres as inbox;
use integration_automation_patterns::outbox::postgres::Outbox;
use tokio_postgres::{Client, Config};

use crate::arguments::{AskInbox, Command};
use crate::database::{Found, discarded, held, listed, one, shown, stalled};
use crate::line::Line;
use crate::migrate;
use crate::report::Report;
use crate::work;

pub(crate) async fn run(
    config: Config,
    ca: Option<&Path>,
    command: &Command,
) -> Result<Report, Box<dyn Error + Send + Sync>> {
    let line = Line::of(&config, ca)?;
    match command {
        Command::Outbox(ask) => {
            let outbox = match &line {
                Line::Plain => Outbox::connect_existing(config).await?,
                #[cfg(feature = "tls")]
                Line::Secure(tls) => Outbox::connect_existing_tls(config, tls).await?,
            };
            Ok(work::run(&outbox, ask).await?)
        }
        Command::Inbox(ask) => {
            let mut client = line.client(&config).await?;
            inbox::check_tables(&client).await?;
            in_inbox(&mut client, ask).await
        }
        Command::Migrate => migrate::postgres(&mut line.client(&config).await?).await,
    }
}

async fn in_inbox(
    client: &mut Client,
    ask: &AskInbox,
) -> Result<Report, Box<dyn Error + Send + Sync>> {
    Ok(match ask {
        AskInbox::Counts { stalled_after, .. } => Report::InboxCounts {
            counts: inbox::counts(client, *stalled_after).await?,
            lag: None,
        },
        AskInbox::List { filter, limit } => listed(
            inbox::dead_letters(client, filter, limit.saturating_add(1)).await?,
            inbox::unreadable(client, filter).await?,
            *limit,
        ),
        AskInbox::Stalled { filter, limit, age } => stalled(
            inbox::stalled(client, filter, *age, limit.saturating_add(1)).await?,
            *limit,
        ),
        AskInbox::Held { filter, limit } => {
            held(inbox::held(client, filter, limit.saturating_add(1)).await?, *limit)
        }
        AskInbox::Show { source, id, with_payload } => {
            let filter = one(source, id);
            let unreadable = inbox::unreadable(client, &filter).await?;
            let found = Found {
                letters: inbox::dead_letters(client, &filter, 1).await?,
                retrying: inbox::stalled(client, &filter, Duration::ZERO, 1).await?,
                held: inbox::held(client, &filter, 1).await?,
                remembered: match unreadable.as_slice() {
                    [] => inbox::get(client, source, id).await?,
                    _ => None,
                },
                unreadable,
            };
            shown(found, id, *with_payload)
        }
        AskInbox::Discard { source, id, decision } => {
            let unreadable = inbox::unreadable(client, &one(source, id)).await?;
            let event = if unreadable.is_empty() {
                inbox::get(client, source, id).await?.and_then(|known| known.event)
            } else {
                None
            };
            let silent = AuditTrail::silent();
            let was_there = match event {
                Some(event) => {
                    inbox::discard(client, &event, decision.clone(), &silent).await?
                }
                None => false,
            };
            discarded(was_there, unreadable, id)
        }
    })
}
