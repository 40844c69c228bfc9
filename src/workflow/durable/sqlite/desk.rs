//! The desk in SQLite: it reads beside those who write.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::file::File;
use super::read::{read_count, read_dead_reply, read_gone, read_past, read_present};
use super::rows::{find, write_entry};
use super::step::{find_record, store_step};
use crate::EventId;
use crate::store::StoreError;
use crate::store::error::Doing;
use crate::store::sqlite::{at_most, micros, now, text};
use crate::trace::Mover;
use crate::workflow::durable::desk::{
    self, COUNTING, COUNTS, CountRow, DEAD_REPLIES, DeadReplyRow, DeskError, ENDED,
    Found, HISTORY, IDS, INTERVENING, Instances, LISTING, LOOKING, OLDEST, ORPHANS, PAGE,
    PARTS, PRESENT, PURGING, PastRow, TAKE_UP, TAKING_UP, Take, VERIFYING, Whole,
};
use crate::workflow::durable::journal::{ByRow, EntryRow};
use crate::workflow::durable::stored::{GoneRow, StoredStep};

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
pub type Desk = desk::Desk<File>;

impl Desk {
    /// Opens the file, with the tables of its workflows and its outbox.
    ///
    /// # Errors
    ///
    /// What the database answers, and tables that a newer version of this crate has made.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        File::open(path.as_ref()).map(Self::new)
    }

    /// Opens the file read-only: nothing is made, no permission to write is needed, and
    /// what would write is refused.
    ///
    /// # Errors
    ///
    /// What the database answers, and tables that are missing or of another version of
    /// this crate.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        File::open_read_only(path.as_ref()).map(Self::new)
    }
}

impl Instances for File {
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

    async fn dead_replies(
        &self,
        to: Vec<String>,
    ) -> Result<Vec<DeadReplyRow>, StoreError> {
        self.0.look(LISTING, move |connection| dead_replies(connection, to)).await
    }

    async fn orphans(&self) -> Result<Vec<String>, StoreError> {
        let look = |connection: &mut Connection| {
            let mut orphans = connection.prepare_cached(ORPHANS)?;
            orphans.query_map([], |row| text(row, 0))?.collect()
        };
        self.0.look(VERIFYING, look).await
    }

    async fn step(&self, id: &EventId, take: Take) -> Result<StoredStep, DeskError> {
        let id = id.clone();
        let work = move |connection: &mut Connection| take_step(connection, &id, take);
        self.0.work(INTERVENING, work).await?
    }

    async fn take_up(
        &self,
        id: &EventId,
        by: ByRow,
    ) -> Result<Option<StoredStep>, StoreError> {
        let id = id.clone();
        self.0.write(TAKING_UP, move |transaction| take_up(transaction, id, by)).await
    }

    async fn purge(
        &self,
        age: Duration,
        most: usize,
    ) -> Result<Vec<GoneRow>, StoreError> {
        self.0.write(PURGING, move |transaction| purge(transaction, age, most)).await
    }
}

fn take_step(
    connection: &mut Connection,
    id: &EventId,
    take: Take,
) -> Result<StoredStep, DeskError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .doing(INTERVENING)?;
    let now = now(&transaction).doing(INTERVENING)?;
    let written = take(find_record(&transaction, id)?, now)?;
    let stored = store_step(&transaction, written, (Mover::Clock, None), now)?;
    transaction.commit().doing(INTERVENING)?;
    Ok(stored)
}

fn take_up(
    transaction: &Transaction<'_>,
    instance: EventId,
    by: ByRow,
) -> rusqlite::Result<Option<StoredStep>> {
    let id = instance.to_string();
    let failing = transaction.prepare_cached(TAKE_UP)?.execute([&id])?;
    let Some(rows) = find(transaction, &id)?.filter(|_| failing == 1) else {
        return Ok(None);
    };
    let entry = EntryRow::of_take_up(&rows.instance, by, now(transaction)?);
    write_entry(transaction, &id, &entry)?;
    Ok(Some(StoredStep::of(instance, &rows.instance, &entry)))
}

fn purge(
    transaction: &Transaction<'_>,
    age: Duration,
    most: usize,
) -> rusqlite::Result<Vec<GoneRow>> {
    let since = micros(ago(now(transaction)?, age));
    let mut ended = transaction.prepare_cached(ENDED)?;
    let gone = ended.query_map(params![since, at_most(most)], read_gone)?;
    let gone = gone.collect::<rusqlite::Result<Vec<GoneRow>>>()?;
    for (table, column) in PARTS {
        let sql = format!("DELETE FROM {table} WHERE {column} = $1");
        let mut delete = transaction.prepare_cached(&sql)?;
        for row in &gone {
            delete.execute([&row.id])?;
        }
    }
    Ok(gone)
}

fn counts(connection: &Connection) -> rusqlite::Result<Vec<CountRow>> {
    let now = micros(now(connection)?);
    let mut counts = connection.prepare_cached(COUNTS)?;
    counts.query_map([now], read_count)?.collect()
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

fn dead_replies(
    connection: &Connection,
    to: Vec<String>,
) -> rusqlite::Result<Vec<DeadReplyRow>> {
    let inbox =
        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'inbox_event'";
    if !connection.prepare_cached(inbox)?.exists([])? {
        return Ok(Vec::new());
    }
    let mut dead = connection.prepare_cached(&dead_replies_sql())?;
    let to = serde_json::Value::from(to).to_string();
    dead.query_map([to], read_dead_reply)?.collect()
}

fn dead_replies_sql() -> String {
    DEAD_REPLIES.replace("$1", "SELECT value FROM json_each(?1)")
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

fn history(connection: &Connection, id: &str) -> rusqlite::Result<Vec<PastRow>> {
    let mut history = connection.prepare_cached(HISTORY)?;
    history.query_map([id], read_past)?.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::{inbox, outbox};

    /// Protects the operator from waiting for a million orders: what they ask is read from
    /// an index, and nothing is sorted.
    #[test]
    fn what_people_ask_is_read_from_an_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        outbox::sqlite::install(&mut connection).unwrap();
        inbox::sqlite::install(&mut connection).unwrap();
        super::super::install(&mut connection).unwrap();
        let plan = |sql: &str| {
            let mut plan =
                connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let count = plan.parameter_count();
            let values = rusqlite::params_from_iter(std::iter::repeat_n(1, count));
            let lines = plan.query_map(values, |row| row.get::<_, String>("detail"));
            lines.unwrap().collect::<Result<Vec<_>, _>>().unwrap().join("; ")
        };
        for (sql, index) in [
            (OLDEST, "INDEX workflow_waiting (moved_at<?)"),
            (ENDED, "INDEX workflow_ended (moved_at<?)"),
            (COUNTS, "COVERING INDEX workflow_at"),
            (&dead_replies_sql(), "INDEX inbox_failed"),
        ] {
            let plan = plan(sql);
            assert!(plan.contains(index) && !plan.contains("TEMP"), "{sql}: {plan}");
        }
    }
}
