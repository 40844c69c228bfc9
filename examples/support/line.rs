//! The way to a PostgreSQL server: over TLS where its address or the command line asks
//! for it.

use std::error::Error;
use std::path::Path;

#[cfg(feature = "tls")]
use integration_automation_patterns::{outbox::postgres as outbox, tls::Tls};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};

use crate::reason::chain;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How the server is reached.
#[derive(Clone)]
pub(crate) enum Line {
    Plain,
    #[cfg(feature = "tls")]
    Secure(Tls),
}

impl Line {
    /// With a file of authorities that vouch for the server, or those of the system.
    pub(crate) fn of(config: &Config, ca: Option<&Path>) -> Outcome<Self> {
        if ca.is_none() && config.get_ssl_mode() != SslMode::Require {
            return Ok(Self::Plain);
        }
        #[cfg(feature = "tls")]
        return Ok(Self::Secure(match ca {
            Some(file) => {
                let authorities = std::fs::read(file)
                    .map_err(|error| format!("{}: {error}", file.display()))?;
                Tls::with_authorities(&authorities)?
            }
            None => Tls::system()?,
        }));
        #[cfg(not(feature = "tls"))]
        Err("--ca and sslmode=require ask for TLS, and this program was built without the feature `tls`".into())
    }

    pub(crate) async fn client(&self, config: &Config) -> Outcome<Client> {
        match self {
            Self::Plain => {
                let connected = config.connect(NoTls).await;
                let refused = |error| {
                    format!("no connection to {}: {}", server(config), chain(&error))
                };
                let (client, connection) = connected.map_err(refused)?;
                // It ends with its client.
                tokio::spawn(connection);
                Ok(client)
            }
            #[cfg(feature = "tls")]
            Self::Secure(tls) => Ok(outbox::connect(config, tls).await?),
        }
    }
}

/// The configuration that an address asks for, with the tables in this schema. No error repeats the address, since it may
/// hold a password.
pub(crate) fn config(url: &str, schema: Option<&str>) -> Result<Config, String> {
    if url.matches('@').count() > 1 {
        return Err(
            "wanted one @ in the address of the database, in front of the host: \
                    write @ in a password as %40"
                .to_owned(),
        );
    }
    let read = url.parse::<Config>();
    let mut config = read.map_err(|_| {
        "wanted postgres://user:password@host/name, and found an address that cannot be \
         read: write what is no letter or digit in a password as %40 for @, %2F for /, %3F \
         for ?"
            .to_owned()
    })?;
    if let Some(schema) = schema {
        let others = config.get_options().unwrap_or_default().to_owned();
        config.options(format!("{others} -c search_path=\"{schema}\""));
    }
    Ok(config)
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
