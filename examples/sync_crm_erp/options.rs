//! The command line, read whole before anything is done.

use std::path::PathBuf;

use crate::Outcome;

pub(crate) const HELP: &str = "\
Keeps two systems' tables in step: plan, enqueue, relay, consume once, apply.

sync_crm_erp [--folder FOLDER] [--database URL] [--broker URL]

  --folder FOLDER   where the SQLite files and the audit log stand; target/sync_crm_erp where none is said
  --database URL    postgres://user:password@host/name, with the feature `postgres`: two schemas there instead of files;
                    with the feature `tls`, ?sslmode=require behind it asks for TLS, with a server that the system's
                    authorities vouch for, or those in the file that SSL_CERT_FILE names
  --broker URL      nats://host:port or tls://host:port, with the feature `nats`; amqp://user:password@host or amqps://...,
                    with the feature `amqp`; kafka://host:port, with the feature `kafka`; within the process where
                    none is said
  --help            this

SIGINT and SIGTERM stop it: what is on its way is finished or given back, and the next run goes on. The second one ends it at
once.

Exit codes: 0, done, or stopped; 130, ended by a second signal; 1, a database or a broker answered with an error; 2, a wrong command line, and nothing was
done.
";

/// What the command line says.
pub(crate) struct Options {
    pub(crate) folder: PathBuf,
    pub(crate) database: DatabaseAt,
    pub(crate) broker: BrokerAt,
}

/// Where the tables stand.
pub(crate) enum DatabaseAt {
    Files,
    #[cfg(feature = "postgres")]
    Postgres(String),
}

/// What carries the events.
pub(crate) enum BrokerAt {
    InProcess,
    #[cfg(feature = "nats")]
    Nats(String),
    #[cfg(feature = "amqp")]
    Amqp(String),
    #[cfg(feature = "kafka")]
    Kafka(String),
}

/// Reads the command line; nothing where help is wanted.
pub(crate) fn read(
    mut arguments: impl Iterator<Item = String>,
) -> Outcome<Option<Options>> {
    let (mut folder, mut database, mut broker) =
        (PathBuf::from("target/sync_crm_erp"), DatabaseAt::Files, BrokerAt::InProcess);
    while let Some(argument) = arguments.next() {
        let mut value =
            || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
        match argument.as_str() {
            "--help" | "-h" => return Ok(None),
            "--folder" => folder = PathBuf::from(value()?),
            "--database" => database = database_at(value()?)?,
            "--broker" => broker = broker_at(value()?)?,
            _ => return Err(format!("unknown argument {argument:?}").into()),
        }
    }
    Ok(Some(Options { folder, database, broker }))
}

/// The scheme of an address: it may be told, where the rest may hold a password.
fn scheme(url: &str) -> &str {
    url.split_once("://").map_or("", |(scheme, _)| scheme)
}

fn database_at(url: String) -> Outcome<DatabaseAt> {
    match scheme(&url) {
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => Ok(DatabaseAt::Postgres(url)),
        found => {
            let wanted = "wanted postgres://... as a database, and the program built with the feature `postgres`";
            Err(format!("{wanted}; found the scheme {found:?}").into())
        }
    }
}

fn broker_at(url: String) -> Outcome<BrokerAt> {
    match scheme(&url) {
        #[cfg(feature = "nats")]
        "nats" | "tls" => Ok(BrokerAt::Nats(url)),
        #[cfg(feature = "amqp")]
        "amqp" | "amqps" => Ok(BrokerAt::Amqp(url)),
        #[cfg(feature = "kafka")]
        "kafka" => Ok(BrokerAt::Kafka(url.trim_start_matches("kafka://").to_owned())),
        found => {
            let wanted = "wanted nats://..., amqp://... or kafka://... as a broker, and the program built with the feature of that name";
            Err(format!("{wanted}; found the scheme {found:?}").into())
        }
    }
}
