//! The outbox in PostgreSQL as people see it.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row as SqlRow};

use super::super::blocked::frees;
use super::super::change::Decided;
use super::super::history::{Past, Present, balance, moments};
use super::super::{
    Admin, Counts, DeadLetter, Filter, Finding, HistoryEntry, Redrive, RedriveOutcome,
    StoreError, Waiting,
};
use super::Outbox;
use super::rows::FREE;
use crate::state::Failed;
use crate::store::postgres::{
    Link, Value, at, limit, maybe_at, micros, read_row, within,
};
use crate::store::{EVENT_COLUMNS, Row, write_tags};
use crate::{AnyEnvelope, Decision, DeliveryStatus, Envelope, EventId};

const PRESENT_COLUMNS: &str = "enqueued_at, due_at, token IS NOT NULL AS has_token, claimed_at, claimed_by, done_at";

/// What a filter asks of a row: its id, type, source, reason and time, in this order.
const FILTER: &str = "($1::text IS NULL OR id = $1) AND ($2::text IS NULL OR event_type = $2) \
     AND ($3::text IS NULL OR source_system = $3) AND ($4::text IS NULL OR strpos(failure_reason, $4) > 0) \
     AND ($5::timestamptz IS NULL OR failed_at >= $5)";

/// When the event was due that has waited longest: of those that are put aside and of the
/// others, an index each knows it.
const OLDEST_DUE: &str = "SELECT min(due_at) FROM (\
       SELECT min(due_at) AS due_at FROM outbox_event WHERE status IN ('pending', 'retrying') AND NOT blocked UNION ALL \
       SELECT min(due_at) FROM outbox_event WHERE status IN ('pending', 'retrying') AND blocked) AS oldest";

/// How many events a look through the whole table reads at once.
const PAGE: usize = 500;

/// How many events one statement removes: it ends soon, and takes no others with it where
/// it fails.
const PURGED_AT_ONCE: usize = 5_000;

impl Admin for Outbox {
    async fn counts(&self) -> Result<Counts, StoreError> {
        self.look_up("counting events", async |link| counts(link).await).await
    }

    async fn dead_letters(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let found = self
            .look_up("listing dead letters", async |link| {
                look_for_dead(link, filter, 0, limit).await
            })
            .await?;
        // What is no valid event is for `unreadable` to report.
        let dead = |dead: Dead| {
            Some(DeadLetter {
                event: dead.row.read_in().ok()?,
                first_sent_at: dead.first_sent_at,
            })
        };
        Ok(found.into_iter().filter_map(dead).collect())
    }

    async fn unreadable(&self, filter: &Filter) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        let mut after = Some(0);
        while let Some(begin) = after {
            let look = async |link: &Link| look_for_dead(link, filter, begin, PAGE).await;
            let page = self.look_up("listing dead letters", look).await?;
            after =
                page.last().map(|dead| dead.row.sequence).filter(|_| page.len() == PAGE);
            findings.extend(page.into_iter().filter_map(|dead| {
                let event = dead.row.id.clone();
                dead.row.read_in::<Failed>().err().map(|what| Finding { event, what })
            }));
        }
        Ok(findings)
    }

    async fn waiting(
        &self,
        filter: &Filter,
        most: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        self.look_up("listing what waits", async |link| waiting(link, filter, most).await)
            .await
    }

    async fn get(
        &self,
        id: &EventId,
    ) -> Result<Option<(AnyEnvelope, Vec<HistoryEntry>)>, StoreError> {
        const DOING: &str = "looking at an event";
        let id = id.to_string();
        let sql = format!(
            "SELECT {EVENT_COLUMNS}, {PRESENT_COLUMNS} FROM outbox_event WHERE id = $1"
        );
        let found = self
            .look_up(DOING, async |link| {
                read_page(link, &sql, &[(&id, Type::TEXT)]).await
            })
            .await?;
        let Some((row, present, past)) = found.into_iter().next() else {
            return Ok(None);
        };
        let moments =
            moments(&row, &present, &past).map_err(|why| StoreError::new(DOING, why))?;
        let event = row.read().map_err(|why| StoreError::new(DOING, why))?;
        Ok(Some((event, moments)))
    }

    async fn redrive(
        &self,
        filter: &Filter,
        order: &Redrive,
    ) -> Result<Vec<(EventId, RedriveOutcome)>, StoreError> {
        let step = |event, first_sent_at, now| order.decide(event, first_sent_at, now);
        self.decide_all("redriving dead letters", filter, step).await
    }

    async fn discard(
        &self,
        filter: &Filter,
        decision: &Decision,
    ) -> Result<Vec<EventId>, StoreError> {
        let step = |event: Envelope<Failed>, _, _| {
            let id = event.id().clone();
            Ok((event.discard(decision.clone()).into(), id))
        };
        self.decide_all("discarding dead letters", filter, step).await
    }

    async fn purge(&self, age: Duration, most: usize) -> Result<u64, StoreError> {
        let mut gone = 0_usize;
        while gone < most {
            let page = PURGED_AT_ONCE.min(most.saturating_sub(gone));
            let purged = self.purge_page(age, page).await?;
            gone = gone.saturating_add(purged);
            if purged < page {
                break;
            }
        }
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    }

    async fn verify(&self) -> Result<Vec<Finding>, StoreError> {
        const DOING: &str = "balancing the books";
        let sql = format!(
            "SELECT {EVENT_COLUMNS}, {PRESENT_COLUMNS} FROM outbox_event WHERE sequence > $1 ORDER BY sequence \
             LIMIT {PAGE}"
        );
        let mut findings = Vec::new();
        let mut after = Some(0_i64);
        while let Some(begin) = after {
            let page =
                async |link: &Link| read_page(link, &sql, &[(&begin, Type::INT8)]).await;
            let page = self.look_up(DOING, page).await?;
            after =
                page.last().map(|(row, ..)| row.sequence).filter(|_| page.len() == PAGE);
            for (row, present, past) in page {
                let event = row.id.clone();
                if let Err(what) = balance(row, &present, &past) {
                    findings.push(Finding { event, what });
                }
            }
        }
        let orphans = async |link: &Link| {
            let sql = "SELECT event, count(*) FROM outbox_history AS past \
                 WHERE NOT EXISTS (SELECT 1 FROM outbox_event WHERE sequence = past.event) GROUP BY event";
            link.look(sql, &[]).await?.iter().map(read_orphan).collect()
        };
        let orphans: Vec<Finding> = self.look_up(DOING, orphans).await?;
        findings.extend(orphans);
        Ok(findings)
    }
}

/// What a person's decision makes of a dead letter, and the answer; or only the answer.
type Step<T> = Result<(AnyEnvelope, T), T>;

impl Outbox {
    /// Removes up to `most` events that were done so long ago, in one statement; says how
    /// many.
    async fn purge_page(&self, age: Duration, most: usize) -> Result<usize, StoreError> {
        const DOING: &str = "purging what is done";
        const SQL: &str = "WITH gone AS (\
               DELETE FROM outbox_event WHERE sequence = ANY (ARRAY(\
                 SELECT sequence FROM outbox_event \
                 WHERE done_at <= statement_timestamp() - $1::bigint * interval '1 microsecond' \
                 ORDER BY done_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED)) RETURNING sequence\
             ), forgotten AS (\
               DELETE FROM outbox_history WHERE event IN (SELECT sequence FROM gone)\
             ) SELECT count(*) FROM gone";
        within(DOING, async {
            let mut held = self.pool.hold_for_people(DOING).await?;
            let gone = held.link.alone(SQL, &[&micros(age), &limit(most)]).await;
            let gone = gone.and_then(|rows| {
                rows.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0))
            });
            let gone = gone.map_err(|error| StoreError::new(DOING, error))?;
            held.release();
            Ok(usize::try_from(gone).unwrap_or(0))
        })
        .await
    }

    /// Looks something up for people.
    async fn look_up<T>(
        &self,
        doing: &'static str,
        look: impl AsyncFnOnce(&Link) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        within(doing, async {
            let held = self.pool.hold_for_people(doing).await?;
            let found =
                look(&held.link).await.map_err(|error| StoreError::new(doing, error))?;
            held.release();
            Ok(found)
        })
        .await
    }

    /// Takes a person's decision on all dead letters that a filter names, page by page.
    async fn decide_all<T>(
        &self,
        doing: &'static str,
        filter: &Filter,
        step: impl Fn(Envelope<Failed>, Option<DateTime<Utc>>, DateTime<Utc>) -> Step<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut answers = Vec::new();
        let mut after = Some(0);
        while let Some(begin) = after {
            let mut decided = Vec::new();
            after = within(doing, async {
                let mut held = self.pool.hold_for_people(doing).await?;
                let page = decide(
                    &mut held.link,
                    filter,
                    begin,
                    &step,
                    &mut answers,
                    &mut decided,
                )
                .await;
                let next = page.map_err(|error| StoreError::new(doing, error))?;
                held.release();
                Ok(next)
            })
            .await?;
            Decided::tell(&self.trail, &decided);
        }
        Ok(answers)
    }
}

/// Takes a person's decision on one page of dead letters, and stores it; gives where the
/// next page begins.
async fn decide<T>(
    link: &mut Link,
    filter: &Filter,
    after: i64,
    step: impl Fn(Envelope<Failed>, Option<DateTime<Utc>>, DateTime<Utc>) -> Step<T>,
    answers: &mut Vec<T>,
    decided: &mut Vec<AnyEnvelope>,
) -> Result<Option<i64>, Error> {
    let rows = lock_dead(link, filter, after, PAGE).await?;
    let next = rows.last().map(|dead| dead.row.sequence).filter(|_| rows.len() == PAGE);
    let mut sequences = Vec::new();
    for Dead { row, first_sent_at, now } in rows {
        let sequence = row.sequence;
        let Ok(event) = row.read_in() else { continue };
        match step(event, first_sent_at, now) {
            Ok((event, answer)) => {
                sequences.push(sequence);
                decided.push(event);
                answers.push(answer);
            }
            Err(answer) => answers.push(answer),
        }
    }
    if let Some(first) = decided.first() {
        write_decisions(link, &sequences, decided, &Decided::of(first)).await?;
    }
    let freed: Vec<&str> = decided.iter().filter_map(frees).collect();
    link.commit_after(FREE, &[&freed]).await?;
    Ok(next)
}

/// Writes what was decided of some events: the same of all, by the same person.
async fn write_decisions(
    link: &mut Link,
    sequences: &[i64],
    events: &[AnyEnvelope],
    decided: &Decided<'_>,
) -> Result<(), Error> {
    let Some((decision, history)) = decided.history() else { return Ok(()) };
    let status: Vec<&str> = events.iter().map(|event| event.status().as_str()).collect();
    let attempts: Vec<i64> =
        events.iter().map(|event| i64::from(event.attempts())).collect();
    let tags: Vec<String> =
        events.iter().map(|event| write_tags(event.tags().clone())).collect();
    link.query(
        "WITH decided AS (\
           UPDATE outbox_event AS event SET status = step.status, attempts = step.attempts, tags = step.tags::jsonb, \
           due_at = CASE WHEN $5::boolean THEN clock_timestamp() END, \
           done_at = CASE WHEN NOT $5::boolean THEN clock_timestamp() END, \
           redriven_by = CASE WHEN $5::boolean THEN $7::text ELSE redriven_by END, \
           redriven_reason = CASE WHEN $5::boolean THEN $8::text ELSE redriven_reason END, \
           redriven_at = CASE WHEN $5::boolean THEN $9::timestamptz ELSE redriven_at END, \
           discarded_by = CASE WHEN NOT $5::boolean THEN $7::text END, \
           discarded_reason = CASE WHEN NOT $5::boolean THEN $8::text END, \
           discarded_at = CASE WHEN NOT $5::boolean THEN $9::timestamptz END \
           FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[]) AS step (sequence, status, attempts, tags) \
           WHERE event.sequence = step.sequence AND event.status IN ('failed', '') RETURNING event.*\
         ), remembered AS (\
           INSERT INTO outbox_history (event, action, at, by, status, attempts, reason, claimed_at, claimed_by) \
           SELECT sequence, $6, $9, $7, status, attempts, $8, claimed_at, claimed_by FROM decided ORDER BY sequence\
         ) SELECT outbox_ring() FROM (\
           SELECT FROM decided WHERE status = 'pending' OR ordering_key IS NOT NULL LIMIT 1) AS ringing",
        &[
            &sequences,
            &status,
            &attempts,
            &tags,
            &decided.redriven.is_some(),
            &history.action.as_str(),
            &decision.by(),
            &decision.reason(),
            &decision.at(),
        ],
    )
    .await
    .map(drop)
}

async fn counts(link: &Link) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    let sql =
        "SELECT status, attempts, count(*) FROM outbox_event GROUP BY status, attempts";
    for row in link.begin_look(sql, &[]).await? {
        let (status, attempts, count): (String, i64, i64) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
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
    let sql = format!("SELECT ({OLDEST_DUE}), statement_timestamp()");
    for row in link.end_look(&sql, &[]).await? {
        let (oldest, now) = (maybe_at(&row, 0)?, at(&row, 1)?);
        counts.oldest_due =
            oldest.and_then(|oldest| now.signed_duration_since(oldest).to_std().ok());
    }
    Ok(counts)
}

/// What waits, from the index of each kind of waiting.
async fn waiting(
    link: &Link,
    filter: &Filter,
    most: usize,
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
    let (id, most) = (filter.id.as_ref().map(ToString::to_string), limit(most));
    let [of_id, of_type, of_source, of_reason, since] = filter_values(&id, filter);
    let rows = link
        .look(&sql, &[of_id, of_type, of_source, of_reason, since, (&most, Type::INT8)])
        .await?;
    let read = |row: &SqlRow| {
        let (due_at, behind): (_, Option<String>) =
            (maybe_at(row, "due_at")?, row.try_get("behind")?);
        let claimed_by = row.try_get("holder")?;
        // What is no valid event, or is never due, is for `verify` to report.
        let (Some(due_at), Ok(event)) = (due_at, read_row(row)?.read()) else {
            return Ok(None);
        };
        Ok(Some(Waiting {
            event,
            due_at,
            claimed_by,
            behind: behind.and_then(|id| id.parse().ok()),
        }))
    };
    rows.iter().filter_map(|row| read(row).transpose()).collect()
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

/// A dead letter's row, the time when it was first sent, and the time now.
struct Dead {
    row: Row,
    first_sent_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
}

fn read_dead(row: &SqlRow) -> Result<Dead, Error> {
    Ok(Dead {
        row: read_row(row)?,
        first_sent_at: maybe_at(row, "first_sent_at")?,
        now: at(row, "now")?,
    })
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
    most: usize,
) -> Result<Vec<Dead>, Error> {
    let (id, most) = (filter.id.as_ref().map(ToString::to_string), limit(most));
    let [of_id, of_type, of_source, of_reason, since] = filter_values(&id, filter);
    let values = [
        of_id,
        of_type,
        of_source,
        of_reason,
        since,
        (&after, Type::INT8),
        (&most, Type::INT8),
    ];
    link.look(&dead_sql(), &values).await?.iter().map(read_dead).collect()
}

/// The same, locked in a transaction that begins here: a decision is to follow.
async fn lock_dead(
    link: &mut Link,
    filter: &Filter,
    after: i64,
    most: usize,
) -> Result<Vec<Dead>, Error> {
    let (id, most) = (filter.id.as_ref().map(ToString::to_string), limit(most));
    let [of_id, of_type, of_source, of_reason, since] =
        filter_values(&id, filter).map(|(value, _)| value);
    let values: [&(dyn ToSql + Sync); 7] =
        [of_id, of_type, of_source, of_reason, since, &after, &most];
    let rows = link.begin(&format!("{} FOR UPDATE", dead_sql()), &values).await?;
    rows.iter().map(read_dead).collect()
}

fn read_orphan(row: &SqlRow) -> Result<Finding, Error> {
    let (event, count): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let what =
        format!("the history has {count} entries of it, and there is no such event");
    Ok(Finding { event: format!("sequence {event}"), what })
}

/// The rows that a query of [`EVENT_COLUMNS`] and [`PRESENT_COLUMNS`] gives, each with
/// its history as of one moment.
async fn read_page(
    link: &Link,
    sql: &str,
    values: &[Value<'_>],
) -> Result<Vec<(Row, Present, Vec<Past>)>, Error> {
    let rows = link.begin_look(sql, values).await?;
    let rows = rows
        .iter()
        .map(|row| Ok((read_row(row)?, read_present(row)?)))
        .collect::<Result<Vec<_>, Error>>()?;
    let events: Vec<i64> = rows.iter().map(|(row, _)| row.sequence).collect();
    let sql = "SELECT action, at, by, status, attempts, reason, claimed_at, claimed_by, event FROM outbox_history \
         WHERE event = ANY ($1) ORDER BY sequence";
    let mut history: HashMap<i64, Vec<Past>> = HashMap::new();
    for row in link.end_look(sql, &[(&events, Type::INT8_ARRAY)]).await? {
        history.entry(row.try_get("event")?).or_default().push(read_past(&row)?);
    }
    let with_history = |(row, present): (Row, Present)| {
        let past = history.remove(&row.sequence).unwrap_or_default();
        (row, present, past)
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
        action: row.try_get(0)?,
        at: at(row, 1)?,
        by: row.try_get(2)?,
        status: row.try_get(3)?,
        attempts: row.try_get(4)?,
        reason: row.try_get(5)?,
        claimed_at: maybe_at(row, 6)?,
        claimed_by: row.try_get(7)?,
    })
}
