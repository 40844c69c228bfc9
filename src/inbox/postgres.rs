//! The inbox in PostgreSQL.
//!
//! ```no_run
//! use integration_automation_patterns::broker::Consumer;
//! use integration_automation_patterns::inbox::{Receipt, Rules, postgres};
//! use integration_automation_patterns::RetryPolicy;
//! use std::time::Duration;
//!
//! # async fn consume(mut listener: impl Consumer) -> Result<(), Box<dyn std::error::Error>> {
//! let (mut erp, connection) = tokio_postgres::connect("host=127.0.0.1 user=erp", tokio_postgres::NoTls).await?;
//! tokio::spawn(connection);
//! postgres::install(&mut erp).await?;
//! let rules = Rules::new(Duration::from_secs(7 * 24 * 60 * 60), &RetryPolicy::DEFAULT)?;
//!
//! while let Some(delivery) = listener.next().await? {
//!     match postgres::receive(erp.transaction().await?, delivery, &rules).await? {
//!         Receipt::New(first) => {
//!             let lead = first.event().payload().bytes();
//!             first.transaction().execute("INSERT INTO customer VALUES ($1)", &[&lead]).await?;
//!             first.commit().await?.confirm().await?; // the effect and its memory are committed, and then the broker is told
//!         }
//!         Receipt::Duplicate(seen) | Receipt::Rejected(seen) => seen.confirm().await?,
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use futures_util::TryStreamExt;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, GenericClient, SimpleQueryMessage, Transaction};

use std::fmt::Write;
use std::future::{Future, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use chrono::Utc;

use super::{
    Committed, Fault, First, Handled, Known, Receipt, Rules, begun, faulty, handled, panicked, received, tell_fault,
    tell_processed,
};
use crate::audit::{Action, AuditTrail};
use crate::broker::Delivery;
use crate::crash_point::point;
use crate::hop::Hop;
use crate::outbox::columns::Row;
use crate::outbox::{DeadLetter, Filter, StoreError, storable};
use crate::postgres::{self as database, limit, micros, read_row};
use crate::schema::Part;
use crate::state::{Acknowledged, Failed};
use crate::{AnyEnvelope, Decision, DeliveryStatus, Envelope, EventId, Facts, Untyped};

/// The table, as it is made: with what each column means.
pub const SCHEMA: &str = include_str!("schema_postgres.sql");

const PART: Part = Part { name: "inbox", versions: &[SCHEMA] };

/// The columns of [`Row`], with what is not kept of a processed event in its place.
const COLUMNS: &str = "0::bigint, id, coalesce(event_type, ''), source_system, coalesce(schema_version, ''), \
     correlation_id, coalesce(payload, ''), coalesce(tags, '{}'), ordering_key, coalesce(retry_policy, ''), \
     coalesce(created_at, received_at), status, attempts, failure_class, failure_reason, failed_at, redriven_by, \
     redriven_reason, redriven_at, discarded_by, discarded_reason, discarded_at";

const RECEIVING: &str = "receiving an event";

/// Creates the table of the inbox, or brings it up to date.
///
/// # Errors
///
/// What the database answers, and a table that a newer version of this crate has made.
pub async fn install(client: &mut Client) -> Result<(), StoreError> {
    database::install(client, &PART).await
}

/// Takes a delivery in, inside the caller's open transaction: is it the first of its event, or a duplicate?
///
/// Where another transaction is about to have the effect of the same event, this one waits until that has ended.
///
/// An effect that ends its process is not counted here: [`process`] counts it.
///
/// # Errors
///
/// What the database answers. The delivery is given up with it, and comes again.
pub async fn receive<'c, A>(
    transaction: Transaction<'c>,
    delivery: Delivery<A>,
    rules: &Rules,
) -> Result<Receipt<Transaction<'c>, A>, StoreError> {
    take_in(transaction, delivery, rules, false).await
}

/// Takes a delivery in; `begun`, where its attempt is counted already.
async fn take_in<'c, A>(
    transaction: Transaction<'c>,
    delivery: Delivery<A>,
    rules: &Rules,
    begun: bool,
) -> Result<Receipt<Transaction<'c>, A>, StoreError> {
    let fault = |error: Error| StoreError::new(RECEIVING, error);
    let (event, answer, hop) = received(delivery, rules);
    if let Some(refusal) = unindexable(&event).or_else(|| rules.refusal(&event)) {
        let known = find(&transaction, &event).await.map_err(fault)?;
        if known.as_ref().is_some_and(|row| row.status == "processed") {
            hop.end(Ok("duplicate"));
            rules.tell(Action::Duplicate, &event, event.status(), Utc::now());
            return Ok(Receipt::Duplicate(Committed::new(answer)));
        }
        // What waits for another attempt is not waited for again: it is a dead letter too.
        if known.is_none_or(|row| row.status == "retrying") {
            let at = now(&transaction).await.map_err(fault)?;
            let dead = faulty(event, Fault::permanent(refusal), at);
            write(&transaction, Row::of(&dead)).await.map_err(fault)?;
            transaction.commit().await.map_err(fault)?;
            rules.tell_fault(&dead, at);
        }
        hop.end(Err("rejected"));
        return Ok(Receipt::Rejected(Committed::new(answer)));
    }
    // What an effect wrote before it failed goes, and the memory of the failure stays. Both are one message, which is
    // sooner dealt with, and has no values beside its text.
    let sql = format!(
        "SELECT inbox_remember({}, {}, {}); {SAVEPOINT}",
        literal(event.source_system()),
        literal(&event.id().to_string()),
        event.attempts()
    );
    let remembered = transaction.simple_query(&sql).await.map_err(fault)?;
    let outermost = remembered.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(|outermost| outermost == "t"),
        _ => None,
    });
    let event = if outermost.is_some() {
        event
    } else {
        let row = find(&transaction, &event).await.map_err(fault)?;
        match Known::of(row, rules, begun).map_err(|why| StoreError::new(RECEIVING, why))? {
            Known::Attempt(event) => {
                // A savepoint that is behind the row's lock: a fault must not let go of the row before it is stored. Both
                // in one journey.
                let written = write_processed(&transaction, &event);
                tokio::try_join!(biased; written, transaction.batch_execute(SAVEPOINT)).map_err(fault)?;
                event
            }
            Known::Spent(dead) => {
                let (dead, at) = (AnyEnvelope::from(dead), now(&transaction).await.map_err(fault)?);
                write(&transaction, Row::of(&dead)).await.map_err(fault)?;
                transaction.commit().await.map_err(fault)?;
                hop.faulted(&dead);
                rules.tell_fault(&dead, at);
                return Ok(Receipt::Rejected(Committed::new(answer)));
            }
            Known::Duplicate => {
                hop.end(Ok("duplicate"));
                rules.tell(Action::Duplicate, &event, event.status(), Utc::now());
                return Ok(Receipt::Duplicate(Committed::new(answer)));
            }
        }
    };
    let (hop, trail, outermost) = (hop.process(&event), rules.trail.clone(), outermost == Some(true));
    Ok(Receipt::New(First { transaction, outermost, event, answer, hop, trail }))
}

const SAVEPOINT: &str = "SAVEPOINT effect";

/// Receives a delivery, has its effect, and commits: the common case in one call.
///
/// A fault rolls back what the effect wrote, and is stored; the answer says what to tell the broker. A `?` in the effect,
/// and a panic, are faults for the moment; what can never succeed says so by [`Fault::permanent`]. Of a delivery that was
/// [made before](Delivery::is_redelivered), the attempt is counted, and committed, before the effect: one that ends its
/// process, or is dropped, [comes to an end too](super#an-effect-that-ends-its-process).
///
/// # Errors
///
/// What the database answers. Then nothing of the effect is stored, and the event comes again; the attempt of one that was
/// delivered before stays counted.
///
/// ```no_run
/// use integration_automation_patterns::broker::Consumer;
/// use integration_automation_patterns::inbox::{Rules, postgres};
///
/// # async fn consume(mut erp: tokio_postgres::Client, mut listener: impl Consumer, rules: Rules) -> Result<(), Box<dyn std::error::Error>> {
/// while let Some(delivery) = listener.next().await? {
///     let handled = postgres::process(&mut erp, delivery, &rules, async |transaction, event| {
///         transaction.execute("INSERT INTO customer VALUES ($1)", &[&event.payload().bytes()]).await?;
///         Ok(())
///     });
///     handled.await?.tell().await?;
/// }
/// # Ok(())
/// # }
/// ```
pub async fn process<A>(
    client: &mut Client,
    delivery: Delivery<A>,
    rules: &Rules,
    effect: impl AsyncFnOnce(&Transaction<'_>, &Envelope<Acknowledged>) -> Result<(), Fault>,
) -> Result<Handled<A>, StoreError> {
    let begun = delivery.is_redelivered() && begin_attempt(client, &delivery, rules).await?;
    let transaction = client.transaction().await.map_err(|error| StoreError::new(RECEIVING, error))?;
    match take_in(transaction, delivery, rules, begun).await? {
        Receipt::New(first) => match first.instrument(caught(effect(&first.transaction, &first.event))).await {
            Ok(()) => Ok(Handled::Processed(first.commit().await?)),
            Err(fault) => first.fail(fault).await,
        },
        Receipt::Duplicate(committed) => Ok(Handled::Duplicate(committed)),
        Receipt::Rejected(committed) => Ok(Handled::Dead(committed)),
    }
}

/// Commits that another attempt has begun, and says whether one has: none does of a duplicate, nor where none is left.
async fn begin_attempt<A>(client: &mut Client, delivery: &Delivery<A>, rules: &Rules) -> Result<bool, StoreError> {
    let event = delivery.facts();
    if unindexable(event).or_else(|| rules.refusal(event)).is_some() {
        return Ok(false);
    }
    let fault = |error: Error| StoreError::new(RECEIVING, error);
    let transaction = client.transaction().await.map_err(fault)?;
    let inserted = transaction
        .execute_typed(
            "INSERT INTO inbox_event (source_system, id, status, attempts) VALUES ($1, $2, 'retrying', 1) \
             ON CONFLICT DO NOTHING",
            &[(&event.source_system(), Type::TEXT), (&event.id().to_string(), Type::TEXT)],
        )
        .await
        .map_err(fault)?;
    let (event, attempts) = if inserted == 1 {
        (delivery.to_record(), 1)
    } else {
        let row = find(&transaction, event).await.map_err(fault)?;
        match Known::of(row, rules, false).map_err(|why| StoreError::new(RECEIVING, why))? {
            Known::Attempt(event) => (event.to_record(), event.attempts()),
            Known::Spent(_) | Known::Duplicate => return Ok(false),
        }
    };
    let at = now(&transaction).await.map_err(fault)?;
    write(&transaction, begun(event, attempts, rules, at)).await.map_err(fault)?;
    transaction.commit().await.map_err(fault)?;
    Ok(true)
}

/// The effect, whose panic is a fault too: one poison event must not end the consumer again and again.
async fn caught(effect: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
    let mut effect = pin!(effect);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| effect.as_mut().poll(context)));
        polled.unwrap_or_else(|panic| Poll::Ready(Err(panicked(&*panic))))
    })
    .await
}

impl<A> First<Transaction<'_>, A> {
    /// Commits the effect and its memory.
    ///
    /// # Errors
    ///
    /// What the database answers. Then nothing is stored, and the event comes again. It is an error too where a statement
    /// of the effect had failed and the effect went on: PostgreSQL has then given the whole transaction up.
    pub async fn commit(self) -> Result<Committed<A>, StoreError> {
        let fault = |error: Error| StoreError::new("committing an effect", error);
        let processed = self.event.process();
        // PostgreSQL answers the `COMMIT` of a transaction that it has given up without an error. It does not release
        // the savepoint of one.
        const RELEASE: &str = "RELEASE SAVEPOINT effect";
        if self.outermost {
            point("before the effect commits");
            // Both in one journey.
            let released = self.transaction.client().simple_query_raw(RELEASE).await.map_err(fault)?;
            let released = released.try_for_each(|_| ready(Ok(())));
            tokio::try_join!(biased; released, self.transaction.commit()).map_err(fault)?;
        } else {
            // Where that fails, the drop of a transaction in another takes it back, and the other goes on.
            self.transaction.batch_execute(RELEASE).await.map_err(fault)?;
            point("before the effect commits");
            self.transaction.commit().await.map_err(fault)?;
        }
        point("after the effect");
        self.hop.end(Ok("processed"));
        tell_processed(&self.trail, &processed);
        Ok(Committed::new(self.answer))
    }

    /// Rolls back what the effect wrote, and commits that it failed: to be tried again while the policy of the
    /// [`Rules`] lasts, else as a dead letter.
    ///
    /// # Errors
    ///
    /// What the database answers. Then nothing is stored, and the event comes again.
    pub async fn fail(self, fault: Fault) -> Result<Handled<A>, StoreError> {
        let Self { transaction, event, answer, hop, trail, .. } = self;
        let stored = async {
            transaction.batch_execute("ROLLBACK TO SAVEPOINT effect").await?;
            let at = now(&transaction).await?;
            let event = faulty(event, fault, at);
            write(&transaction, Row::of(&event)).await?;
            transaction.commit().await?;
            Ok((event, at))
        };
        let (event, at) = stored.await.map_err(|error: Error| StoreError::new("storing a fault", error))?;
        hop.faulted(&event);
        tell_fault(&trail, &event, at);
        Ok(handled(&event, answer, at))
    }
}

/// Forgets up to `limit` events that were received longer ago than the window of the rules, and says how many. Dead
/// letters stay.
///
/// # Errors
///
/// What the database answers.
pub async fn forget(client: &Client, rules: &Rules, most: usize) -> Result<u64, StoreError> {
    let (age, most) = (micros(rules.window()), limit(most));
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&age, Type::INT8), (&most, Type::INT8)];
    let gone = client.execute_typed(
        "DELETE FROM inbox_event WHERE ctid = ANY (ARRAY(\
           SELECT ctid FROM inbox_event WHERE status IN ('processed', 'skipped') \
           AND received_at <= statement_timestamp() - $1 * interval '1 microsecond' \
           ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
        &values,
    );
    gone.await.map_err(|error| StoreError::new("forgetting old events", error))
}

/// The dead letters of the inbox that a filter names, the oldest first.
///
/// # Errors
///
/// What the database answers.
pub async fn dead_letters(client: &Client, filter: &Filter, most: usize) -> Result<Vec<DeadLetter>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, received_at FROM inbox_event WHERE status = 'failed' \
         AND ($1 IS NULL OR id = $1) AND ($2 IS NULL OR event_type = $2) AND ($3 IS NULL OR source_system = $3) \
         AND ($4 IS NULL OR strpos(failure_reason, $4) > 0) AND ($5 IS NULL OR failed_at >= $5) \
         ORDER BY received_at LIMIT $6"
    );
    let id = filter.id.as_ref().map(ToString::to_string);
    let work = async {
        let rows = client
            .query_typed(
                &sql,
                &[
                    (&id, Type::TEXT),
                    (&filter.event_type, Type::TEXT),
                    (&filter.source_system, Type::TEXT),
                    (&filter.reason_contains, Type::TEXT),
                    (&filter.failed_since, Type::TIMESTAMPTZ),
                    (&limit(most), Type::INT8),
                ],
            )
            .await?;
        rows.iter().map(|row| Ok((read_row(row)?, row.try_get("received_at")?))).collect::<Result<Vec<_>, Error>>()
    };
    let rows = work.await.map_err(|error| StoreError::new("listing dead letters", error))?;
    let dead =
        |(row, received_at): (Row, _)| Some(DeadLetter { event: row.read_in().ok()?, first_sent_at: received_at });
    Ok(rows.into_iter().filter_map(dead).collect())
}

/// Takes a dead letter of the inbox up again, inside the caller's open transaction, as somebody decided: its effect can
/// be had now. Nothing where no dead letter has this id.
///
/// # Errors
///
/// What the database answers.
pub async fn redrive<'c>(
    transaction: Transaction<'c>,
    source_system: &str,
    id: &EventId,
    decision: Decision,
    rules: &Rules,
) -> Result<Option<First<Transaction<'c>, ()>>, StoreError> {
    let fault = |error: Error| StoreError::new("redriving a dead letter", error);
    let found = find_row(&transaction, source_system, &id.to_string()).await.map_err(fault)?;
    let Some(Ok(dead)) = found.map(Row::read_in::<Failed>) else { return Ok(None) };
    let event = dead.redrive(decision).with_retry_policy(rules.policy()).dispatch().acknowledge();
    write_processed(&transaction, &event).await.map_err(fault)?;
    transaction.batch_execute(SAVEPOINT).await.map_err(fault)?;
    let (hop, trail) = (Hop::redrive(&event), rules.trail.clone());
    Ok(Some(First { transaction, outermost: false, event, answer: (), hop, trail }))
}

/// Gives a dead letter of the inbox up, as somebody decided; says whether there was one of this id.
///
/// # Errors
///
/// What the database answers.
pub async fn discard(
    client: &mut Client,
    source_system: &str,
    id: &EventId,
    decision: Decision,
    trail: &AuditTrail,
) -> Result<bool, StoreError> {
    let work = async {
        let transaction = client.transaction().await?;
        let found = find_row(&transaction, source_system, &id.to_string()).await?;
        let Some(Ok(dead)) = found.map(Row::read_in::<Failed>) else { return Ok(false) };
        let gone = dead.discard(decision);
        let at = gone.discarded().map_or_else(Utc::now, Decision::at);
        let gone = AnyEnvelope::from(gone);
        write(&transaction, Row::of(&gone)).await?;
        transaction.commit().await?;
        trail.record(Action::Discard, &gone, gone.status(), at);
        Ok(true)
    };
    work.await.map_err(|error: Error| StoreError::new("discarding a dead letter", error))
}

async fn now(client: &impl GenericClient) -> Result<chrono::DateTime<chrono::Utc>, Error> {
    client.query_typed_one("SELECT clock_timestamp()", &[]).await?.try_get(0)
}

/// Why an event cannot be remembered, where it cannot: it would come again for ever.
fn unindexable(event: &Facts<Untyped>) -> Option<String> {
    let (source_system, id) = (event.source_system(), event.id().to_string());
    let size = source_system.len().saturating_add(id.len());
    (key(source_system, &id) != (source_system.to_owned(), id)).then(|| {
        format!("its source system and id cannot be an index of PostgreSQL: {size} bytes, or a NUL among them")
    })
}

/// Under which source system and id an event stands: its own, or what is derived from them where PostgreSQL could not
/// index these.
fn key(source_system: &str, id: &str) -> (String, String) {
    const LONGEST: usize = 2000;
    let fits = |text: &str| text.len() <= LONGEST / 2 && !text.contains('\0');
    if fits(source_system) && fits(id) {
        return (source_system.to_owned(), id.to_owned());
    }
    let derived = EventId::derived(source_system, id).map_or_else(|_| "empty".to_owned(), |id| id.to_string());
    (storable(source_system.chars().take(100).collect::<String>()), derived)
}

async fn find(transaction: &Transaction<'_>, event: &Facts<Untyped>) -> Result<Option<Row>, Error> {
    let (source_system, id) = key(event.source_system(), &event.id().to_string());
    find_row(transaction, &source_system, &id).await
}

/// A text within a statement, spelled by its bytes: whatever it says, it stays a text.
fn literal(text: &str) -> String {
    let mut bytes = String::new();
    for byte in text.bytes() {
        // A `String` takes everything.
        let _ = write!(bytes, "{byte:02x}");
    }
    format!("convert_from(decode('{bytes}', 'hex'), 'UTF8')")
}

/// The row of an event, locked until the transaction ends.
async fn find_row(transaction: &Transaction<'_>, source_system: &str, id: &str) -> Result<Option<Row>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM inbox_event WHERE source_system = $1 AND id = $2 FOR UPDATE");
    let found = transaction.query_typed_opt(&sql, &[(&source_system, Type::TEXT), (&id, Type::TEXT)]).await?;
    found.as_ref().map(read_row).transpose()
}

/// Remembers that the event has its effect, and forgets what was kept of its failures.
async fn write_processed(transaction: &Transaction<'_>, event: &Envelope<Acknowledged>) -> Result<u64, Error> {
    let (id, attempts) = (event.id().to_string(), i64::from(event.attempts()));
    transaction
        .execute_typed(
            "UPDATE inbox_event SET status = 'processed', attempts = $3, event_type = NULL, schema_version = NULL, \
             correlation_id = NULL, payload = NULL, tags = NULL, ordering_key = NULL, retry_policy = NULL, \
             created_at = NULL, failure_class = NULL, failure_reason = NULL, failed_at = NULL, \
             received_at = clock_timestamp() WHERE source_system = $1 AND id = $2",
            &[(&event.source_system(), Type::TEXT), (&id, Type::TEXT), (&attempts, Type::INT8)],
        )
        .await
}

/// Keeps the whole of an event that failed, or was given up.
async fn write(transaction: &Transaction<'_>, row: Row) -> Result<u64, Error> {
    let (failure, redriven, discarded) = (row.failure.as_ref(), row.redriven.as_ref(), row.discarded.as_ref());
    let kept = row.status != DeliveryStatus::Skipped.as_str();
    let (source_system, id) = key(&row.source_system, &row.id);
    let (event_type, schema_version) = (storable(row.event_type), storable(row.schema_version));
    let (correlation_id, ordering_key) = (row.correlation_id.map(storable), row.ordering_key.map(storable));
    transaction
        .execute_typed(
            "INSERT INTO inbox_event (source_system, id, status, attempts, event_type, schema_version, \
             correlation_id, payload, tags, ordering_key, retry_policy, created_at, failure_class, failure_reason, \
             failed_at, redriven_by, redriven_reason, redriven_at, discarded_by, discarded_reason, discarded_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::json, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, \
             $21) \
             ON CONFLICT (source_system, id) DO UPDATE SET status = $3, attempts = $4, event_type = $5, \
             schema_version = $6, correlation_id = $7, payload = $8, tags = $9::json, ordering_key = $10, \
             retry_policy = $11, created_at = $12, failure_class = $13, failure_reason = $14, failed_at = $15, \
             redriven_by = $16, redriven_reason = $17, redriven_at = $18, discarded_by = $19, discarded_reason = $20, \
             discarded_at = $21",
            &[
                (&source_system, Type::TEXT),
                (&id, Type::TEXT),
                (&row.status, Type::TEXT),
                (&row.attempts, Type::INT8),
                (&event_type, Type::TEXT),
                (&schema_version, Type::TEXT),
                (&correlation_id, Type::TEXT),
                (&kept.then_some(&row.payload), Type::BYTEA),
                (&row.tags, Type::TEXT),
                (&ordering_key, Type::TEXT),
                (&row.retry_policy, Type::TEXT),
                (&row.created_at, Type::TIMESTAMPTZ),
                (&failure.map(|said| &said.what), Type::TEXT),
                (&failure.map(|said| &said.reason), Type::TEXT),
                (&failure.map(|said| said.at), Type::TIMESTAMPTZ),
                (&redriven.map(|said| &said.what), Type::TEXT),
                (&redriven.map(|said| &said.reason), Type::TEXT),
                (&redriven.map(|said| said.at), Type::TIMESTAMPTZ),
                (&discarded.map(|said| &said.what), Type::TEXT),
                (&discarded.map(|said| &said.reason), Type::TEXT),
                (&discarded.map(|said| said.at), Type::TIMESTAMPTZ),
            ],
        )
        .await
}
