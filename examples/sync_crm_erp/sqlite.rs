//! A system's database as a SQLite file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use integration_automation_patterns::broker::{Ack, Delivery};
use integration_automation_patterns::inbox::{self, Handled, HandlerError, InboxConfig};
use integration_automation_patterns::outbox::{self, Enqueued};
use integration_automation_patterns::sync::{Existed, RecordBase, Refusal, Review};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Row as SqlRow, Transaction,
    TransactionBehavior, params,
};

use crate::Outcome;
use crate::contract::{Change, contract};
use crate::database::{
    Agreed, Announcement, Database, Fields, Findings, Known, Memory, Order, Refusals,
    Row, Rows, WholeRecord, field_of, read_stored, stored, tables,
};
use crate::effect::{Effect, all_new, effect, record_of};

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
        connection.execute_batch(&tables(&columns, "INTEGER"))?;
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

/// Makes a record, and sets what it is to hold.
fn insert(
    transaction: &Transaction<'_>,
    id: &str,
    revision: i64,
    fields: Fields,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO record (id, revision) VALUES (?1, ?2)",
        params![id, revision],
    )?;
    set(transaction, id, &all_new(fields))
}

/// Sets field by field; what the database refuses is stored with its words, and stops no
/// other field.
fn set(
    transaction: &Transaction<'_>,
    id: &str,
    changes: &[Change],
) -> rusqlite::Result<()> {
    for Change { field, expects, value } in changes {
        match write(transaction, id, field, value.as_ref()) {
            Err(rusqlite::Error::SqliteFailure(error, Some(why)))
                if error.code == ErrorCode::ConstraintViolation =>
            {
                let sql = "INSERT OR REPLACE INTO refusal VALUES (?1, ?2, ?3, ?4, ?5)";
                let mut refuse = transaction.prepare_cached(sql)?;
                refuse.execute(params![id, field, value, expects, why])?;
            }
            done => done?,
        }
    }
    Ok(())
}

fn write(
    transaction: &Transaction<'_>,
    id: &str,
    field: &str,
    value: Option<&String>,
) -> rusqlite::Result<()> {
    let sql =
        format!("UPDATE record SET {field} = ?2, revision = revision + 1 WHERE id = ?1");
    transaction.prepare_cached(&sql)?.execute(params![id, value]).map(drop)
}

/// Stores what is known in common of fields.
fn agree(transaction: &Transaction<'_>, agreed: Agreed) -> Outcome<()> {
    let sql = "INSERT OR REPLACE INTO agreed VALUES (?1, ?2, ?3)";
    let mut insert = transaction.prepare_cached(sql)?;
    for ((id, field), bases) in agreed {
        insert.execute(params![id, field, stored(bases)?])?;
    }
    Ok(())
}

/// Stores what is known of records as a whole.
fn know(transaction: &Transaction<'_>, known: BTreeMap<String, Known>) -> Outcome<()> {
    let sql = "INSERT OR REPLACE INTO known VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let mut insert = transaction.prepare_cached(sql)?;
    for (id, Known { base, revisions: [crm, erp], epoch, back }) in known {
        let base = stored(base)?;
        insert.execute(params![id, base, crm, erp, epoch, back[0], back[1]])?;
    }
    Ok(())
}

/// Whether the question still stands as it was put, and the record shows what it did.
fn is_as_seen(
    transaction: &Transaction<'_>,
    seen: &Review<String>,
    in_crm: &[Change],
) -> Outcome<bool> {
    let (id, field) = (&seen.record_id, field_of(seen));
    let seen = serde_json::to_string(seen)?;
    let sql = "SELECT count(*) FROM review WHERE id = ?1 AND field = ?2 AND seen = ?3";
    let found = |row: &SqlRow<'_>| row.get::<_, i64>(0);
    let mut stands = transaction.query_row(sql, params![id, field, seen], found)? == 1;
    for Change { field, expects, .. } in in_crm {
        let sql = format!("SELECT count(*) FROM record WHERE id = ?1 AND {field} IS ?2");
        stands &= transaction.query_row(&sql, params![id, expects], found)? == 1;
    }
    Ok(stands)
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
                insert(transaction, &id, row.revision, row.fields)?;
            }
            agree(transaction, agreed)?;
            let both = stored(RecordBase::common(Existed::There, 2))?;
            let known = "INSERT INTO known SELECT DISTINCT id, ?1, 0, 0, 0, FALSE, FALSE FROM agreed";
            transaction.execute(known, [both])?;
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

    async fn refusals(&mut self, place: usize) -> Outcome<Refusals> {
        let connection = self.connect()?;
        let mut statement =
            connection.prepare("SELECT id, field, value, shown, why FROM refusal")?;
        let refusals = statement.query_map([], |row| {
            let (value, shown, why) = (row.get(2)?, row.get(3)?, row.get(4)?);
            Ok(((row.get(0)?, row.get(1)?), Refusal { place, value, shown, why }))
        })?;
        Ok(refusals.collect::<rusqlite::Result<Refusals>>()?)
    }

    async fn memory(&mut self) -> Outcome<Memory> {
        let (connection, mut memory) = (self.connect()?, Memory::default());
        let mut agreed = connection.prepare("SELECT id, field, bases FROM agreed")?;
        let rows = agreed.query_map([], |row| {
            Ok(((row.get(0)?, row.get(1)?), row.get::<_, String>(2)?))
        })?;
        for row in rows {
            let (cell, bases) = row?;
            memory.agreed.insert(cell, read_stored(&bases)?);
        }
        let mut known = connection
            .prepare("SELECT id, base, crm, erp, epoch, crm_back, erp_back FROM known")?;
        let rows = known.query_map([], |row| {
            let (revisions, epoch) = ([row.get(2)?, row.get(3)?], row.get(4)?);
            let back = [row.get(5)?, row.get(6)?];
            Ok((row.get(0)?, row.get::<_, String>(1)?, revisions, epoch, back))
        })?;
        for row in rows {
            let (id, base, revisions, epoch, back) = row?;
            let base = read_stored(&base)?;
            memory.known.insert(id, Known { base, revisions, epoch, back });
        }
        let mut lasting =
            connection.prepare("SELECT id, field, answer FROM answer WHERE lasts")?;
        let rows = lasting.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?))
        })?;
        for row in rows {
            let (id, field, answer): (_, _, String) = row?;
            memory.keep(id, field, &answer)?;
        }
        let mut under_way =
            connection.prepare("SELECT id, field FROM answer WHERE under_way")?;
        let rows = under_way.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        memory.under_way = rows.collect::<rusqlite::Result<_>>()?;
        Ok(memory)
    }

    async fn questions(&mut self) -> Outcome<Vec<Review<String>>> {
        let connection = self.connect()?;
        let mut statement =
            connection.prepare("SELECT seen FROM review ORDER BY id, field")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.map(|seen| Ok(serde_json::from_str(&seen?)?)).collect()
    }

    async fn announce(
        &mut self,
        announcements: Vec<Announcement>,
        agreed: Agreed,
        known: BTreeMap<String, Known>,
    ) -> Outcome<usize> {
        self.write(move |transaction| {
            let mut new = 0;
            agree(transaction, agreed)?;
            know(transaction, known)?;
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

    async fn answer(&mut self, order: Order) -> Outcome<bool> {
        self.write(move |transaction| {
            let Order { seen, answer, decision, lasts, in_crm, bases, record, event } =
                order;
            if !is_as_seen(transaction, &seen, &in_crm)? {
                return Ok(false);
            }
            let (id, field) = (&seen.record_id, field_of(&seen));
            for change in in_crm.iter().filter(|change| change.value != change.expects) {
                write(transaction, id, &change.field, change.value.as_ref())?;
            }
            let cell = (id.clone(), field.to_owned());
            agree(transaction, bases.map(|bases| (cell, bases)).into_iter().collect())?;
            match record {
                Some(WholeRecord::Insert(fields)) => insert(transaction, id, 0, fields)?,
                Some(WholeRecord::Delete) => {
                    transaction.execute("DELETE FROM record WHERE id = ?1", [id])?;
                }
                None => {}
            }
            let under_way = event.is_some();
            if let Some(event) = event {
                outbox::sqlite::enqueue(transaction, event)?;
            }
            let sql = "DELETE FROM review WHERE id = ?1 AND field = ?2";
            transaction.execute(sql, [id, field])?;
            transaction.execute(
                "INSERT INTO answer VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    id,
                    field,
                    answer,
                    decision.by(),
                    decision.reason(),
                    lasts,
                    under_way
                ],
            )?;
            Ok(true)
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
                    match effect(event, row.as_ref())? {
                        Effect::Nothing => {}
                        Effect::Insert { record, fields } => {
                            insert(transaction, &record, 0, fields)?;
                        }
                        Effect::Update { record, changes } => {
                            set(transaction, &record, &changes)?;
                        }
                        Effect::Delete { record } => {
                            let sql = "DELETE FROM record WHERE id = ?1";
                            transaction.execute(sql, [record])?;
                        }
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

    async fn close(&mut self, findings: Findings) -> Outcome<()> {
        self.write(move |transaction| {
            let Findings { agreed, known, review, gone, expired } = findings;
            agree(transaction, agreed)?;
            know(transaction, known)?;
            transaction.execute("UPDATE answer SET under_way = FALSE", [])?;
            transaction.execute("DELETE FROM review", [])?;
            let mut insert =
                transaction.prepare("INSERT INTO review VALUES (?1, ?2, ?3, ?4)")?;
            for row in review {
                let (question, seen) =
                    (row.question.to_string(), serde_json::to_string(&row)?);
                insert.execute(params![row.record_id, field_of(&row), question, seen])?;
            }
            for id in gone {
                for table in ["agreed", "known", "refusal"] {
                    let sql = format!("DELETE FROM {table} WHERE id = ?1");
                    transaction.execute(&sql, [&id])?;
                }
                let sql = "UPDATE answer SET lasts = FALSE WHERE id = ?1";
                transaction.execute(sql, [&id])?;
            }
            for (id, field) in expired {
                let sql = "UPDATE answer SET lasts = FALSE WHERE id = ?1 AND field = ?2";
                transaction.execute(sql, [id, field])?;
            }
            Ok(())
        })
        .await
    }
}
