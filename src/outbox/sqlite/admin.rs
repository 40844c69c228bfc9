//! The outbox in SQLite as people see it: what they ask is read beside the relays, and
//! what they decide is written in pages that let others through.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Transaction, params};

use super::Outbox;
use super::lookup::{
    count, dead_after, dead_among, dead_letters, find_waiting, orphans, recorded,
    unreadable, verify_page,
};
use super::rows::{add_history, forget_keys, free};
use crate::outbox::admin::decision::{Decided, Ruling, Times, discard};
use crate::outbox::admin::listing::{DeadRow, PAGE, every_page};
use crate::outbox::admin::{
    Admin, Counts, EventHistory, Finding, Redrive, RedriveOutcome, Waiting,
};
use crate::outbox::blocked::frees;
use crate::outbox::history::Recorded;
use crate::state::Failed;
use crate::store::doing::{
    COUNTING, DISCARDING, GETTING, LISTING_DEAD, LISTING_WAITING, PURGING, REDRIVING,
    VERIFYING,
};
use crate::store::sqlite::{at_most, micros, now};
use crate::store::{DeadLetter, Filter, StoreError, StoreErrorKind, write_tags};
use crate::{AnyEnvelope, Decision, DeliveryStatus, Envelope, EventId};

/// How long one page of decisions holds the database, and how long others have it then at
/// the least: a program that waits for SQLite's lock asks for it every 25 ms or oftener
/// in the beginning.
const AT_ONCE: Duration = Duration::from_millis(50);
const BETWEEN: Duration = Duration::from_millis(30);

/// Lets others have the database, for as long as a page had it.
async fn rest_after(began: Instant) {
    tokio::time::sleep(began.elapsed().max(BETWEEN)).await;
}

impl Admin for Outbox {
    async fn counts(&self) -> Result<Counts, StoreError> {
        self.shared.look(COUNTING, count).await
    }

    async fn dead_letters(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let filter = filter.clone();
        self.shared
            .look(LISTING_DEAD, move |connection| {
                dead_letters(connection, &filter, limit)
            })
            .await
    }

    async fn unreadable(&self, filter: &Filter) -> Result<Vec<Finding>, StoreError> {
        every_page(|after| {
            let filter = filter.clone();
            self.shared.look(LISTING_DEAD, move |connection| {
                unreadable(connection, &filter, after)
            })
        })
        .await
    }

    async fn waiting(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        let filter = filter.clone();
        self.shared
            .look(LISTING_WAITING, move |connection| {
                find_waiting(connection, &filter, limit)
            })
            .await
    }

    async fn get(&self, id: &EventId) -> Result<Option<EventHistory>, StoreError> {
        let id = id.to_string();
        let found =
            self.shared.look(GETTING, move |connection| recorded(connection, &id));
        found
            .await?
            .map(Recorded::read)
            .transpose()
            .map_err(|why| StoreError::of(StoreErrorKind::Unreadable, GETTING, why))
    }

    async fn redrive(
        &self,
        filter: &Filter,
        order: &Redrive,
    ) -> Result<Vec<(EventId, RedriveOutcome)>, StoreError> {
        let order = order.clone();
        let decide = move |event, times| order.decide(event, times);
        self.decide_all(REDRIVING, filter, decide).await
    }

    async fn discard(
        &self,
        filter: &Filter,
        decision: &Decision,
    ) -> Result<Vec<EventId>, StoreError> {
        let decision = decision.clone();
        let decide = move |event, _| discard(event, &decision);
        self.decide_all(DISCARDING, filter, decide).await
    }

    async fn purge(&self, age: Duration, limit: usize) -> Result<u64, StoreError> {
        let age = TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
        let mut gone = 0_usize;
        while gone < limit {
            let page = PAGE.min(limit.saturating_sub(gone));
            let began = Instant::now();
            let (found, removed) = self
                .shared
                .write(PURGING, move |transaction| purge_page(transaction, age, page))
                .await?;
            gone = gone.saturating_add(removed);
            if found < page && removed == found {
                break;
            }
            rest_after(began).await;
        }
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    }

    async fn verify(&self) -> Result<Vec<Finding>, StoreError> {
        let page = |after| {
            self.shared.look(VERIFYING, move |connection| verify_page(connection, after))
        };
        let mut findings = every_page(page).await?;
        let orphans = self.shared.look(VERIFYING, |connection| orphans(connection));
        findings.extend(orphans.await?);
        Ok(findings)
    }
}

/// What a person decides of one dead letter.
trait Decide<T>: Fn(Envelope<Failed>, Times) -> Ruling<T> + Clone + Send + 'static {}

impl<T, D> Decide<T> for D where
    D: Fn(Envelope<Failed>, Times) -> Ruling<T> + Clone + Send + 'static
{
}

impl Outbox {
    /// Takes a decision on all dead letters of a filter. They are found beside those who
    /// write, and each page is a short transaction.
    async fn decide_all<T: Send + 'static>(
        &self,
        doing: &'static str,
        filter: &Filter,
        decide: impl Decide<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut answers = Vec::new();
        let mut after = 0;
        loop {
            let wanted = filter.clone();
            let found = self.shared.look(doing, move |connection| {
                let rows = dead_after(connection, &wanted, after, PAGE)?;
                Ok(rows.into_iter().map(|dead| dead.row.sequence).collect::<Vec<i64>>())
            });
            let mut found = found.await?;
            let is_last = found.len() < PAGE;
            while !found.is_empty() {
                let (filter, decide, began) =
                    (filter.clone(), decide.clone(), Instant::now());
                let page = self.shared.write(doing, move |transaction| {
                    decide_page(transaction, &filter, &found, decide)
                });
                let page = page.await?;
                self.watermark.back_to_all();
                Decided::record(&self.trail, &page.decided);
                answers.extend(page.answers);
                after = page.last.unwrap_or(after);
                found = page.left;
                if !found.is_empty() || !is_last {
                    rest_after(began).await;
                }
            }
            if is_last {
                return Ok(answers);
            }
        }
    }
}

/// What was decided in one transaction.
struct Page<T> {
    answers: Vec<T>,
    /// The events as they are now.
    decided: Vec<AnyEnvelope>,
    /// The last one that was looked at, and those for which there was no time.
    last: Option<i64>,
    left: Vec<i64>,
}

/// Takes a decision on dead letters that were found, while there is time.
fn decide_page<T>(
    transaction: &Transaction<'_>,
    filter: &Filter,
    found: &[i64],
    decide: impl Decide<T>,
) -> rusqlite::Result<Page<T>> {
    let (now, began) = (now(transaction)?, Instant::now());
    let mut page = Page {
        answers: Vec::new(),
        decided: Vec::new(),
        last: found.last().copied(),
        left: Vec::new(),
    };
    // Somebody else may have decided on some meanwhile.
    for DeadRow { row, first_sent_at } in dead_among(transaction, filter, found)? {
        let sequence = row.sequence;
        if began.elapsed() >= AT_ONCE && !page.decided.is_empty() {
            page.left.push(sequence);
            continue;
        }
        let Ok(event) = row.read_in() else { continue };
        match decide(event, Times { first_sent_at, now }) {
            Ruling::Changed(event, answer) => {
                write_decision(transaction, sequence, &event, now)?;
                page.decided.push(event);
                page.answers.push(answer);
            }
            Ruling::Kept(answer) => page.answers.push(answer),
        }
    }
    Ok(page)
}

/// Removes events that were done so long ago, while there is time; says how many there
/// were, and how many are gone.
fn purge_page(
    transaction: &Transaction<'_>,
    age: TimeDelta,
    limit: usize,
) -> rusqlite::Result<(usize, usize)> {
    let now = now(transaction)?;
    forget_keys(transaction, now, limit)?;
    let Some(before) = now.checked_sub_signed(age) else {
        return Ok((0, 0));
    };
    let mut find = transaction.prepare_cached(
        "SELECT sequence FROM outbox_event WHERE done_at <= ?1 ORDER BY done_at LIMIT ?2",
    )?;
    let found =
        find.query_map(params![micros(before), at_most(limit)], |row| row.get(0))?;
    let found = found.collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut remove =
        transaction.prepare_cached("DELETE FROM outbox_event WHERE sequence = ?1")?;
    let mut remove_history =
        transaction.prepare_cached("DELETE FROM outbox_history WHERE event = ?1")?;
    let (began, mut removed) = (Instant::now(), 0_usize);
    for sequence in &found {
        if began.elapsed() >= AT_ONCE && removed > 0 {
            break;
        }
        remove.execute([sequence])?;
        remove_history.execute([sequence])?;
        removed = removed.saturating_add(1);
    }
    Ok((found.len(), removed))
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
    add_history(transaction, sequence, &history, decision.at())
}
