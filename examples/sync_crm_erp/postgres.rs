//! A system's database as a schema in PostgreSQL.

use std::sync::Arc;

use integration_automation_patterns::broker::{Ack, Delivery};
use integration_automation_patterns::inbox::{self, Handled, HandlerError, InboxConfig};
use integration_automation_patterns::outbox::{self, Enqueued};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row as SqlRow, Transaction};

use crate::Outcome;
use crate::contract::contract;
use crate::database::{
    Agreed, Announcement, Database, Fields, Review, Row, Rows, effect, record_of,
};
use crate::line::Line;

#[derive(Clone)]
pub(crate) struct Postgres {
    config: Config,
    line: Line,
    fields: Arc<[String]>,
    outbox: outbox::postgres::Outbox,
}

impl Postgres {
    /// Opens the schema of a system, `sync_crm` or `sync_erp`, which is made where it is
    /// missing.
    pub(crate) async fn open(url: &str, system: &str) -> Outcome<Self> {
        let fields: Arc<[String]> =
            contract()?.synced_fields().map(str::to_owned).collect();
        let mut config: Config = url.parse()?;
        let schema = format!("sync_{system}");
        let line = Line::of(&config, None)?;
        make(
            &line.client(&config).await?,
            &format!("CREATE SCHEMA IF NOT EXISTS {schema}"),
        )
        .await?;
        config.options(format!("-c search_path={schema}"));
        let outbox = line.outbox(config.clone()).await?;
        let mut client = line.client(&config).await?;
        inbox::postgres::install(&mut client).await?;
        let columns: String =
            fields.iter().map(|field| format!(", {field} text")).collect();
        let tables = format!(
            "CREATE TABLE IF NOT EXISTS record (id text PRIMARY KEY, revision bigint NOT NULL{columns});
             CREATE TABLE IF NOT EXISTS agreed (id text, field text, value text, PRIMARY KEY (id, field));
             CREATE TABLE IF NOT EXISTS review (id text, field text, question text, crm text, erp text);"
        );
        make(&client, &tables).await?;
        Ok(Self { config, line, fields, outbox })
    }

    fn columns(&self) -> String {
        self.fields.join(", ")
    }
}

/// Makes what is missing, one copy of the program after the other: `IF NOT EXISTS` alone
/// does not tell two apart that come at once.
async fn make(client: &Client, sql: &str) -> Outcome<()> {
    let alone = "SELECT pg_advisory_xact_lock(hashtextextended('sync_crm_erp', 0))";
    Ok(client.batch_execute(&format!("BEGIN; {alone}; {sql}; COMMIT")).await?)
}

fn read_row(fields: &[String], row: &SqlRow) -> (String, Row) {
    let values = fields
        .iter()
        .enumerate()
        .map(|(place, field)| (field.clone(), row.get(place + 2)));
    (row.get(0), Row { revision: row.get(1), fields: values.collect::<Fields>() })
}

async fn insert(
    transaction: &Transaction<'_>,
    id: &str,
    revision: i64,
    fields: &Fields,
) -> Result<(), tokio_postgres::Error> {
    transaction
        .execute("INSERT INTO record (id, revision) VALUES ($1, $2)", &[&id, &revision])
        .await?;
    update(transaction, id, fields).await
}

async fn update(
    transaction: &Transaction<'_>,
    id: &str,
    fields: &Fields,
) -> Result<(), tokio_postgres::Error> {
    if fields.is_empty() {
        return Ok(());
    }
    let set: Vec<String> = fields
        .keys()
        .zip(2..)
        .map(|(field, place)| format!("{field} = ${place}"))
        .collect();
    let sql = format!(
        "UPDATE record SET {}, revision = revision + 1 WHERE id = $1",
        set.join(", ")
    );
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&id];
    values.extend(fields.values().map(|value| value as &(dyn ToSql + Sync)));
    transaction.execute(&sql, &values).await.map(drop)
}

impl Database for Postgres {
    type Outbox = outbox::postgres::Outbox;

    fn outbox(&self) -> &Self::Outbox {
        &self.outbox
    }

    async fn seed(&mut self, rows: Rows, agreed: Agreed) -> Outcome<()> {
        let mut client = self.line.client(&self.config).await?;
        let transaction = client.transaction().await?;
        transaction.batch_execute("LOCK TABLE record").await?;
        let seeded: i64 =
            transaction.query_one("SELECT count(*) FROM record", &[]).await?.get(0);
        if seeded > 0 {
            return Ok(());
        }
        for (id, row) in rows {
            insert(&transaction, &id, row.revision, &row.fields).await?;
        }
        let add = transaction.prepare("INSERT INTO agreed VALUES ($1, $2, $3)").await?;
        for ((id, field), value) in agreed {
            transaction.execute(&add, &[&id, &field, &value]).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn rows(&mut self) -> Outcome<Rows> {
        let sql = format!("SELECT id, revision, {} FROM record", self.columns());
        let rows = self.line.client(&self.config).await?.query(&sql, &[]).await?;
        Ok(rows.iter().map(|row| read_row(&self.fields, row)).collect())
    }

    async fn agreed(&mut self) -> Outcome<Agreed> {
        let rows = self
            .line
            .client(&self.config)
            .await?
            .query("SELECT id, field, value FROM agreed", &[])
            .await?;
        Ok(rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect())
    }

    async fn announce(&mut self, announcements: Vec<Announcement>) -> Outcome<usize> {
        let mut client = self.line.client(&self.config).await?;
        let transaction = client.transaction().await?;
        let mut events = Vec::new();
        for Announcement { record, revision, event } in announcements {
            let sql = "SELECT count(*) FROM record WHERE id = $1 AND revision = $2";
            let as_read: i64 =
                transaction.query_one(sql, &[&record, &revision]).await?.get(0);
            // A record that has changed meanwhile is announced by the next run, as it is
            // then.
            if as_read == 1 {
                events.push(event);
            }
        }
        let enqueued = outbox::postgres::enqueue_all(&transaction, events).await?;
        transaction.commit().await?;
        Ok(enqueued.into_iter().filter(|enqueued| *enqueued == Enqueued::New).count())
    }

    async fn apply<A: Ack + 'static>(
        &mut self,
        delivery: Delivery<A>,
        inbox_config: &InboxConfig,
    ) -> Outcome<Handled<A>> {
        let mut client = self.line.client(&self.config).await?;
        let (fields, sql) = (
            &self.fields,
            format!(
                "SELECT id, revision, {} FROM record WHERE id = $1 FOR UPDATE",
                self.columns()
            ),
        );
        let handled = inbox::postgres::process(
            &mut client,
            delivery,
            inbox_config,
            async |transaction, event| {
                let found = transaction.query_opt(&sql, &[&record_of(event)]).await?;
                let row = found.map(|row| read_row(fields, &row).1);
                let (id, fields) = effect(event, row.as_ref())?;
                match row {
                    Some(_) => update(transaction, &id, &fields).await?,
                    None => insert(transaction, &id, 0, &fields).await?,
                }
                Ok::<(), HandlerError>(())
            },
        );
        Ok(handled.await?)
    }

    async fn handled(&mut self) -> Outcome<u64> {
        let sql = "SELECT count(*) FROM inbox_event WHERE status <> 'retrying'";
        let count: i64 =
            self.line.client(&self.config).await?.query_one(sql, &[]).await?.get(0);
        Ok(u64::try_from(count)?)
    }

    async fn close(&mut self, agreed: Agreed, review: Vec<Review>) -> Outcome<()> {
        let mut client = self.line.client(&self.config).await?;
        let transaction = client.transaction().await?;
        let add = "INSERT INTO agreed VALUES ($1, $2, $3) ON CONFLICT (id, field) DO UPDATE SET value = $3";
        let add = transaction.prepare(add).await?;
        for ((id, field), value) in agreed {
            transaction.execute(&add, &[&id, &field, &value]).await?;
        }
        transaction.execute("DELETE FROM review", &[]).await?;
        let add =
            transaction.prepare("INSERT INTO review VALUES ($1, $2, $3, $4, $5)").await?;
        for [id, field, question, crm, erp] in review {
            transaction.execute(&add, &[&id, &field, &question, &crm, &erp]).await?;
        }
        Ok(transaction.commit().await?)
    }
}
