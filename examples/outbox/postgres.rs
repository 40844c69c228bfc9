//! A PostgreSQL database.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use integration_automation_patterns::audit::AuditTrail;
use integration_automation_patterns::inbox::postgres as inbox;
use tokio_postgres::{Client, Config};

use crate::arguments::{AskInbox, Command};
use crate::database::{discarded, held, listed, no_table, one, shown, stalled, table};
use crate::line::Line;
use crate::report::Report;
use crate::work;

pub(crate) async fn run(
    url: &str,
    ca: Option<&Path>,
    command: &Command,
) -> Result<Report, Box<dyn Error + Send + Sync>> {
    let config: Config = url.parse()?;
    let line = Line::of(&config, ca)?;
    let mut client = line.client(&config).await?;
    let sql = format!(
        "SELECT to_regclass(quote_ident(current_schema()) || '.{}') IS NOT NULL",
        table(command)
    );
    if !client.query_one(&sql, &[]).await?.try_get::<_, bool>(0)? {
        return Err(no_table(command).into());
    }
    match command {
        Command::Outbox(ask) => {
            drop(client);
            Ok(work::run(&line.outbox(config).await?, ask).await?)
        }
        Command::Inbox(ask) => {
            inbox::check_tables(&client).await?;
            in_inbox(&mut client, ask).await
        }
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
        AskInbox::Show { filter, id, with_payload } => {
            let letters = inbox::dead_letters(client, filter, 1).await?;
            shown(
                letters,
                inbox::stalled(client, filter, Duration::ZERO, 1).await?,
                inbox::held(client, filter, 1).await?,
                inbox::unreadable(client, filter).await?,
                id,
                *with_payload,
            )
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
