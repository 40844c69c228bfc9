//! The database of this bench, made anew for each measurement, and what the server has
//! counted of it.

use std::time::Duration;

use integration_automation_patterns::inbox::postgres as inbox;
use integration_automation_patterns::outbox::postgres as outbox;
use tokio_postgres::{Client, Config, NoTls};

use crate::{Outcome, servers};

const NAME: &str = "bench_capacity";

pub(crate) async fn connect(config: &Config) -> Outcome<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn server() -> Outcome<Config> {
    Ok(servers::postgres().parse()?)
}

pub(crate) async fn drop_it() -> Outcome {
    let sql = format!("DROP DATABASE IF EXISTS {NAME} WITH (FORCE)");
    Ok(connect(&server()?).await?.batch_execute(&sql).await?)
}

/// The tables, which no autovacuum looks at: it would come at any time.
pub(crate) async fn fresh() -> Outcome<Config> {
    drop_it().await?;
    let sql = format!("CREATE DATABASE {NAME}");
    connect(&server()?).await?.batch_execute(&sql).await?;
    let mut config = server()?;
    config.dbname(NAME);
    let mut client = connect(&config).await?;
    outbox::install(&mut client).await?;
    inbox::install(&mut client).await?;
    for table in ["outbox_event", "outbox_history", "inbox_event"] {
        let sql = format!("ALTER TABLE {table} SET (autovacuum_enabled = false)");
        client.batch_execute(&sql).await?;
    }
    Ok(config)
}

/// What the server has counted so far.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Counters {
    /// Bytes of its log, of all its databases.
    pub(crate) wal: f64,
    /// Transaction ids, of all its databases.
    pub(crate) ids: f64,
    /// Transactions of this database, those that only read among them.
    pub(crate) transactions: f64,
    /// Versions of rows that are dead, since the row was updated or deleted.
    pub(crate) dead: f64,
}

const COUNTERS: &str = "SELECT \
    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8, \
    pg_snapshot_xmax(pg_current_snapshot())::text::float8, \
    (SELECT xact_commit::float8 FROM pg_stat_database WHERE datname = current_database()), \
    (SELECT sum(n_tup_upd + n_tup_del)::float8 FROM pg_stat_user_tables)";

/// The counters, as soon as this database's stand still: a connection reports what it did
/// last when it ends.
pub(crate) async fn counters(client: &Client) -> Outcome<Counters> {
    let read = async || {
        let row = client.query_one(COUNTERS, &[]).await?;
        Ok::<_, tokio_postgres::Error>(Counters {
            wal: row.try_get(0)?,
            ids: row.try_get(1)?,
            transactions: row.try_get(2)?,
            dead: row.try_get(3)?,
        })
    };
    let mut before = read().await?;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = read().await?;
        if (now.dead, now.transactions) == (before.dead, before.transactions) {
            return Ok(now);
        }
        before = now;
    }
}
