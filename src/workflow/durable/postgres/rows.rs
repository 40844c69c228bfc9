//! The rows of workflows in PostgreSQL: found, and written.

use chrono::{DateTime, Utc};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row as SqlRow, Transaction};

use super::read::{read_instance, read_vote};
use crate::store::postgres::at;
use crate::store::{LAST_DUE, storable};
use crate::workflow::durable::columns::{
    ClearanceRow, INSTANCE_COLUMNS, InstanceRow, Rows, VOTE_COLUMNS, VoteRow,
};
use crate::workflow::durable::journal::EntryRow;

/// Refuses a search path whose first schema has no workflows, whatever the next ones have.
pub(super) async fn check_place(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction.batch_execute("SELECT workflow_check_place()").await
}

/// An instance with what belongs to it, and when it began: locked until the transaction
/// ends. Beside it the database's time, after the wait for the lock.
///
/// It refuses a search path whose first schema has no workflows, as [`check_place`] does.
pub(super) async fn lock(
    transaction: &Transaction<'_>,
    id: &str,
) -> Result<(DateTime<Utc>, Option<(Rows, DateTime<Utc>)>), Error> {
    let sql = "SELECT (present).*, has_votes, now FROM workflow_find($1)";
    let row = transaction.query_typed_one(sql, &[(&id, Type::TEXT)]).await?;
    let now = at(&row, "now")?;
    if row.try_get::<_, Option<&str>>("id")?.is_none() {
        return Ok((now, None));
    }
    let instance = read_instance(&row)?;
    let (votes, cleared) = match row.try_get("has_votes")? {
        true => votes(transaction, id).await?,
        false => Default::default(),
    };
    let rows = Rows { instance, votes, cleared };
    Ok((now, Some((rows, at(&row, "begun_at")?))))
}

/// An instance with what belongs to it, not locked.
pub(super) async fn look(
    transaction: &Transaction<'_>,
    id: &str,
) -> Result<Option<Rows>, Error> {
    let sql = format!("SELECT {INSTANCE_COLUMNS} FROM workflow_instance WHERE id = $1");
    let row = transaction.query_typed_opt(&sql, &[(&id, Type::TEXT)]).await?;
    let Some(row) = row else { return Ok(None) };
    let (votes, cleared) = votes(transaction, id).await?;
    Ok(Some(Rows { instance: read_instance(&row)?, votes, cleared }))
}

/// The votes for what an instance asks or has asked, and what is cleared.
async fn votes(
    transaction: &Transaction<'_>,
    id: &str,
) -> Result<(Vec<VoteRow>, Vec<ClearanceRow>), Error> {
    let sql = format!(
        "SELECT {VOTE_COLUMNS} FROM workflow_vote WHERE instance = $1 \
         ORDER BY approval, place"
    );
    let votes = async { transaction.query_typed(&sql, &[(&id, Type::TEXT)]).await };
    let sql = "SELECT approval, shown, amended FROM workflow_clearance \
               WHERE instance = $1 ORDER BY place";
    let cleared = async { transaction.query_typed(sql, &[(&id, Type::TEXT)]).await };
    let (votes, cleared) = tokio::try_join!(biased; votes, cleared)?;
    let read = |row: &SqlRow| {
        Ok(ClearanceRow {
            approval: row.try_get(0)?,
            shown: row.try_get(1)?,
            amended: row.try_get(2)?,
        })
    };
    let votes = votes.iter().map(read_vote).collect::<Result<_, _>>()?;
    Ok((votes, cleared.iter().map(read).collect::<Result<_, Error>>()?))
}

/// Refuses a search path whose first schema has no workflows; and the database's time.
pub(super) async fn place_and_time(
    transaction: &Transaction<'_>,
) -> Result<DateTime<Utc>, Error> {
    let sql = "SELECT clock_timestamp() AS now, workflow_check_place()";
    at(&transaction.query_typed_one(sql, &[]).await?, "now")
}

/// Writes the row of a new instance, and its first entry; says whether it did.
pub(super) async fn insert(
    transaction: &Transaction<'_>,
    rows: &Rows,
    entry: &EntryRow,
) -> Result<bool, Error> {
    let is_new = write(transaction, &rows.instance, entry).await?;
    if is_new {
        write_votes(transaction, rows).await?;
    }
    Ok(is_new)
}

/// Writes the row of an instance over that of the revision before, with its votes where it
/// `had_votes` before, and the entry of the step; says whether it did.
pub(super) async fn update(
    transaction: &Transaction<'_>,
    rows: &Rows,
    entry: &EntryRow,
    had_votes: bool,
) -> Result<bool, Error> {
    let written = write(transaction, &rows.instance, entry).await?;
    if had_votes {
        for table in ["workflow_vote", "workflow_clearance"] {
            let sql = format!("DELETE FROM {table} WHERE instance = $1");
            transaction.execute_typed(&sql, &[(&rows.instance.id, Type::TEXT)]).await?;
        }
    }
    write_votes(transaction, rows).await?;
    Ok(written)
}

/// Writes the row of an instance, a new one where it is its first revision, and then the
/// entry of the step; says whether it did. It is one statement, since each is parsed anew.
async fn write(
    transaction: &Transaction<'_>,
    row: &InstanceRow,
    entry: &EntryRow,
) -> Result<bool, Error> {
    let sql = "SELECT workflow_write_entry($1, $21, $22, $23, $24, $25, $26, $27, $28, \
               $29, $30, $31, $32, $33, $34, $35, $36) \
               WHERE workflow_write($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
               $13, $14, $15, $16, $17, $18, $19, $20)";
    let due_at = row.due_at.map(|at| at.min(LAST_DUE));
    let entry_values = entry_values(entry);
    let mut values: Vec<(&(dyn ToSql + Sync), Type)> = vec![
        (&row.id, Type::TEXT),
        (&row.workflow, Type::TEXT),
        (&row.version, Type::INT8),
        (&row.fingerprint, Type::TEXT),
        (&row.revision, Type::INT8),
        (&row.status, Type::TEXT),
        (&row.step, Type::TEXT),
        (&row.awaits, Type::TEXT),
        (&due_at, Type::TIMESTAMPTZ),
        (&row.round, Type::INT8),
        (&row.level, Type::INT8),
        (&row.reminded, Type::BOOL),
        (&row.for_nobody, Type::BOOL),
        (&row.shown, Type::BYTEA),
        (&row.requested_by, Type::TEXT),
        (&row.requested_instead_of, Type::TEXT),
        (&row.data, Type::BYTEA),
        (&row.tags, Type::TEXT),
        (&entry.at, Type::TIMESTAMPTZ),
        (&row.amended_by, Type::TEXT),
    ];
    values.extend(entry_values.iter().map(borrowed));
    Ok(transaction.execute_typed(sql, &values).await? == 1)
}

async fn write_votes(
    transaction: &Transaction<'_>,
    Rows { instance: InstanceRow { id, .. }, votes, cleared }: &Rows,
) -> Result<(), Error> {
    let sql = format!(
        "INSERT INTO workflow_vote (instance, place, {VOTE_COLUMNS}) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    );
    for (place, vote) in (0_i64..).zip(votes) {
        transaction
            .execute_typed(
                &sql,
                &[
                    (id, Type::TEXT),
                    (&place, Type::INT8),
                    (&vote.approval, Type::TEXT),
                    (&storable(&vote.person), Type::TEXT),
                    (&vote.instead_of.as_ref().map(storable), Type::TEXT),
                    (&vote.role, Type::TEXT),
                    (&storable(&vote.reason), Type::TEXT),
                    (&vote.at, Type::TIMESTAMPTZ),
                    (&vote.seen, Type::TEXT),
                ],
            )
            .await?;
    }
    let sql = "INSERT INTO workflow_clearance \
               (instance, place, approval, shown, amended) VALUES ($1, $2, $3, $4, $5)";
    for (place, clearance) in (0_i64..).zip(cleared) {
        transaction
            .execute_typed(
                sql,
                &[
                    (id, Type::TEXT),
                    (&place, Type::INT8),
                    (&clearance.approval, Type::TEXT),
                    (&clearance.shown, Type::BYTEA),
                    (&clearance.amended, Type::INT8),
                ],
            )
            .await?;
    }
    Ok(())
}

/// Adds an entry to the journal of an instance, whose row is locked.
pub(super) async fn write_entry(
    transaction: &Transaction<'_>,
    id: &str,
    entry: &EntryRow,
) -> Result<(), Error> {
    let sql = "SELECT workflow_write_entry($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
               $11, $12, $13, $14, $15, $16, $17)";
    let entry = entry_values(entry);
    let mut values: Vec<(&(dyn ToSql + Sync), Type)> = vec![(&id, Type::TEXT)];
    values.extend(entry.iter().map(borrowed));
    transaction.execute_typed(sql, &values).await.map(drop)
}

/// A value of an entry, which may be made of what the entry holds.
type EntryValue<'a> = (Box<dyn ToSql + Sync + Send + 'a>, Type);

fn borrowed<'a>((value, kind): &'a EntryValue<'_>) -> (&'a (dyn ToSql + Sync), Type) {
    (&**value, kind.clone())
}

/// The values of an entry behind the instance, in the order of the function's.
fn entry_values(entry: &EntryRow) -> [EntryValue<'_>; 16] {
    let (cause, by) = (entry.cause.as_ref(), entry.by.as_ref());
    let away = by.and_then(|by| by.instead_of.as_ref());
    [
        (Box::new(entry.revision), Type::INT8),
        (Box::new(entry.at), Type::TIMESTAMPTZ),
        (Box::new(entry.what.as_str()), Type::TEXT),
        (Box::new(&entry.step), Type::TEXT),
        (Box::new(&entry.status), Type::TEXT),
        (Box::new(&entry.to_step), Type::TEXT),
        (Box::new(cause.map(|(source, _)| storable(source))), Type::TEXT),
        (Box::new(cause.map(|(_, id)| storable(id))), Type::TEXT),
        (Box::new(&entry.commands), Type::TEXT),
        (Box::new(by.map(|by| storable(&by.person))), Type::TEXT),
        (Box::new(by.and_then(|by| by.role)), Type::TEXT),
        (Box::new(away.map(storable)), Type::TEXT),
        (Box::new(by.map(|by| storable(&by.reason))), Type::TEXT),
        (Box::new(by.map(|by| by.decided_at)), Type::TIMESTAMPTZ),
        (Box::new(&entry.standing), Type::TEXT),
        (Box::new(entry.version), Type::INT8),
    ]
}
