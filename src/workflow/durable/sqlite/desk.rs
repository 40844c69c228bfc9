//! The desk in SQLite: it reads beside those who write.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{
    Connection, OptionalExtension, Row as SqlRow, Transaction, TransactionBehavior,
    params,
};

use super::PART;
use super::rows::{find, write_entry};
use super::step::{find_record, store_step};
use crate::EventId;
use crate::outbox::sqlite::Outbox;
use crate::store::StoreError;
use crate::store::error::Doing;
use crate::store::sqlite::{
    Shared, any_moment, at_most, maybe_moment, maybe_text, micros, now, text,
};
use crate::workflow::CommandState;
use crate::workflow::durable::desk::{
    self, COUNTING, COUNTS, CountRow, DeskError, ENDED, Found, HISTORY, IDS, INTERVENING,
    Instances, LISTING, LOOKING, OLDEST, ORPHANS, PAGE, PARTS, PRESENT, PURGING, PastRow,
    PresentRow, TAKE_UP, TAKING_UP, Take, VERIFYING, Whole,
};
use crate::workflow::durable::journal::{ByRow, EntryRow};

/// What people ask of the workflows in a SQLite file.
///
/// ```
/// # mod shop {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/orders.rs"));
/// # }
/// # use shop::order_to_cash;
/// use std::time::Duration;
///
/// use integration_automation_patterns::workflow::sqlite::Desk;
///
/// # let folder = std::env::temp_dir().join(format!("desk-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("crm.db");
/// # let mut runtime = tokio::runtime::Builder::new_current_thread();
/// # runtime.enable_all().build()?.block_on(async {
/// let desk = Desk::open(&path)?.of::<order_to_cash::This>();
/// let an_hour = Duration::from_secs(60 * 60);
/// assert_eq!(desk.stuck(an_hour, 100).await?, []);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Desk = desk::Desk<DeskFile>;

/// A SQLite file with workflows, as a desk reads it.
#[derive(Debug)]
pub struct DeskFile(Shared);

impl Desk {
    /// Opens the file, with the tables of its workflows and its outbox.
    ///
    /// # Errors
    ///
    /// What the database answers, and tables that a newer version of this crate has made.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        drop(Outbox::open(path)?);
        Ok(Self::new(DeskFile(Shared::open(path, &PART)?)))
    }
}

impl Instances for DeskFile {
    async fn counts(&self) -> Result<Vec<CountRow>, StoreError> {
        self.0.look(COUNTING, |connection| counts(connection)).await
    }

    async fn oldest(
        &self,
        than: Duration,
        most: usize,
    ) -> Result<Vec<Found>, StoreError> {
        self.0.look(LISTING, move |connection| oldest(connection, than, most)).await
    }

    async fn find(&self, id: &EventId) -> Result<Option<Whole>, StoreError> {
        let id = id.to_string();
        let look = move |connection: &mut Connection| {
            // One moment for row and journal.
            find_whole(&*connection.transaction()?, &id)
        };
        self.0.look(LOOKING, look).await
    }

    async fn page(&self, after: String) -> Result<Vec<Whole>, StoreError> {
        self.0.look(VERIFYING, move |connection| page(connection, &after)).await
    }

    async fn orphans(&self) -> Result<Vec<String>, StoreError> {
        let look = |connection: &mut Connection| {
            let mut orphans = connection.prepare_cached(ORPHANS)?;
            orphans.query_map([], |row| text(row, 0))?.collect()
        };
        self.0.look(VERIFYING, look).await
    }

    async fn step(&self, id: &EventId, take: Take) -> Result<(), DeskError> {
        let id = id.clone();
        let work = move |connection: &mut Connection| take_step(connection, &id, take);
        self.0.work(INTERVENING, work).await?
    }

    async fn take_up(&self, id: &EventId, by: ByRow) -> Result<bool, StoreError> {
        let id = id.to_string();
        self.0.write(TAKING_UP, move |transaction| take_up(transaction, &id, by)).await
    }

    async fn purge(&self, age: Duration, most: usize) -> Result<usize, StoreError> {
        self.0.write(PURGING, move |transaction| purge(transaction, age, most)).await
    }
}

fn take_step(
    connection: &mut Connection,
    id: &EventId,
    take: Take,
) -> Result<(), DeskError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .doing(INTERVENING)?;
    let now = now(&transaction).doing(INTERVENING)?;
    let written = take(find_record(&transaction, id)?, now)?;
    store_step(&transaction, written, None, now)?;
    Ok(transaction.commit().doing(INTERVENING)?)
}

fn take_up(transaction: &Transaction<'_>, id: &str, by: ByRow) -> rusqlite::Result<bool> {
    let failing = transaction.prepare_cached(TAKE_UP)?.execute([id])?;
    let Some(rows) = find(transaction, id)?.filter(|_| failing == 1) else {
        return Ok(false);
    };
    let entry = EntryRow::of_take_up(&rows.instance, by, now(transaction)?);
    write_entry(transaction, id, &entry).map(|()| true)
}

fn purge(
    transaction: &Transaction<'_>,
    age: Duration,
    most: usize,
) -> rusqlite::Result<usize> {
    let since = micros(ago(now(transaction)?, age));
    let mut ids = transaction.prepare_cached(ENDED)?;
    let ids = ids.query_map(params![since, at_most(most)], |row| text(row, 0))?;
    let ids = ids.collect::<rusqlite::Result<Vec<String>>>()?;
    for (table, column) in PARTS {
        let sql = format!("DELETE FROM {table} WHERE {column} = $1");
        let mut delete = transaction.prepare_cached(&sql)?;
        for id in &ids {
            delete.execute([id])?;
        }
    }
    Ok(ids.len())
}

fn counts(connection: &Connection) -> rusqlite::Result<Vec<CountRow>> {
    let now = micros(now(connection)?);
    let mut counts = connection.prepare_cached(COUNTS)?;
    let rows = counts.query_map([now], |row| {
        Ok(CountRow {
            workflow: text(row, "workflow")?,
            status: text(row, "status")?,
            step: maybe_text(row, "step")?,
            instances: row.get("instances")?,
            oldest: any_moment(row.get("oldest")?),
            overdue: row.get("overdue")?,
            failing: row.get("failing")?,
            for_nobody: row.get("for_nobody")?,
        })
    })?;
    rows.collect()
}

/// The moment that is so long ago.
fn ago(now: DateTime<Utc>, age: Duration) -> DateTime<Utc> {
    let age = TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
    now.checked_sub_signed(age).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

fn oldest(
    connection: &mut Connection,
    than: Duration,
    most: usize,
) -> rusqlite::Result<Vec<Found>> {
    let connection = connection.transaction()?;
    let since = micros(ago(now(&connection)?, than));
    let mut ids = connection.prepare_cached(OLDEST)?;
    let ids = ids.query_map(params![since, at_most(most)], |row| text(row, 0))?;
    let ids = ids.collect::<rusqlite::Result<Vec<String>>>()?;
    let found = ids.iter().filter_map(|id| find_one(&connection, id).transpose());
    found.collect()
}

fn page(connection: &mut Connection, after: &str) -> rusqlite::Result<Vec<Whole>> {
    let connection = connection.transaction()?;
    let mut ids = connection.prepare_cached(IDS)?;
    let ids = ids.query_map(params![after, at_most(PAGE)], |row| text(row, 0))?;
    let ids = ids.collect::<rusqlite::Result<Vec<String>>>()?;
    let found = ids.iter().filter_map(|id| find_whole(&connection, id).transpose());
    found.collect()
}

fn find_whole(connection: &Connection, id: &str) -> rusqlite::Result<Option<Whole>> {
    let Some(found) = find_one(connection, id)? else { return Ok(None) };
    Ok(Some((found, history(connection, id)?)))
}

fn find_one(connection: &Connection, id: &str) -> rusqlite::Result<Option<Found>> {
    let Some(rows) = find(connection, id)? else { return Ok(None) };
    let mut present = connection.prepare_cached(PRESENT)?;
    let present = present.query_row([id], read_present).optional()?;
    Ok(present.map(|present| Found { rows, present }))
}

fn read_present(row: &SqlRow<'_>) -> rusqlite::Result<PresentRow> {
    let status = maybe_text(row, "command_status")?;
    let command = status.map(|status| -> rusqlite::Result<_> {
        Ok(CommandState {
            status,
            attempts: row.get("command_attempts")?,
            failure: maybe_text(row, "command_failure")?,
        })
    });
    Ok(PresentRow {
        begun_at: any_moment(row.get("begun_at")?),
        moved_at: any_moment(row.get("moved_at")?),
        turn_at: maybe_moment(row.get("turn_at")?),
        turn_failures: row.get("turn_failures")?,
        turn_failure: maybe_text(row, "turn_failure")?,
        asked_at: maybe_moment(row.get("asked_at")?),
        command: command.transpose()?,
    })
}

fn history(connection: &Connection, id: &str) -> rusqlite::Result<Vec<PastRow>> {
    let mut history = connection.prepare_cached(HISTORY)?;
    let rows = history.query_map([id], |row| {
        Ok(PastRow {
            entry: row.get("entry")?,
            revision: row.get("revision")?,
            at: any_moment(row.get("at")?),
            what: text(row, "what")?,
            step: maybe_text(row, "step")?,
            status: text(row, "status")?,
            to_step: maybe_text(row, "to_step")?,
            cause_source: maybe_text(row, "cause_source")?,
            cause_id: maybe_text(row, "cause_id")?,
            commands: text(row, "commands")?,
            by: maybe_text(row, "by")?,
            role: maybe_text(row, "role")?,
            instead_of: maybe_text(row, "instead_of")?,
            reason: maybe_text(row, "reason")?,
            standing: text(row, "standing")?,
        })
    })?;
    rows.collect()
}
