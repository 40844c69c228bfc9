//! What people ask of the outbox in PostgreSQL, each as of one moment: counts, lists, one
//! event with its history, entries without an event.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row as SqlRow};

use crate::DeliveryStatus;
use crate::outbox::admin::listing::{DeadRow, PAGE, Page, orphaned};
use crate::outbox::admin::{Counts, Finding, Waiting};
use crate::outbox::history::{PAST_COLUMNS, PRESENT_COLUMNS, Past, Present, Recorded};
use crate::store::listing::first;
use crate::store::postgres::{Link, Value, at, at_most, maybe_at, read_row};
use crate::store::{DeadLetter, EVENT_COLUMNS, Filter};

/// What a filter asks of a row: its id, type, source, reason and time, in this order.
const FILTER: &str = "($1::text IS NULL OR id = $1) AND ($2::text IS NULL OR event_type = $2) \
     AND ($3::text IS NULL OR source_system = $3) AND ($4::text IS NULL OR strpos(failure_reason, $4) > 0) \
     AND ($5::timestamptz IS NULL OR failed_at >= $5)";

/// When the event was due that has waited longest: of those that are put aside and of the
/// others, an index each knows it.
const OLDEST_DUE: &str = "SELECT min(due_at) FROM (\
       SELECT min(due_at) AS due_at FROM outbox_event WHERE status IN ('pending', 'retrying') AND NOT blocked UNION ALL \
       SELECT min(due_at) FROM outbox_event WHERE status IN ('pending', 'retrying') AND blocked) AS oldest";

pub(super) async fn counts(link: &Link) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    let sql = "SELECT status, attempts, count(*) AS count FROM outbox_event GROUP BY status, attempts";
    for row in link.begin_look(sql, &[]).await? {
        let (status, attempts, count): (String, i64, i64) =
            (row.try_get("status")?, row.try_get("attempts")?, row.try_get("count")?);
        let (Ok(status), Ok(count)) = (status.parse(), u64::try_from(count)) else {
            continue;
        };
        let of_status = counts.by_status.entry(status).or_default();
        *of_status = of_status.saturating_add(count);
        use DeliveryStatus::{Dispatched, Failed, Pending, Retrying};
        if let (Pending | Dispatched | Retrying | Failed, Ok(attempts)) =
            (status, u32::try_from(attempts))
        {
            let of_attempts = counts.by_attempts.entry(attempts).or_default();
            *of_attempts = of_attempts.saturating_add(count);
        }
    }
    let sql = format!("SELECT ({OLDEST_DUE}) AS oldest, statement_timestamp() AS now");
    for row in link.end_look(&sql, &[]).await? {
        let (oldest, now) = (maybe_at(&row, "oldest")?, at(&row, "now")?);
        counts.oldest_due =
            oldest.and_then(|oldest| now.signed_duration_since(oldest).to_std().ok());
    }
    Ok(counts)
}

/// What waits, from the index of each kind of waiting.
pub(super) async fn waiting(
    link: &Link,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Waiting>, Error> {
    let kinds = [
        "status IN ('pending', 'retrying') AND NOT blocked",
        "blocked AND due_at IS NOT NULL",
        "status = 'dispatched'",
    ]
    .map(|kind| {
        format!(
            "(SELECT * FROM outbox_event WHERE {kind} AND status IN ('pending', 'dispatched', 'retrying') AND {FILTER} \
              ORDER BY due_at, sequence LIMIT $6)"
        )
    });
    let sql = format!(
        "SELECT {EVENT_COLUMNS}, due_at, CASE status WHEN 'dispatched' THEN claimed_by END AS holder, \
           (SELECT id FROM outbox_event AS earlier \
            WHERE earlier.ordering_key = event.ordering_key AND earlier.sequence < event.sequence \
            AND earlier.status IN ('pending', 'dispatched', 'retrying', 'failed') \
            ORDER BY earlier.sequence LIMIT 1) AS behind \
         FROM (SELECT * FROM ({}) AS kinds ORDER BY due_at, sequence LIMIT $6) AS event ORDER BY due_at, sequence",
        kinds.join(" UNION ALL ")
    );
    let id = filter.id.as_ref().map(ToString::to_string);
    let (sql, id) = (sql.as_str(), &id);
    let look = async |limit: usize| {
        let limit = at_most(limit);
        let [of_id, of_type, of_source, of_reason, since] = filter_values(id, filter);
        let values = [of_id, of_type, of_source, of_reason, since, (&limit, Type::INT8)];
        let rows = link.look(sql, &values).await?;
        let said = rows.iter().filter_map(|row| read_waiting(row).transpose());
        Ok((rows.len(), said.collect::<Result<Vec<_>, Error>>()?))
    };
    first(limit, look).await
}

/// What waits in a row. What is no valid event, or is never due, is for `verify` to
/// report.
fn read_waiting(row: &SqlRow) -> Result<Option<Waiting>, Error> {
    let (due_at, behind): (_, Option<String>) =
        (maybe_at(row, "due_at")?, row.try_get("behind")?);
    let claimed_by = row.try_get("holder")?;
    let (Some(due_at), Ok(event)) = (due_at, read_row(row)?.read()) else {
        return Ok(None);
    };
    let behind = behind.and_then(|id| id.parse().ok());
    Ok(Some(Waiting { event, due_at, claimed_by, behind }))
}

/// The values of a [`FILTER`].
fn filter_values<'a>(id: &'a Option<String>, filter: &'a Filter) -> [Value<'a>; 5] {
    [
        (id, Type::TEXT),
        (&filter.event_type, Type::TEXT),
        (&filter.source_system, Type::TEXT),
        (&filter.reason_contains, Type::TEXT),
        (&filter.failed_since, Type::TIMESTAMPTZ),
    ]
}

/// The dead letters beyond a sequence number that a filter names.
fn dead_sql() -> String {
    format!(
        "SELECT {EVENT_COLUMNS}, first_sent_at, statement_timestamp() AS now FROM outbox_event \
         WHERE status = 'failed' AND {FILTER} AND sequence > $6::bigint ORDER BY sequence LIMIT $7::bigint"
    )
}

async fn look_for_dead(
    link: &Link,
    filter: &Filter,
    after: i64,
    limit: usize,
) -> Result<Vec<DeadRow>, Error> {
    let (id, limit) = (filter.id.as_ref().map(ToString::to_string), at_most(limit));
    let [of_id, of_type, of_source, of_reason, since] = filter_values(&id, filter);
    let values = [
        of_id,
        of_type,
        of_source,
        of_reason,
        since,
        (&after, Type::INT8),
        (&limit, Type::INT8),
    ];
    link.look(&dead_sql(), &values).await?.iter().map(read_dead).collect()
}

pub(super) async fn dead_letters(
    link: &Link,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<DeadLetter>, Error> {
    let look = async |limit: usize| {
        let rows = look_for_dead(link, filter, 0, limit).await?;
        let found = rows.len();
        Ok((found, rows.into_iter().filter_map(DeadRow::into_dead_letter).collect()))
    };
    first(limit, look).await
}

/// Those dead letters of a page that are no valid event.
pub(super) async fn unreadable(
    link: &Link,
    filter: &Filter,
    after: i64,
) -> Result<Page<Finding>, Error> {
    let rows = look_for_dead(link, filter, after, PAGE).await?;
    Ok(Page::of(rows, |dead| dead.row.sequence).filter_map(DeadRow::into_finding))
}

/// A page of dead letters, locked in a transaction that begins here, and the time now.
pub(super) async fn lock_dead(
    link: &mut Link,
    filter: &Filter,
    after: i64,
) -> Result<(DateTime<Utc>, Page<DeadRow>), Error> {
    let (id, limit) = (filter.id.as_ref().map(ToString::to_string), at_most(PAGE));
    let [of_id, of_type, of_source, of_reason, since] =
        filter_values(&id, filter).map(|(value, _)| value);
    let values: [&(dyn ToSql + Sync); 7] =
        [of_id, of_type, of_source, of_reason, since, &after, &limit];
    let rows = link.begin(&format!("{} FOR UPDATE", dead_sql()), &values).await?;
    let now = rows.first().map(|row| at(row, "now")).transpose()?.unwrap_or_default();
    let rows = rows.iter().map(read_dead).collect::<Result<Vec<_>, Error>>()?;
    Ok((now, Page::of(rows, |dead| dead.row.sequence)))
}

fn read_dead(row: &SqlRow) -> Result<DeadRow, Error> {
    Ok(DeadRow { row: read_row(row)?, first_sent_at: maybe_at(row, "first_sent_at")? })
}

/// Entries of the history without an event.
pub(super) async fn orphans(link: &Link) -> Result<Vec<Finding>, Error> {
    let sql = "SELECT event, count(*) AS entries FROM outbox_history AS past \
         WHERE NOT EXISTS (SELECT 1 FROM outbox_event WHERE sequence = past.event) GROUP BY event";
    let rows = link.look(sql, &[]).await?;
    let read =
        |row: &SqlRow| Ok(orphaned(row.try_get("event")?, row.try_get("entries")?));
    rows.iter().map(read).collect()
}

/// Which events [`recorded`] reads.
pub(super) const ONE: &str = "WHERE id = $1";
pub(super) const ALL: &str = "WHERE sequence > $1 ORDER BY sequence";

/// Events, no more than a page, each with its history as of one moment.
pub(super) async fn recorded(
    link: &Link,
    which: &str,
    values: &[Value<'_>],
) -> Result<Vec<Recorded>, Error> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS}, {PRESENT_COLUMNS} FROM outbox_event {which} LIMIT {PAGE}"
    );
    let rows = link.begin_look(&sql, values).await?;
    let rows = rows
        .iter()
        .map(|row| Ok((read_row(row)?, read_present(row)?)))
        .collect::<Result<Vec<_>, Error>>()?;
    let events: Vec<i64> = rows.iter().map(|(row, _)| row.sequence).collect();
    let sql = format!(
        "SELECT {PAST_COLUMNS}, event FROM outbox_history WHERE event = ANY ($1) ORDER BY sequence"
    );
    let mut history: HashMap<i64, Vec<Past>> = HashMap::new();
    for row in link.end_look(&sql, &[(&events, Type::INT8_ARRAY)]).await? {
        history.entry(row.try_get("event")?).or_default().push(read_past(&row)?);
    }
    let with_history = |(row, present): (crate::store::Row, Present)| {
        let past = history.remove(&row.sequence).unwrap_or_default();
        Recorded { row, present, past }
    };
    Ok(rows.into_iter().map(with_history).collect())
}

fn read_present(row: &SqlRow) -> Result<Present, Error> {
    Ok(Present {
        enqueued_at: at(row, "enqueued_at")?,
        due_at: maybe_at(row, "due_at")?,
        has_token: row.try_get("has_token")?,
        claimed_at: maybe_at(row, "claimed_at")?,
        claimed_by: row.try_get("claimed_by")?,
        done_at: maybe_at(row, "done_at")?,
    })
}

fn read_past(row: &SqlRow) -> Result<Past, Error> {
    Ok(Past {
        action: row.try_get("action")?,
        at: at(row, "at")?,
        by: row.try_get("by")?,
        status: row.try_get("status")?,
        attempts: row.try_get("attempts")?,
        reason: row.try_get("reason")?,
        claimed_at: maybe_at(row, "claimed_at")?,
        claimed_by: row.try_get("claimed_by")?,
    })
}
