//! Administration of the outbox in PostgreSQL.

use std::time::Duration;

use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::Outbox;
use super::lookup::{
    ALL, ONE, counts, dead_letters, lock_dead, orphans, recorded, unreadable, waiting,
};
use super::rows::{FREE, forget_keys_sql};
use crate::outbox::admin::decision::{Decided, Ruling, Times, discard};
use crate::outbox::admin::listing::{DeadRow, Page, every_page};
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
use crate::store::postgres::{Link, at_most, micros};
use crate::store::{DeadLetter, Filter, StoreError, StoreErrorKind, write_tags};
use crate::{AnyEnvelope, Decision, Envelope, EventId};

/// How many events one statement removes: few enough to end soon.
const PURGED_AT_ONCE: usize = 5_000;

impl Admin for Outbox {
    async fn counts(&self) -> Result<Counts, StoreError> {
        self.pool.run_for_people(COUNTING, async |link| counts(link).await).await
    }

    async fn dead_letters(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let work = async |link: &mut Link| dead_letters(link, filter, limit).await;
        self.pool.run_for_people(LISTING_DEAD, work).await
    }

    async fn unreadable(&self, filter: &Filter) -> Result<Vec<Finding>, StoreError> {
        every_page(|after| {
            let work = async move |link: &mut Link| unreadable(link, filter, after).await;
            self.pool.run_for_people(LISTING_DEAD, work)
        })
        .await
    }

    async fn waiting(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        let work = async |link: &mut Link| waiting(link, filter, limit).await;
        self.pool.run_for_people(LISTING_WAITING, work).await
    }

    async fn get(&self, id: &EventId) -> Result<Option<EventHistory>, StoreError> {
        let id = id.to_string();
        let work =
            async |link: &mut Link| recorded(link, ONE, &[(&id, Type::TEXT)]).await;
        let found = self.pool.run_for_people(GETTING, work).await?.into_iter().next();
        found
            .map(Recorded::read)
            .transpose()
            .map_err(|why| StoreError::of(StoreErrorKind::Unreadable, GETTING, why))
    }

    async fn redrive(
        &self,
        filter: &Filter,
        order: &Redrive,
    ) -> Result<Vec<(EventId, RedriveOutcome)>, StoreError> {
        self.decide_all(REDRIVING, filter, |event, times| order.decide(event, times))
            .await
    }

    async fn discard(
        &self,
        filter: &Filter,
        decision: &Decision,
    ) -> Result<Vec<EventId>, StoreError> {
        self.decide_all(DISCARDING, filter, |event, _| discard(event, decision)).await
    }

    async fn purge(&self, age: Duration, limit: usize) -> Result<u64, StoreError> {
        let forget = async |link: &mut Link| {
            link.alone(&forget_keys_sql(), &[&at_most(limit)]).await.map(drop)
        };
        self.pool.run_for_people(PURGING, forget).await?;
        let mut gone = 0_usize;
        while gone < limit {
            let page = PURGED_AT_ONCE.min(limit.saturating_sub(gone));
            let work = async |link: &mut Link| purge_page(link, age, page).await;
            let purged = self.pool.run_for_people(PURGING, work).await?;
            gone = gone.saturating_add(purged);
            if purged < page {
                break;
            }
        }
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    }

    async fn verify(&self) -> Result<Vec<Finding>, StoreError> {
        let mut findings = every_page(|after| {
            let work = async move |link: &mut Link| {
                let page = recorded(link, ALL, &[(&after, Type::INT8)]).await?;
                let page = Page::of(page, |event| event.row.sequence);
                Ok(page.filter_map(Recorded::verify))
            };
            self.pool.run_for_people(VERIFYING, work)
        })
        .await?;
        let work = async |link: &mut Link| orphans(link).await;
        findings.extend(self.pool.run_for_people(VERIFYING, work).await?);
        Ok(findings)
    }
}

impl Outbox {
    /// Applies a person's decision to all dead letters that match a filter, page by page.
    async fn decide_all<T>(
        &self,
        doing: &'static str,
        filter: &Filter,
        decide: impl Fn(Envelope<Failed>, Times) -> Ruling<T>,
    ) -> Result<Vec<T>, StoreError> {
        let (mut answers, mut after) = (Vec::new(), Some(0));
        while let Some(begin) = after {
            let work =
                async |link: &mut Link| decide_page(link, filter, begin, &decide).await;
            let page = self.pool.run_for_people(doing, work).await?;
            answers.extend(page.answers);
            Decided::record(&self.trail, &page.decided);
            after = page.next;
        }
        Ok(answers)
    }
}

/// The decisions of one transaction.
struct DecidedPage<T> {
    answers: Vec<T>,
    /// The events as they are now.
    decided: Vec<AnyEnvelope>,
    /// The sequence number after which the next page begins, if there is one.
    next: Option<i64>,
}

/// Applies a person's decision to one page of dead letters, and stores it.
async fn decide_page<T>(
    link: &mut Link,
    filter: &Filter,
    after: i64,
    decide: impl Fn(Envelope<Failed>, Times) -> Ruling<T>,
) -> Result<DecidedPage<T>, Error> {
    let (now, page) = lock_dead(link, filter, after).await?;
    let (mut answers, mut sequences, mut decided) = (Vec::new(), Vec::new(), Vec::new());
    for DeadRow { row, first_sent_at } in page.found {
        let sequence = row.sequence;
        let Ok(event) = row.read_in() else { continue };
        match decide(event, Times { first_sent_at, now }) {
            Ruling::Changed(event, answer) => {
                sequences.push(sequence);
                decided.push(event);
                answers.push(answer);
            }
            Ruling::Kept(answer) => answers.push(answer),
        }
    }
    if let Some(first) = decided.first() {
        write_decisions(link, &sequences, &decided, &Decided::of(first)).await?;
    }
    let freed: Vec<&str> = decided.iter().filter_map(frees).collect();
    link.commit_after(FREE, &[&freed]).await?;
    Ok(DecidedPage { answers, decided, next: page.next })
}

/// Writes one person's decision about some events.
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
         ), recorded AS (\
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

/// Removes up to `most` events that were done longer than `age` ago, in one statement;
/// returns how many.
async fn purge_page(
    link: &mut Link,
    age: Duration,
    limit: usize,
) -> Result<usize, Error> {
    const SQL: &str = "WITH gone AS (\
           DELETE FROM outbox_event WHERE sequence = ANY (ARRAY(\
             SELECT sequence FROM outbox_event \
             WHERE done_at <= statement_timestamp() - $1::bigint * interval '1 microsecond' \
             ORDER BY done_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED)) RETURNING sequence\
         ), forgotten AS (\
           DELETE FROM outbox_history WHERE event IN (SELECT sequence FROM gone)\
         ) SELECT count(*) FROM gone";
    let gone = link.alone(SQL, &[&micros(age), &at_most(limit)]).await?;
    let gone = gone.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0))?;
    Ok(usize::try_from(gone).unwrap_or(0))
}
