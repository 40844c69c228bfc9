//! The outbox in SQLite as people see it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, Transaction, params, params_from_iter};

use super::super::aside::frees;
use super::super::books::{Past, Present, balance, moments};
use super::super::change::Decided;
use super::super::columns::{EVENT_COLUMNS, Row, write_tags};
use super::super::{Counts, DeadLetter, Desk, Filter, Finding, Moment, Redrive, StoreError, Verdict, Waiting};
use super::Outbox;
use super::rows::{free, remember};
use crate::sqlite::{maybe_moment, micros, moment, now, read_row};
use crate::state::Failed;
use crate::{AnyEnvelope, Decision, DeliveryStatus, Envelope, EventId};

const PRESENT_COLUMNS: &str = "enqueued_at, due_at, token IS NOT NULL AS has_token, claimed_at, claimed_by, done_at";

/// What a filter asks of a row, with the values of [`filter_values`].
const FILTER: &str = "(?1 IS NULL OR id = ?1) AND (?2 IS NULL OR event_type = ?2) AND (?3 IS NULL OR source_system = ?3) \
     AND (?4 IS NULL OR instr(failure_reason, ?4) > 0) AND (?5 IS NULL OR failed_at >= ?5)";

fn filter_values(filter: &Filter) -> [Value; 5] {
    [
        filter.id.as_ref().map(ToString::to_string).into(),
        filter.event_type.clone().into(),
        filter.source_system.clone().into(),
        filter.reason_contains.clone().into(),
        filter.failed_since.map(micros).into(),
    ]
}

/// When the event was due that has waited longest: of those that are not put aside, an index knows it.
const OLDEST_DUE: &str = "SELECT min(due_at) FROM (\
       SELECT min(due_at) AS due_at FROM outbox_event WHERE status IN ('pending', 'retrying') AND blocked = 0 UNION ALL \
       SELECT min(due_at) FROM outbox_event WHERE status IN ('pending', 'retrying') AND blocked = 1) AS oldest";

/// How many events a look through the whole table reads at once.
const PAGE: usize = 500;

impl Desk for Outbox {
    async fn counts(&self) -> Result<Counts, StoreError> {
        self.shared
            .run("counting events", |connection| {
                let mut counts = Counts::default();
                let mut statement = connection.prepare("SELECT status, count(*) FROM outbox_event GROUP BY status")?;
                let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
                for row in rows {
                    let (status, count) = row?;
                    if let (Ok(status), Ok(count)) = (status.parse(), u64::try_from(count)) {
                        counts.by_status.insert(status, count);
                    }
                }
                let mut statement = connection.prepare(
                    "SELECT attempts, count(*) FROM outbox_event \
                 WHERE status IN ('pending', 'dispatched', 'retrying', 'failed') GROUP BY attempts",
                )?;
                let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
                for row in rows {
                    let (attempts, count) = row?;
                    if let (Ok(attempts), Ok(count)) = (u32::try_from(attempts), u64::try_from(count)) {
                        counts.by_attempts.insert(attempts, count);
                    }
                }
                let oldest: Option<i64> = connection.query_row(OLDEST_DUE, [], |row| row.get(0))?;
                if let Some(oldest) = maybe_moment(oldest) {
                    counts.oldest_due = now(connection)?.signed_duration_since(oldest).to_std().ok();
                }
                Ok(counts)
            })
            .await
    }

    async fn dead_letters(&self, filter: &Filter, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let filter = filter.clone();
        self.shared
            .run("listing dead letters", move |connection| {
                let mut found = Vec::new();
                for (row, first_sent_at) in dead_rows(connection, &filter, 0, limit)? {
                    // What is no valid event is for `unreadable` to report.
                    if let Ok(event) = row.read_in() {
                        found.push(DeadLetter { event, first_sent_at });
                    }
                }
                Ok(found)
            })
            .await
    }

    async fn unreadable(&self, filter: &Filter) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        let mut after = Some(0);
        while let Some(begin) = after {
            let filter = filter.clone();
            let page = self.shared.run("listing dead letters", move |connection| {
                let rows = dead_rows(connection, &filter, begin, PAGE)?;
                let next = rows.last().map(|(row, _)| row.sequence).filter(|_| rows.len() == PAGE);
                let finding = |(row, _): (Row, _)| {
                    let event = row.id.clone();
                    row.read_in::<Failed>().err().map(|what| Finding { event, what })
                };
                Ok((next, rows.into_iter().filter_map(finding).collect::<Vec<Finding>>()))
            });
            let (next, page) = page.await?;
            findings.extend(page);
            after = next;
        }
        Ok(findings)
    }

    async fn waiting(&self, filter: &Filter, limit: usize) -> Result<Vec<Waiting>, StoreError> {
        let filter = filter.clone();
        self.shared
            .run("listing what waits", move |connection| {
                let sql = format!(
                    "SELECT {EVENT_COLUMNS}, due_at, CASE status WHEN 'dispatched' THEN claimed_by END AS holder, \
                       (SELECT id FROM outbox_event AS earlier \
                        WHERE earlier.ordering_key = event.ordering_key AND earlier.sequence < event.sequence \
                        AND earlier.status IN ('pending', 'dispatched', 'retrying', 'failed') \
                        ORDER BY earlier.sequence LIMIT 1) AS behind \
                     FROM outbox_event AS event WHERE status IN ('pending', 'dispatched', 'retrying') AND {FILTER} \
                     ORDER BY due_at, sequence LIMIT ?6"
                );
                let mut statement = connection.prepare_cached(&sql)?;
                let limit = Value::from(i64::try_from(limit).unwrap_or(i64::MAX));
                let values = params_from_iter(filter_values(&filter).into_iter().chain([limit]));
                let rows = statement.query_map(values, |row| {
                    let due_at = maybe_moment(row.get("due_at")?);
                    let behind: Option<String> = row.get("behind")?;
                    let claimed_by = row.get("holder")?;
                    // What is no valid event, or is never due, is for `verify` to report.
                    let (Some(due_at), Ok(event)) = (due_at, read_row(row)?.read()) else { return Ok(None) };
                    Ok(Some(Waiting { event, due_at, claimed_by, behind: behind.and_then(|id| id.parse().ok()) }))
                })?;
                rows.filter_map(Result::transpose).collect()
            })
            .await
    }

    async fn look(&self, id: &EventId) -> Result<Option<(AnyEnvelope, Vec<Moment>)>, StoreError> {
        const DOING: &str = "looking at an event";
        let id = id.to_string();
        let found = self.shared.run(DOING, move |connection| {
            let sql = format!("SELECT {EVENT_COLUMNS}, {PRESENT_COLUMNS} FROM outbox_event WHERE id = ?1");
            let found = connection.prepare_cached(&sql)?.query_row([id], read_present).optional()?;
            found.map(|(row, present)| Ok((history_of(connection, row.sequence)?, row, present))).transpose()
        });
        let Some((past, row, present)) = found.await? else { return Ok(None) };
        let moments = moments(&row, &present, &past).map_err(|why| StoreError::new(DOING, why))?;
        let event = row.read().map_err(|why| StoreError::new(DOING, why))?;
        Ok(Some((event, moments)))
    }

    async fn redrive(&self, filter: &Filter, order: &Redrive) -> Result<Vec<(EventId, Verdict)>, StoreError> {
        let mut verdicts = Vec::new();
        let mut after = 0;
        loop {
            let (filter, order) = (filter.clone(), order.clone());
            let (next, page, decided) = self
                .shared
                .write("redriving dead letters", move |transaction| {
                    decide(transaction, &filter, after, |event, sent, now| order.decide(event, sent, now))
                })
                .await?;
            Decided::tell(&self.trail, &decided);
            verdicts.extend(page);
            let Some(next) = next else { return Ok(verdicts) };
            after = next;
        }
    }

    async fn discard(&self, filter: &Filter, decision: &Decision) -> Result<Vec<EventId>, StoreError> {
        let mut discarded = Vec::new();
        let mut after = 0;
        loop {
            let (filter, decision) = (filter.clone(), decision.clone());
            let (next, page, decided) = self
                .shared
                .write("discarding dead letters", move |transaction| {
                    decide(transaction, &filter, after, |event, _, _| {
                        let id = event.id().clone();
                        Ok((event.discard(decision.clone()).into(), id))
                    })
                })
                .await?;
            Decided::tell(&self.trail, &decided);
            discarded.extend(page);
            let Some(next) = next else { return Ok(discarded) };
            after = next;
        }
    }

    async fn purge(&self, age: Duration, limit: usize) -> Result<u64, StoreError> {
        let age = TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.shared
            .write("purging what is done", move |transaction| {
                let Some(before) = now(transaction)?.checked_sub_signed(age) else { return Ok(0) };
                let mut statement = transaction.prepare_cached(
                    "DELETE FROM outbox_event WHERE sequence IN \
                     (SELECT sequence FROM outbox_event WHERE done_at <= ?1 ORDER BY done_at LIMIT ?2) RETURNING sequence",
                )?;
                let gone = statement.query_map(params![micros(before), limit], |row| row.get(0))?;
                let gone = gone.collect::<rusqlite::Result<Vec<i64>>>()?;
                let mut forget = transaction.prepare_cached("DELETE FROM outbox_history WHERE event = ?1")?;
                for sequence in &gone {
                    forget.execute([sequence])?;
                }
                Ok(u64::try_from(gone.len()).unwrap_or(u64::MAX))
            })
            .await
    }

    async fn verify(&self) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        let mut after = 0;
        loop {
            let (next, page) =
                self.shared.run("balancing the books", move |connection| verify_page(connection, after)).await?;
            findings.extend(page);
            let Some(next) = next else { break };
            after = next;
        }
        let orphans = self.shared.run("balancing the books", |connection| {
            let mut statement = connection.prepare(
                "SELECT event, count(*) FROM outbox_history \
                 WHERE event NOT IN (SELECT sequence FROM outbox_event) GROUP BY event",
            )?;
            let rows = statement.query_map([], |row| {
                let (event, count) = (row.get::<_, i64>(0)?, row.get::<_, i64>(1)?);
                let what = format!("the history has {count} entries of it, and there is no such event");
                Ok(Finding { event: format!("sequence {event}"), what })
            })?;
            rows.collect::<rusqlite::Result<Vec<Finding>>>()
        });
        findings.extend(orphans.await?);
        Ok(findings)
    }
}

/// The rows of dead letters beyond a sequence number, each with the time when it was first sent.
fn dead_rows(
    connection: &Connection,
    filter: &Filter,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<(Row, Option<DateTime<Utc>>)>> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS}, first_sent_at FROM outbox_event WHERE status = 'failed' AND {FILTER} \
         AND sequence > ?6 ORDER BY sequence LIMIT ?7"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let page = [after.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()];
    let values = params_from_iter(filter_values(filter).into_iter().chain(page));
    let rows = statement.query_map(values, |row| Ok((read_row(row)?, maybe_moment(row.get("first_sent_at")?))))?;
    rows.collect()
}

/// What was decided on one page of dead letters: where the next one begins, the answers, and the events as they are now.
type Page<T> = (Option<i64>, Vec<T>, Vec<AnyEnvelope>);

/// Takes a person's decision on one page of dead letters, and stores it; gives where the next page begins.
fn decide<T>(
    transaction: &Transaction<'_>,
    filter: &Filter,
    after: i64,
    mut step: impl FnMut(Envelope<Failed>, Option<DateTime<Utc>>, DateTime<Utc>) -> Result<(AnyEnvelope, T), T>,
) -> rusqlite::Result<Page<T>> {
    let now = now(transaction)?;
    let rows = dead_rows(transaction, filter, after, PAGE)?;
    let next = rows.last().map(|(row, _)| row.sequence).filter(|_| rows.len() == PAGE);
    let (mut answers, mut decided) = (Vec::new(), Vec::new());
    for (row, first_sent_at) in rows {
        let sequence = row.sequence;
        let Ok(event) = row.read_in() else { continue };
        match step(event, first_sent_at, now) {
            Ok((event, answer)) => {
                write_decision(transaction, sequence, &event, now)?;
                decided.push(event);
                answers.push(answer);
            }
            Err(answer) => answers.push(answer),
        }
    }
    Ok((next, answers, decided))
}

fn write_decision(
    transaction: &Transaction<'_>,
    sequence: i64,
    event: &AnyEnvelope,
    now: DateTime<Utc>,
) -> rusqlite::Result<()> {
    let decided = Decided::of(event);
    let Decided { redriven, discarded, .. } = decided;
    let due = (event.status() == DeliveryStatus::Pending).then(|| micros(now));
    transaction
        .prepare_cached(
            "UPDATE outbox_event SET status = ?2, attempts = ?3, tags = ?4, due_at = ?5, done_at = ?6, \
             redriven_by = coalesce(?7, redriven_by), redriven_reason = coalesce(?8, redriven_reason), \
             redriven_at = coalesce(?9, redriven_at), discarded_by = ?10, discarded_reason = ?11, discarded_at = ?12 \
             WHERE sequence = ?1",
        )?
        .execute(params![
            sequence,
            event.status().as_str(),
            event.attempts(),
            write_tags(event.tags().clone()),
            due,
            due.is_none().then(|| micros(now)),
            redriven.map(Decision::by),
            redriven.map(Decision::reason),
            redriven.map(|decision| micros(decision.at())),
            discarded.map(Decision::by),
            discarded.map(Decision::reason),
            discarded.map(|decision| micros(decision.at())),
        ])?;
    if let Some(key) = frees(event) {
        free(transaction, key)?;
    }
    let Some((decision, history)) = decided.history() else { return Ok(()) };
    remember(transaction, sequence, &history, decision.at())
}

/// Reads [`EVENT_COLUMNS`] and [`PRESENT_COLUMNS`].
fn read_present(row: &SqlRow<'_>) -> rusqlite::Result<(Row, Present)> {
    let present = Present {
        enqueued_at: moment(row.get("enqueued_at")?)?,
        due_at: maybe_moment(row.get("due_at")?),
        has_token: row.get("has_token")?,
        claimed_at: maybe_moment(row.get("claimed_at")?),
        claimed_by: row.get("claimed_by")?,
        done_at: maybe_moment(row.get("done_at")?),
    };
    Ok((read_row(row)?, present))
}

fn history_of(connection: &Connection, event: i64) -> rusqlite::Result<Vec<Past>> {
    let mut statement = connection.prepare_cached(
        "SELECT action, at, by, status, attempts, reason, claimed_at, claimed_by FROM outbox_history \
         WHERE event = ?1 ORDER BY sequence",
    )?;
    let rows = statement.query_map([event], |row| {
        Ok(Past {
            action: row.get(0)?,
            at: moment(row.get(1)?)?,
            by: row.get(2)?,
            status: row.get(3)?,
            attempts: row.get(4)?,
            reason: row.get(5)?,
            claimed_at: maybe_moment(row.get(6)?),
            claimed_by: row.get(7)?,
        })
    })?;
    rows.collect()
}

fn verify_page(connection: &mut Connection, after: i64) -> rusqlite::Result<(Option<i64>, Vec<Finding>)> {
    // One moment for rows and history.
    let connection = connection.transaction()?;
    let sql = format!(
        "SELECT {EVENT_COLUMNS}, {PRESENT_COLUMNS} FROM outbox_event WHERE sequence > ?1 ORDER BY sequence LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![after, limit], read_present)?.collect::<rusqlite::Result<Vec<_>>>()?;
    let next = rows.last().map(|(row, _)| row.sequence).filter(|_| rows.len() == PAGE);
    let mut findings = Vec::new();
    for (row, present) in rows {
        let event = row.id.clone();
        let past = history_of(&connection, row.sequence)?;
        if let Err(what) = balance(row, &present, &past) {
            findings.push(Finding { event, what });
        }
    }
    Ok((next, findings))
}
