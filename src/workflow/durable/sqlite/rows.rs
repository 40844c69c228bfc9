//! The rows of workflows in SQLite: found, and written.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::read::{read_instance, read_vote};
use crate::store::LAST_DUE;
use crate::store::sqlite::{any_moment, micros, text};
use crate::workflow::durable::columns::{
    ClearanceRow, INSTANCE_COLUMNS, Rows, VOTE_COLUMNS, VoteRow,
};
use crate::workflow::durable::journal::EntryRow;

/// The columns of an entry, in the order of [`EntryRow`], after the instance and the
/// number of the entry.
const ENTRY_COLUMNS: &str = "revision, at, what, step, status, to_step, \
     cause_source, cause_id, commands, by, role, instead_of, reason, decided_at, standing, \
     version";

/// An instance with what belongs to it.
pub(super) fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<Rows>> {
    let sql = format!("SELECT {INSTANCE_COLUMNS} FROM workflow_instance WHERE id = ?1");
    let instance = connection.prepare_cached(&sql)?.query_row([id], read_instance);
    let Some(instance) = instance.optional()? else { return Ok(None) };
    let sql = format!(
        "SELECT {VOTE_COLUMNS} FROM workflow_vote WHERE instance = ?1 \
         ORDER BY approval, place"
    );
    let mut votes = connection.prepare_cached(&sql)?;
    let votes = votes.query_map([id], read_vote)?.collect::<rusqlite::Result<_>>()?;
    let mut cleared = connection.prepare_cached(
        "SELECT approval, shown, amended FROM workflow_clearance WHERE instance = ?1 \
         ORDER BY place",
    )?;
    let cleared = cleared.query_map([id], |row| {
        Ok(ClearanceRow {
            approval: text(row, 0)?,
            shown: row.get(1)?,
            amended: row.get(2)?,
        })
    })?;
    let cleared = cleared.collect::<rusqlite::Result<_>>()?;
    Ok(Some(Rows { instance, votes, cleared }))
}

/// What a step is stored over.
#[derive(Debug)]
pub(super) struct Place {
    /// That of the row; 0 where there is none yet.
    pub(super) revision: u64,
    pub(super) begun_at: DateTime<Utc>,
    pub(super) tags: String,
}

impl Place {
    /// Where there is no row yet.
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self { revision: 0, begun_at: now, tags: "{}".to_owned() }
    }
}

/// What a step of an instance is stored over.
pub(super) fn find_place(
    connection: &Connection,
    id: &str,
) -> rusqlite::Result<Option<Place>> {
    let sql = "SELECT revision, begun_at, tags FROM workflow_instance WHERE id = ?1";
    let found = connection.prepare_cached(sql)?.query_row([id], |row| {
        Ok(Place {
            revision: u64::try_from(row.get::<_, i64>("revision")?).unwrap_or_default(),
            begun_at: any_moment(row.get("begun_at")?),
            tags: text(row, "tags")?,
        })
    });
    found.optional()
}

/// Writes the row of an instance, where it is new, or of the revision before; says
/// whether it did.
pub(super) fn write(
    connection: &Connection,
    Rows { instance: row, votes, cleared }: &Rows,
    now: DateTime<Utc>,
) -> rusqlite::Result<bool> {
    let sql = format!(
        "INSERT INTO workflow_instance ({INSTANCE_COLUMNS}, turn_at, begun_at, moved_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, \
         ?17, ?18, ?20, ?9, ?19, ?19) \
         ON CONFLICT (id) DO UPDATE SET version = ?3, fingerprint = ?4, revision = ?5, \
         status = ?6, step = ?7, awaits = ?8, due_at = ?9, turn_at = ?9, round = ?10, \
         level = ?11, reminded = ?12, for_nobody = ?13, shown = ?14, requested_by = ?15, \
         requested_instead_of = ?16, data = ?17, tags = ?18, amended_by = ?20, \
         moved_at = ?19, turn_failures = 0, turn_failure = NULL \
         WHERE workflow = ?2 AND revision = ?5 - 1"
    );
    let written = connection.prepare_cached(&sql)?.execute(params![
        row.id,
        row.workflow,
        row.version,
        row.fingerprint,
        row.revision,
        row.status,
        row.step,
        row.awaits,
        row.due_at.map(|at| micros(at.min(LAST_DUE))),
        row.round,
        row.level,
        row.reminded,
        row.for_nobody,
        row.shown,
        row.requested_by,
        row.requested_instead_of,
        row.data,
        row.tags,
        micros(now),
        row.amended_by,
    ])?;
    if written == 1 {
        write_votes(connection, &row.id, votes, cleared)?;
    }
    Ok(written == 1)
}

fn write_votes(
    connection: &Connection,
    id: &str,
    votes: &[VoteRow],
    cleared: &[ClearanceRow],
) -> rusqlite::Result<()> {
    for table in ["workflow_vote", "workflow_clearance"] {
        let sql = format!("DELETE FROM {table} WHERE instance = ?1");
        connection.prepare_cached(&sql)?.execute([id])?;
    }
    let sql = format!(
        "INSERT INTO workflow_vote (instance, place, {VOTE_COLUMNS}) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    );
    let mut insert = connection.prepare_cached(&sql)?;
    for (place, vote) in (0_i64..).zip(votes) {
        insert.execute(params![
            id,
            place,
            vote.approval,
            vote.person,
            vote.instead_of,
            vote.role,
            vote.reason,
            micros(vote.at),
            vote.seen,
        ])?;
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO workflow_clearance (instance, place, approval, shown, amended) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (place, clearance) in (0_i64..).zip(cleared) {
        let ClearanceRow { approval, shown, amended } = clearance;
        insert.execute(params![id, place, approval, shown, amended])?;
    }
    Ok(())
}

/// Adds an entry to the journal of an instance.
pub(super) fn write_entry(
    connection: &Connection,
    id: &str,
    entry: &EntryRow,
) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO workflow_journal (instance, entry, {ENTRY_COLUMNS}) \
         VALUES (?1, (SELECT coalesce(max(entry), 0) + 1 FROM workflow_journal \
         WHERE instance = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, \
         ?15, ?16, ?17)"
    );
    let (cause, by) = (entry.cause.as_ref(), entry.by.as_ref());
    connection
        .prepare_cached(&sql)?
        .execute(params![
            id,
            entry.revision,
            micros(entry.at),
            entry.what.as_str(),
            entry.step,
            entry.status,
            entry.to_step,
            cause.map(|(source, _)| source),
            cause.map(|(_, id)| id),
            entry.commands,
            by.map(|by| &by.person),
            by.and_then(|by| by.role),
            by.and_then(|by| by.instead_of.as_ref()),
            by.map(|by| &by.reason),
            by.map(|by| micros(by.decided_at)),
            entry.standing,
            entry.version,
        ])
        .map(drop)
}
