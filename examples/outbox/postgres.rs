//! A PostgreSQL database, over TLS where its address or the command line asks for it.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use integration_automation_patterns::audit::AuditTrail;
use integration_automation_patterns::inbox::postgres as inbox;
use integration_automation_patterns::outbox::postgres::Outbox;
#[cfg(feature = "tls")]
use integration_automation_patterns::{outbox::postgres as outbox, tls::Tls};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};

use crate::arguments::{AskInbox, Command};
use crate::database::{chain, discarded, listed, no_table, shown, stalled, table};
use crate::report::Report;
use crate::work;

pub(crate) async fn run(url: &str, ca: Option<&Path>, command: &Command) -> Result<Report, Box<dyn Error>> {
    let config: Config = url.parse()?;
    let line = Line::of(&config, ca)?;
    let mut client = line.client(&config).await?;
    let sql = format!("SELECT to_regclass(quote_ident(current_schema()) || '.{}') IS NOT NULL", table(command));
    if !client.query_one(&sql, &[]).await?.try_get::<_, bool>(0)? {
        return Err(no_table(command).into());
    }
    match command {
        Command::Outbox(ask) => {
            drop(client);
            Ok(work::run(&line.outbox(config).await?, ask).await?)
        }
        Command::Inbox(ask) => in_inbox(&mut client, ask).await,
    }
}

/// How the server is reached.
enum Line {
    Plain,
    #[cfg(feature = "tls")]
    Secure(Tls),
}

impl Line {
    fn of(config: &Config, ca: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        if ca.is_none() && config.get_ssl_mode() != SslMode::Require {
            return Ok(Self::Plain);
        }
        #[cfg(feature = "tls")]
        return Ok(Self::Secure(match ca {
            Some(file) => {
                let authorities = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
                Tls::with_authorities(&authorities)?
            }
            None => Tls::system()?,
        }));
        #[cfg(not(feature = "tls"))]
        Err("--ca and sslmode=require ask for TLS, and this program was built without the feature `tls`".into())
    }

    async fn client(&self, config: &Config) -> Result<Client, Box<dyn Error>> {
        match self {
            Self::Plain => {
                let connected = config.connect(NoTls).await;
                let refused = |error| format!("no connection to {}: {}", server(config), chain(&error));
                let (client, connection) = connected.map_err(refused)?;
                // It ends with its client.
                tokio::spawn(connection);
                Ok(client)
            }
            #[cfg(feature = "tls")]
            Self::Secure(tls) => Ok(outbox::connect(config, tls).await?),
        }
    }

    async fn outbox(&self, config: Config) -> Result<Outbox, Box<dyn Error>> {
        Ok(match self {
            Self::Plain => Outbox::connect(config).await?,
            #[cfg(feature = "tls")]
            Self::Secure(tls) => Outbox::connect_tls(config, tls).await?,
        })
    }
}

/// The server that is meant, without the password.
fn server(config: &Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    });
    let ports: Vec<String> = config.get_ports().iter().map(u16::to_string).collect();
    format!("{}, port {}", hosts.collect::<Vec<_>>().join(" or "), ports.join(" or "))
}

async fn in_inbox(client: &mut Client, ask: &AskInbox) -> Result<Report, Box<dyn Error>> {
    Ok(match ask {
        AskInbox::Counts { stalled_after } => Report::InboxCounts(inbox::counts(client, *stalled_after).await?),
        AskInbox::List { filter, limit } => {
            listed(inbox::dead_letters(client, filter, limit.saturating_add(1)).await?, *limit)
        }
        AskInbox::Stalled { filter, limit, age } => {
            stalled(inbox::stalled(client, filter, *age, limit.saturating_add(1)).await?, *limit)
        }
        AskInbox::Show { filter, id, with_payload } => {
            let letters = inbox::dead_letters(client, filter, 1).await?;
            shown(letters, inbox::stalled(client, filter, Duration::ZERO, 1).await?, id, *with_payload)
        }
        AskInbox::Discard { source, id, decision } => {
            discarded(inbox::discard(client, source, id, decision.clone(), &AuditTrail::silent()).await?, id)
        }
    })
}
