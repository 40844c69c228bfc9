//! A system's database as a schema in PostgreSQL.

use std::collections::BTreeMap;
use std::sync::Arc;

use integration_automation_patterns::broker::{Ack, Delivery};
use integration_automation_patterns::inbox::{self, Handled, HandlerError, InboxConfig};
use integration_automation_patterns::outbox::{self, Enqueued};
use integration_automation_patterns::sync::{Existed, RecordBase, Refusal, Review};
use tokio_postgres::{Client, Config, Error, Row as SqlRow, Transaction};

use crate::Outcome;
use crate::contract::{Change, contract};
use crate::database::{
    Agreed, Announcement, Database, Fields, Findings, Known, Memory, Order, Refusals,
    Row, Rows, WholeRecord, field_of, read_stored, stored, tables,
};
use crate::effect::{Effect, all_new, effect, record_of};
use crate::line::{self, Line};

#[derive(Clone)]
pub(crate) struct Postgres {
    config: Config,
    line: Line,
    fields: Arc<[String]>,
    outbox: outbox::postgres::Outbox,
}

impl Postgres {
    /// Whether a run has made its schemas.
    pub(crate) async fn is_there(url: &str) -> Outcome<bool> {
        let config = line::config(url, None)?;
        let client = Line::of(&config, None)?.client(&config).await?;
        let sql = "SELECT to_regnamespace('sync_crm') IS NOT NULL";
        Ok(client.query_one(sql, &[]).await?.try_get(0)?)
    }

    /// Opens the schema of a system, `sync_crm` or `sync_erp`, which is made where it is
    /// missing.
    pub(crate) async fn open(url: &str, system: &str) -> Outcome<Self> {
        let fields: Arc<[String]> =
            contract()?.synced_fields().map(str::to_owned).collect();
        let mut config = line::config(url, None)?;
        let schema = format!("sync_{system}");
        let line = Line::of(&config, None)?;
        make(
            &line.client(&config).await?,
            &format!("CREATE SCHEMA IF NOT EXISTS {schema}"),
        )
        .await?;
        config.options(format!("-c search_path={schema}"));
        let outbox = match &line {
            Line::Plain => outbox::postgres::Outbox::connect(config.clone()).await?,
            #[cfg(feature = "tls")]
            Line::Secure(tls) => {
                outbox::postgres::Outbox::connect_tls(config.clone(), tls).await?
            }
        };
        let mut client = line.client(&config).await?;
        inbox::postgres::install(&mut client).await?;
        let columns: String =
            fields.iter().map(|field| format!(", {field} text")).collect();
        let tables = tables(&columns, "bigint");
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

/// Makes a record, and sets what it is to hold.
async fn insert(
    transaction: &Transaction<'_>,
    id: &str,
    revision: i64,
    fields: Fields,
) -> Result<(), Error> {
    transaction
        .execute("INSERT INTO record (id, revision) VALUES ($1, $2)", &[&id, &revision])
        .await?;
    set(transaction, id, &all_new(fields)).await
}

/// Sets field by field; what the database refuses is stored with its words, and stops no
/// other field.
async fn set(
    transaction: &Transaction<'_>,
    id: &str,
    changes: &[Change],
) -> Result<(), Error> {
    let refuse = "INSERT INTO refusal VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id, field)
        DO UPDATE SET value = $3, shown = $4, why = $5";
    for Change { field, expects, value } in changes {
        transaction.batch_execute("SAVEPOINT change").await?;
        let Err(error) = write(transaction, id, field, value.as_ref()).await else {
            transaction.batch_execute("RELEASE change").await?;
            continue;
        };
        let Some(why) = refusal(&error) else { return Err(error) };
        transaction.batch_execute("ROLLBACK TO change").await?;
        transaction.execute(refuse, &[&id, field, value, expects, &why]).await?;
    }
    Ok(())
}

/// What the database says of a value that it does not take: a rule, a trigger, a type.
fn refusal(error: &Error) -> Option<String> {
    const CLASSES: [&str; 3] = ["22", "23", "P0"];
    let error = error.as_db_error()?;
    let is_refusal = CLASSES.iter().any(|class| error.code().code().starts_with(class));
    is_refusal.then(|| error.message().to_owned())
}

async fn write(
    transaction: &Transaction<'_>,
    id: &str,
    field: &str,
    value: Option<&String>,
) -> Result<(), Error> {
    let sql =
        format!("UPDATE record SET {field} = $2, revision = revision + 1 WHERE id = $1");
    transaction.execute(&sql, &[&id, &value]).await.map(drop)
}

/// Stores what is known in common of fields.
async fn agree(transaction: &Transaction<'_>, agreed: Agreed) -> Outcome<()> {
    let add = "INSERT INTO agreed VALUES ($1, $2, $3) ON CONFLICT (id, field)
        DO UPDATE SET bases = $3";
    let add = transaction.prepare(add).await?;
    for ((id, field), bases) in agreed {
        let bases = stored(bases)?;
        transaction.execute(&add, &[&id, &field, &bases]).await?;
    }
    Ok(())
}

/// Stores what is known of records as a whole.
async fn know(
    transaction: &Transaction<'_>,
    known: BTreeMap<String, Known>,
) -> Outcome<()> {
    let add = "INSERT INTO known VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id)
        DO UPDATE SET base = $2, crm = $3, erp = $4, epoch = $5, crm_back = $6,
        erp_back = $7";
    let add = transaction.prepare(add).await?;
    for (id, Known { base, revisions: [crm, erp], epoch, back: [a, b] }) in known {
        let base = stored(base)?;
        transaction.execute(&add, &[&id, &base, &crm, &erp, &epoch, &a, &b]).await?;
    }
    Ok(())
}

/// Whether the question still stands as it was put, and the record shows what it did:
/// both are locked by then.
async fn is_as_seen(
    transaction: &Transaction<'_>,
    seen: &Review<String>,
    in_crm: &[Change],
) -> Outcome<bool> {
    let (id, field) = (&seen.record_id, field_of(seen));
    let seen = serde_json::to_string(seen)?;
    let sql =
        "SELECT id FROM review WHERE id = $1 AND field = $2 AND seen = $3 FOR UPDATE";
    let mut stands = transaction.query_opt(sql, &[&id, &field, &seen]).await?.is_some();
    for Change { field, expects, .. } in in_crm {
        let sql = format!(
            "SELECT id FROM record WHERE id = $1 AND {field} IS NOT DISTINCT FROM $2
             FOR UPDATE"
        );
        stands &= transaction.query_opt(&sql, &[&id, expects]).await?.is_some();
    }
    Ok(stands)
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
            insert(&transaction, &id, row.revision, row.fields).await?;
        }
        agree(&transaction, agreed).await?;
        let both = stored(RecordBase::common(Existed::There, 2))?;
        let known =
            "INSERT INTO known SELECT DISTINCT id, $1, 0, 0, 0, FALSE, FALSE FROM agreed";
        transaction.execute(known, &[&both]).await?;
        Ok(transaction.commit().await?)
    }

    async fn rows(&mut self) -> Outcome<Rows> {
        let sql = format!("SELECT id, revision, {} FROM record", self.columns());
        let rows = self.line.client(&self.config).await?.query(&sql, &[]).await?;
        Ok(rows.iter().map(|row| read_row(&self.fields, row)).collect())
    }

    async fn refusals(&mut self, place: usize) -> Outcome<Refusals> {
        let sql = "SELECT id, field, value, shown, why FROM refusal";
        let rows = self.line.client(&self.config).await?.query(sql, &[]).await?;
        let refusal = |row: &SqlRow| {
            let (value, shown, why) = (row.get(2), row.get(3), row.get(4));
            ((row.get(0), row.get(1)), Refusal { place, value, shown, why })
        };
        Ok(rows.iter().map(refusal).collect())
    }

    async fn memory(&mut self) -> Outcome<Memory> {
        let client = self.line.client(&self.config).await?;
        let mut memory = Memory::default();
        for row in client.query("SELECT id, field, bases FROM agreed", &[]).await? {
            let bases = read_stored(row.get(2))?;
            memory.agreed.insert((row.get(0), row.get(1)), bases);
        }
        let known = "SELECT id, base, crm, erp, epoch, crm_back, erp_back FROM known";
        for row in client.query(known, &[]).await? {
            let (base, revisions) = (row.get(1), [row.get(2), row.get(3)]);
            let (base, epoch) = (read_stored(base)?, row.get(4));
            let back = [row.get(5), row.get(6)];
            memory.known.insert(row.get(0), Known { base, revisions, epoch, back });
        }
        let lasting = "SELECT id, field, answer FROM answer WHERE lasts";
        for row in client.query(lasting, &[]).await? {
            memory.keep(row.get(0), row.get(1), row.get(2))?;
        }
        let under_way = "SELECT id, field FROM answer WHERE under_way";
        let under_way = client.query(under_way, &[]).await?;
        memory.under_way = under_way.iter().map(|row| (row.get(0), row.get(1))).collect();
        Ok(memory)
    }

    async fn questions(&mut self) -> Outcome<Vec<Review<String>>> {
        let sql = "SELECT seen FROM review ORDER BY id, field";
        let rows = self.line.client(&self.config).await?.query(sql, &[]).await?;
        rows.iter().map(|row| Ok(serde_json::from_str(row.get(0))?)).collect()
    }

    async fn announce(
        &mut self,
        announcements: Vec<Announcement>,
        agreed: Agreed,
        known: BTreeMap<String, Known>,
    ) -> Outcome<usize> {
        let mut client = self.line.client(&self.config).await?;
        let transaction = client.transaction().await?;
        agree(&transaction, agreed).await?;
        know(&transaction, known).await?;
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

    async fn answer(&mut self, order: Order) -> Outcome<bool> {
        let Order { seen, answer, decision, lasts, in_crm, bases, record, event } = order;
        let mut client = self.line.client(&self.config).await?;
        let transaction = client.transaction().await?;
        if !is_as_seen(&transaction, &seen, &in_crm).await? {
            return Ok(false);
        }
        let (id, field) = (&seen.record_id, field_of(&seen));
        for change in in_crm.iter().filter(|change| change.value != change.expects) {
            write(&transaction, id, &change.field, change.value.as_ref()).await?;
        }
        let cell = (id.clone(), field.to_owned());
        let bases = bases.map(|bases| (cell, bases)).into_iter().collect();
        agree(&transaction, bases).await?;
        match record {
            Some(WholeRecord::Insert(fields)) => {
                insert(&transaction, id, 0, fields).await?;
            }
            Some(WholeRecord::Delete) => {
                let sql = "DELETE FROM record WHERE id = $1";
                transaction.execute(sql, &[id]).await?;
            }
            None => {}
        }
        let under_way = event.is_some();
        if let Some(event) = event {
            outbox::postgres::enqueue(&transaction, event).await?;
        }
        let sql = "DELETE FROM review WHERE id = $1 AND field = $2";
        transaction.execute(sql, &[id, &field]).await?;
        let sql = "INSERT INTO answer VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let (by, reason) = (decision.by(), decision.reason());
        transaction
            .execute(sql, &[id, &field, &answer, &by, &reason, &lasts, &under_way])
            .await?;
        transaction.commit().await?;
        Ok(true)
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
                match effect(event, row.as_ref())? {
                    Effect::Nothing => {}
                    Effect::Insert { record, fields } => {
                        insert(transaction, &record, 0, fields).await?;
                    }
                    Effect::Update { record, changes } => {
                        set(transaction, &record, &changes).await?;
                    }
                    Effect::Delete { record } => {
                        let sql = "DELETE FROM record WHERE id = $1";
                        transaction.execute(sql, &[&record]).await?;
                    }
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

    async fn close(&mut self, findings: Findings) -> Outcome<()> {
        let Findings { agreed, known, review, gone, expired } = findings;
        let mut client = self.line.client(&self.config).await?;
        let transaction = client.transaction().await?;
        agree(&transaction, agreed).await?;
        know(&transaction, known).await?;
        transaction.execute("UPDATE answer SET under_way = FALSE", &[]).await?;
        transaction.execute("DELETE FROM review", &[]).await?;
        let add =
            transaction.prepare("INSERT INTO review VALUES ($1, $2, $3, $4)").await?;
        for row in review {
            let (question, seen) =
                (row.question.to_string(), serde_json::to_string(&row)?);
            let (id, field) = (&row.record_id, field_of(&row));
            transaction.execute(&add, &[id, &field, &question, &seen]).await?;
        }
        for id in gone {
            for table in ["agreed", "known", "refusal"] {
                let sql = format!("DELETE FROM {table} WHERE id = $1");
                transaction.execute(&sql, &[&id]).await?;
            }
            let sql = "UPDATE answer SET lasts = FALSE WHERE id = $1";
            transaction.execute(sql, &[&id]).await?;
        }
        for (id, field) in expired {
            let sql = "UPDATE answer SET lasts = FALSE WHERE id = $1 AND field = $2";
            transaction.execute(sql, &[&id, &field]).await?;
        }
        Ok(transaction.commit().await?)
    }
}
