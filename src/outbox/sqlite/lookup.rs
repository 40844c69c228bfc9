//! What people ask of the outbox in SQLite, read without a lock: counts, lists, one event
//! with its history, entries without an event.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params, params_from_iter};

use super::rows::json;
use crate::outbox::admin::listing::{DeadRow, PAGE, Page, orphaned};
use crate::outbox::admin::{Counts, Finding, Waiting};
use crate::outbox::history::{PAST_COLUMNS, PRESENT_COLUMNS, Past, Present, Recorded};
use crate::store::sqlite::{
    any_moment, at_most, maybe_moment, maybe_text, micros, now, read_row, text,
};
use crate::store::{DeadLetter, EVENT_COLUMNS, Filter, Row};

/// When the event was due that has waited longest: of those that are put aside, and of
/// the others, an index knows it.
const OLDEST_DUE: &str = "SELECT min(due_at) FROM (\
       SELECT min(due_at) AS due_at FROM outbox_event WHERE status IN ('pending', 'retrying') AND blocked = 0 UNION ALL \
       SELECT min(due_at) FROM outbox_event WHERE status IN ('pending', 'retrying') AND blocked = 1) AS oldest";

/// What a filter asks of a row, as conditions that begin with `AND`, and their values.
/// Those that it does not ask are left out, so that an index serves those that it does.
fn conditions(filter: &Filter) -> (String, Vec<Value>) {
    let asked = [
        ("id = ", filter.id.as_ref().map(|id| Value::from(id.to_string()))),
        ("event_type = ", filter.event_type.clone().map(Value::from)),
        ("source_system = ", filter.source_system.clone().map(Value::from)),
        ("0 < instr(failure_reason, ", filter.reason_contains.clone().map(Value::from)),
        ("failed_at >= ", filter.failed_since.map(|since| Value::from(micros(since)))),
    ];
    let (mut sql, mut values) = (String::new(), Vec::new());
    for (condition, value) in
        asked.into_iter().filter_map(|(condition, value)| Some((condition, value?)))
    {
        values.push(value);
        let close = if condition.ends_with(", ") { ")" } else { "" };
        sql.push_str(&format!(" AND {condition}?{}{close}", values.len()));
    }
    (sql, values)
}

/// How many events there are in each state, and after how many attempts of what is not
/// done. What is done is most of a table, and is counted in an index; a row that says it
/// is done and not since when is for `verify` to report.
const COUNTS: &str = "SELECT status, NULL, count(*) FROM outbox_event \
       WHERE done_at IS NOT NULL AND status IN ('acknowledged', 'processed', 'skipped') GROUP BY status UNION ALL \
     SELECT status, attempts, count(*) FROM outbox_event \
       WHERE status IN ('pending', 'retrying') AND blocked = 0 GROUP BY status, attempts UNION ALL \
     SELECT status, attempts, count(*) FROM outbox_event \
       WHERE status IN ('pending', 'retrying') AND blocked = 1 GROUP BY status, attempts UNION ALL \
     SELECT status, attempts, count(*) FROM outbox_event WHERE status = 'dispatched' GROUP BY attempts UNION ALL \
     SELECT status, attempts, count(*) FROM outbox_event WHERE status = 'failed' GROUP BY attempts";

pub(super) fn count(connection: &mut Connection) -> rusqlite::Result<Counts> {
    let mut counts = Counts::default();
    // One moment for all of it.
    let connection = connection.transaction()?;
    let mut statement = connection.prepare_cached(COUNTS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (Ok(status), Ok(count)) =
            (text(row, 0)?.parse(), u64::try_from(row.get::<_, i64>(2)?))
        else {
            continue;
        };
        let add = |sum: &mut u64| *sum = sum.saturating_add(count);
        add(counts.by_status.entry(status).or_default());
        if let Some(attempts) = row
            .get::<_, Option<i64>>(1)?
            .and_then(|attempts| u32::try_from(attempts).ok())
        {
            add(counts.by_attempts.entry(attempts).or_default());
        }
    }
    let oldest: Option<i64> =
        connection.prepare_cached(OLDEST_DUE)?.query_row([], |row| row.get(0))?;
    if let Some(oldest) = maybe_moment(oldest) {
        counts.oldest_due = now(&connection)?.signed_duration_since(oldest).to_std().ok();
    }
    Ok(counts)
}

/// The dead letters of a filter beyond a sequence number.
pub(super) fn dead_after(
    connection: &Connection,
    filter: &Filter,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<DeadRow>> {
    let (conditions, mut values) = conditions(filter);
    values.push(Value::from(after));
    let sql = dead_sql(&format!("{conditions} AND sequence > ? ORDER BY sequence"));
    find_dead(connection, &sql, values, limit, Some)
}

/// Those that are a valid event.
pub(super) fn dead_letters(
    connection: &Connection,
    filter: &Filter,
    limit: usize,
) -> rusqlite::Result<Vec<DeadLetter>> {
    let (conditions, values) = conditions(filter);
    let sql = dead_sql(&format!("{conditions} ORDER BY sequence"));
    find_dead(connection, &sql, values, limit, DeadRow::into_dead_letter)
}

/// Those dead letters of a page that are no valid event.
pub(super) fn unreadable(
    connection: &Connection,
    filter: &Filter,
    after: i64,
) -> rusqlite::Result<Page<Finding>> {
    let rows = dead_after(connection, filter, after, PAGE)?;
    Ok(Page::of(rows, |dead| dead.row.sequence).filter_map(DeadRow::into_finding))
}

/// Those of these that are dead letters of a filter.
pub(super) fn dead_among(
    connection: &Connection,
    filter: &Filter,
    found: &[i64],
) -> rusqlite::Result<Vec<DeadRow>> {
    let (conditions, mut values) = conditions(filter);
    values.push(Value::from(json(found.iter().copied())));
    let rest = format!(
        "{conditions} AND sequence IN (SELECT value FROM json_each(?)) ORDER BY sequence"
    );
    find_dead(connection, &dead_sql(&rest), values, usize::MAX, Some)
}

fn dead_sql(rest: &str) -> String {
    format!(
        "SELECT {EVENT_COLUMNS}, first_sent_at FROM outbox_event WHERE status = 'failed'{rest}"
    )
}

/// What is read of rows, up to the limit. A row that says nothing takes no place of one
/// that does.
fn find_dead<T>(
    connection: &Connection,
    sql: &str,
    values: Vec<Value>,
    limit: usize,
    read: impl Fn(DeadRow) -> Option<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| {
        let first_sent_at = maybe_moment(row.get("first_sent_at")?);
        Ok(read(DeadRow { row: read_row(row)?, first_sent_at }))
    })?;
    rows.filter_map(Result::transpose).take(limit).collect()
}

/// Three lists, each in the order of an index, and merged: what is due, what is put
/// aside, what is on its way. (With any limit, SQLite reads no more than it is asked for,
/// and sorts nothing.)
fn waiting_sql(conditions: &str) -> String {
    let list = |which: &str| {
        format!(
            "SELECT sequence AS place, due_at AS due FROM outbox_event WHERE {which} AND due_at IS NOT NULL{conditions}"
        )
    };
    let lists = [
        list("status IN ('pending', 'retrying') AND blocked = 0"),
        list("blocked = 1 AND status IN ('pending', 'retrying')"),
        list("status = 'dispatched'"),
    ];
    format!(
        "SELECT {EVENT_COLUMNS}, due_at, CASE status WHEN 'dispatched' THEN claimed_by END AS holder, \
           (SELECT id FROM outbox_event AS earlier \
            WHERE earlier.ordering_key = event.ordering_key AND earlier.sequence < event.sequence \
            AND earlier.status IN ('pending', 'dispatched', 'retrying', 'failed') \
            ORDER BY earlier.sequence LIMIT 1) AS behind \
         FROM ({} ORDER BY due, place LIMIT -1) CROSS JOIN outbox_event AS event ON event.sequence = place \
         ORDER BY due, place",
        lists.join(" UNION ALL ")
    )
}

pub(super) fn find_waiting(
    connection: &Connection,
    filter: &Filter,
    limit: usize,
) -> rusqlite::Result<Vec<Waiting>> {
    let (conditions, values) = conditions(filter);
    let mut statement = connection.prepare_cached(&waiting_sql(&conditions))?;
    let rows = statement.query_map(params_from_iter(values), |row| {
        let due_at = any_moment(row.get("due_at")?);
        let (behind, claimed_by) =
            (maybe_text(row, "behind")?, maybe_text(row, "holder")?);
        // What is no valid event is for `verify` to report.
        let Ok(event) = read_row(row)?.read() else { return Ok(None) };
        Ok(Some(Waiting {
            event,
            due_at,
            claimed_by,
            behind: behind.and_then(|id| id.parse().ok()),
        }))
    })?;
    rows.filter_map(Result::transpose).take(limit).collect()
}

/// An event by its id, with its history.
pub(super) fn recorded(
    connection: &Connection,
    id: &str,
) -> rusqlite::Result<Option<Recorded>> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS}, {PRESENT_COLUMNS} FROM outbox_event WHERE id = ?1"
    );
    let mut find = connection.prepare_cached(&sql)?;
    let found = find.query_row([id], read_present).optional()?;
    found.map(|found| with_history(connection, found)).transpose()
}

fn with_history(
    connection: &Connection,
    (row, present): (Row, Present),
) -> rusqlite::Result<Recorded> {
    let past = history_of(connection, row.sequence)?;
    Ok(Recorded { row, present, past })
}

/// Reads [`EVENT_COLUMNS`] and [`PRESENT_COLUMNS`].
fn read_present(row: &SqlRow<'_>) -> rusqlite::Result<(Row, Present)> {
    let present = Present {
        enqueued_at: any_moment(row.get("enqueued_at")?),
        due_at: maybe_moment(row.get("due_at")?),
        has_token: row.get("has_token")?,
        claimed_at: maybe_moment(row.get("claimed_at")?),
        claimed_by: maybe_text(row, "claimed_by")?,
        done_at: maybe_moment(row.get("done_at")?),
    };
    Ok((read_row(row)?, present))
}

fn history_of(connection: &Connection, event: i64) -> rusqlite::Result<Vec<Past>> {
    let sql = format!(
        "SELECT {PAST_COLUMNS} FROM outbox_history WHERE event = ?1 ORDER BY sequence"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([event], |row| {
        Ok(Past {
            action: text(row, "action")?,
            at: any_moment(row.get("at")?),
            by: maybe_text(row, "by")?,
            status: text(row, "status")?,
            attempts: row.get("attempts")?,
            reason: maybe_text(row, "reason")?,
            claimed_at: maybe_moment(row.get("claimed_at")?),
            claimed_by: maybe_text(row, "claimed_by")?,
        })
    })?;
    rows.collect()
}

/// What is wrong with the events of one page.
pub(super) fn verify_page(
    connection: &mut Connection,
    after: i64,
) -> rusqlite::Result<Page<Finding>> {
    // One moment for rows and history.
    let connection = connection.transaction()?;
    let sql = format!(
        "SELECT {EVENT_COLUMNS}, {PRESENT_COLUMNS} FROM outbox_event WHERE sequence > ?1 ORDER BY sequence LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![after, at_most(PAGE)], read_present)?;
    let recorded = rows.map(|found| with_history(&connection, found?));
    let recorded = recorded.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(Page::of(recorded, |event| event.row.sequence).filter_map(Recorded::verify))
}

/// Entries of the history without an event.
pub(super) fn orphans(connection: &Connection) -> rusqlite::Result<Vec<Finding>> {
    let mut statement = connection.prepare_cached(
        "SELECT event, count(*) AS entries FROM outbox_history \
         WHERE NOT EXISTS (SELECT 1 FROM outbox_event WHERE sequence = event) GROUP BY event",
    )?;
    let rows = statement
        .query_map([], |row| Ok(orphaned(row.get("event")?, row.get("entries")?)))?;
    rows.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// How SQLite goes about a statement, step by step.
    fn plan(sql: &str) -> Vec<String> {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(super::super::SCHEMA).unwrap();
        let mut statement =
            connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let (mut steps, mut rows) = (Vec::new(), statement.raw_query());
        while let Some(step) = rows.next().unwrap() {
            steps.push(step.get("detail").unwrap());
        }
        steps
    }

    #[test]
    fn lists_are_read_in_the_order_of_an_index() {
        let waiting = plan(&waiting_sql(""));
        for index in ["outbox_due", "outbox_aside", "outbox_leased"] {
            assert!(
                waiting.iter().any(|step| step.contains(index)),
                "{index}: {waiting:#?}"
            );
        }
        assert!(
            !waiting.iter().any(|step| step.contains("TEMP B-TREE")),
            "nothing is sorted: {waiting:#?}"
        );
        assert!(
            !waiting.iter().any(|step| step.contains("MATERIALIZE")),
            "no more is read than a list has: {waiting:#?}"
        );
        let dead = plan(&dead_sql(" AND sequence > ? ORDER BY sequence"));
        assert!(matches!(&dead[..], [step] if step.contains("outbox_dead")), "{dead:#?}");
        let one = plan(&dead_sql(" AND id = ?1 AND sequence > ? ORDER BY sequence"));
        assert!(matches!(&one[..], [step] if step.contains("(id=?)")), "{one:#?}");
        let counts = plan(COUNTS);
        assert!(
            counts.iter().any(|step| step.contains("COVERING INDEX outbox_done")),
            "{counts:#?}"
        );
        assert!(
            !counts.iter().any(|step| step == "SCAN outbox_event"),
            "not the whole table: {counts:#?}"
        );
        let oldest = plan(OLDEST_DUE);
        for index in ["outbox_due", "outbox_aside"] {
            assert!(
                oldest.iter().any(|step| step.contains(index)),
                "{index}: {oldest:#?}"
            );
        }
    }
}
