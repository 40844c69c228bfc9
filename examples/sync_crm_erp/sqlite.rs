//! A system's database as a SQLite file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use integration_automation_patterns::broker::{Ack, Delivery};
use integration_automation_patterns::inbox::{self, Handled, HandlerError, InboxConfig};
use integration_automation_patterns::outbox::{self, Enqueued};
use rusqlite::{
    Connection, OptionalExtension, Row as SqlRow, Transaction, TransactionBehavior,
    params,
};

use crate::Outcome;
use crate::contract::contract;
use crate::database::{
    Agreed, Announcement, Database, Fields, Review, Row, Rows, effect, record_of,
};

#[derive(Clone)]
pub(crate) struct Sqlite {
    path: PathBuf,
    fields: Vec<String>,
    outbox: outbox::sqlite::Outbox,
}

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        let fields: Vec<String> =
            contract()?.synced_fields().map(str::to_owned).collect();
        let outbox = outbox::sqlite::Outbox::open(path)?;
        let database = Self { path: path.to_owned(), fields, outbox };
        let mut connection = database.connect()?;
        inbox::sqlite::install(&mut connection)?;
        let columns: String =
            database.fields.iter().map(|field| format!(", {field} TEXT")).collect();
        connection.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS record (id TEXT PRIMARY KEY, revision INTEGER NOT NULL{columns});
             CREATE TABLE IF NOT EXISTS agreed (id TEXT, field TEXT, value TEXT, PRIMARY KEY (id, field));
             CREATE TABLE IF NOT EXISTS review (id TEXT, field TEXT, question TEXT, crm TEXT, erp TEXT);"
        ))?;
        Ok(database)
    }

    fn connect(&self) -> Outcome<Connection> {
        let connection = Connection::open(&self.path)?;
        connection.busy_timeout(Duration::from_secs(30))?;
        Ok(connection)
    }

    fn columns(&self) -> String {
        self.fields.join(", ")
    }

    /// Runs work in one transaction, off the threads of the runtime.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        let mut connection = self.connect()?;
        let work = tokio::task::spawn_blocking(move || {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        });
        work.await?
    }
}

fn read_row(fields: &[String], row: &SqlRow<'_>) -> rusqlite::Result<(String, Row)> {
    let values = fields
        .iter()
        .enumerate()
        .map(|(place, field)| Ok((field.clone(), row.get(place + 2)?)));
    Ok((
        row.get(0)?,
        Row {
            revision: row.get(1)?,
            fields: values.collect::<rusqlite::Result<Fields>>()?,
        },
    ))
}

fn insert(
    transaction: &Transaction<'_>,
    id: &str,
    revision: i64,
    fields: &Fields,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO record (id, revision) VALUES (?1, ?2)",
        params![id, revision],
    )?;
    update(transaction, id, fields)
}

fn update(
    transaction: &Transaction<'_>,
    id: &str,
    fields: &Fields,
) -> rusqlite::Result<()> {
    for (field, value) in fields {
        let sql = format!(
            "UPDATE record SET {field} = ?2, revision = revision + 1 WHERE id = ?1"
        );
        transaction.prepare_cached(&sql)?.execute(params![id, value])?;
    }
    Ok(())
}

impl Database for Sqlite {
    type Outbox = outbox::sqlite::Outbox;

    fn outbox(&self) -> &Self::Outbox {
        &self.outbox
    }

    async fn seed(&mut self, rows: Rows, agreed: Agreed) -> Outcome<()> {
        self.write(move |transaction| {
            let seeded: i64 =
                transaction
                    .query_row("SELECT count(*) FROM record", [], |row| row.get(0))?;
            if seeded > 0 {
                return Ok(());
            }
            for (id, row) in rows {
                insert(transaction, &id, row.revision, &row.fields)?;
            }
            for ((id, field), value) in agreed {
                transaction.execute(
                    "INSERT INTO agreed VALUES (?1, ?2, ?3)",
                    params![id, field, value],
                )?;
            }
            Ok(())
        })
        .await
    }

    async fn rows(&mut self) -> Outcome<Rows> {
        let connection = self.connect()?;
        let mut statement = connection
            .prepare(&format!("SELECT id, revision, {} FROM record", self.columns()))?;
        let rows = statement.query_map([], |row| read_row(&self.fields, row))?;
        Ok(rows.collect::<rusqlite::Result<Rows>>()?)
    }

    async fn agreed(&mut self) -> Outcome<Agreed> {
        let connection = self.connect()?;
        let mut statement = connection.prepare("SELECT id, field, value FROM agreed")?;
        let rows = statement
            .query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
        Ok(rows.collect::<rusqlite::Result<Agreed>>()?)
    }

    async fn announce(&mut self, announcements: Vec<Announcement>) -> Outcome<usize> {
        self.write(move |transaction| {
            let mut new = 0;
            for Announcement { record, revision, event } in announcements {
                let sql = "SELECT count(*) FROM record WHERE id = ?1 AND revision = ?2";
                let as_read: i64 =
                    transaction
                        .query_row(sql, params![record, revision], |row| row.get(0))?;
                // A record that has changed meanwhile is announced by the next run, as it
                // is then.
                if as_read == 1
                    && outbox::sqlite::enqueue(transaction, event)? == Enqueued::New
                {
                    new += 1;
                }
            }
            Ok(new)
        })
        .await
    }

    async fn apply<A: Ack + 'static>(
        &mut self,
        delivery: Delivery<A>,
        inbox_config: &InboxConfig,
    ) -> Outcome<Handled<A>> {
        let (mut connection, database, inbox_config) =
            (self.connect()?, self.clone(), inbox_config.clone());
        let work = tokio::task::spawn_blocking(move || {
            inbox::sqlite::process(
                &mut connection,
                delivery,
                &inbox_config,
                |transaction, event| {
                    let sql = format!(
                        "SELECT id, revision, {} FROM record WHERE id = ?1",
                        database.columns()
                    );
                    let read = |row: &SqlRow<'_>| read_row(&database.fields, row);
                    let found = transaction
                        .prepare_cached(&sql)?
                        .query_row([record_of(event)], read)
                        .optional()?;
                    let row = found.map(|(_, row)| row);
                    let (id, fields) = effect(event, row.as_ref())?;
                    match row {
                        Some(_) => update(transaction, &id, &fields)?,
                        None => insert(transaction, &id, 0, &fields)?,
                    }
                    Ok::<(), HandlerError>(())
                },
            )
        });
        Ok(work.await??)
    }

    async fn handled(&mut self) -> Outcome<u64> {
        let sql = "SELECT count(*) FROM inbox_event WHERE status <> 'retrying'";
        let count: i64 = self.connect()?.query_row(sql, [], |row| row.get(0))?;
        Ok(u64::try_from(count)?)
    }

    async fn close(&mut self, agreed: Agreed, review: Vec<Review>) -> Outcome<()> {
        self.write(move |transaction| {
            let mut insert = transaction
                .prepare("INSERT OR REPLACE INTO agreed VALUES (?1, ?2, ?3)")?;
            for ((id, field), value) in agreed {
                insert.execute(params![id, field, value])?;
            }
            transaction.execute("DELETE FROM review", [])?;
            let mut insert =
                transaction.prepare("INSERT INTO review VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for [id, field, question, crm, erp] in review {
                insert.execute(params![id, field, question, crm, erp])?;
            }
            Ok(())
        })
        .await
    }
}
