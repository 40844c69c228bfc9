//! The tables that a database has, brought up to date: none is made where there are none.

use std::collections::BTreeMap;
use std::error::Error;

use integration_automation_patterns::{inbox, outbox};
use rusqlite::Connection;

use crate::report::{Migrated, Report};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The version of the tables of each part: outbox, inbox, workflow.
type Versions = BTreeMap<String, i64>;

pub(crate) fn sqlite(connection: &mut Connection) -> Outcome<Report> {
    let versions = |connection: &Connection| -> rusqlite::Result<Versions> {
        let mut parts =
            connection.prepare("SELECT part, version FROM integration_schema")?;
        let rows = parts.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    };
    if !connection.table_exists(None, "integration_schema")? {
        return Err(NONE.into());
    }
    let found = versions(connection)?;
    knows_all(&found)?;
    for part in found.keys() {
        match part.as_str() {
            "outbox" => outbox::sqlite::install(connection)?,
            "inbox" => inbox::sqlite::install(connection)?,
            #[cfg(feature = "workflow")]
            "workflow" => {
                integration_automation_patterns::workflow::sqlite::install(connection)?;
            }
            _ => {}
        }
    }
    Ok(report(found, &versions(connection)?))
}

#[cfg(feature = "postgres")]
pub(crate) async fn postgres(client: &mut tokio_postgres::Client) -> Outcome<Report> {
    const TABLE: &str = "SELECT quote_ident(current_schema()) || '.integration_schema' \
         FROM pg_tables WHERE schemaname = current_schema() \
         AND tablename = 'integration_schema'";
    let table: String = client.query_opt(TABLE, &[]).await?.ok_or(NONE)?.try_get(0)?;
    let sql = format!("SELECT part, version FROM {table}");
    let versions = async |client: &tokio_postgres::Client| {
        let rows = client.query(&sql, &[]).await?;
        let read = |row: &tokio_postgres::Row| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.iter().map(read).collect::<Result<Versions, tokio_postgres::Error>>()
    };
    let found = versions(client).await?;
    knows_all(&found)?;
    for part in found.keys() {
        match part.as_str() {
            "outbox" => outbox::postgres::install(client).await?,
            "inbox" => inbox::postgres::install(client).await?,
            #[cfg(feature = "workflow")]
            "workflow" => {
                integration_automation_patterns::workflow::postgres::install(client)
                    .await?;
            }
            _ => {}
        }
    }
    Ok(report(found, &versions(client).await?))
}

const NONE: &str = "there are no tables of an outbox, an inbox or workflows to bring up to \
     date: the programs that work with them make them";

/// Whether this program was built with all parts that have tables.
fn knows_all(found: &Versions) -> Outcome<()> {
    if cfg!(feature = "workflow") || !found.contains_key("workflow") {
        return Ok(());
    }
    Err("there are tables of workflows too: build this program with the feature `workflow` to \
         bring them up to date"
        .into())
}

fn report(found: Versions, now: &Versions) -> Report {
    let parts = found.into_iter().map(|(part, found)| {
        let now = now.get(&part).copied().unwrap_or(found);
        Migrated { part, found, now }
    });
    Report::Migrated(parts.collect())
}
