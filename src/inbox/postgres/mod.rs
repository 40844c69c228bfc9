//! The inbox in PostgreSQL.
//!
//! ```no_run
//! use integration_automation_patterns::broker::Consumer;
//! use integration_automation_patterns::inbox::{Receipt, InboxConfig, postgres};
//! use integration_automation_patterns::RetryPolicy;
//! use std::time::Duration;
//!
//! # async fn consume(mut listener: impl Consumer) -> Result<(), Box<dyn std::error::Error>> {
//! let (mut erp, connection) = tokio_postgres::connect("host=127.0.0.1 user=erp", tokio_postgres::NoTls).await?;
//! tokio::spawn(connection);
//! postgres::install(&mut erp).await?;
//! let config = InboxConfig::new(Duration::from_secs(7 * 24 * 60 * 60), &RetryPolicy::DEFAULT)?;
//!
//! // One delivery: an error drops it, and it comes again. A consumer is a loop that no error ends, as at `process`.
//! let Some(delivery) = listener.next().await? else { return Ok(()) };
//! match postgres::receive(erp.transaction().await?, delivery, &config).await? {
//!     Receipt::New(first) => {
//!         let lead = first.event().payload().bytes();
//!         first.transaction().execute("INSERT INTO customer VALUES ($1)", &[&lead]).await?;
//!         first.commit().await?.ack().await?; // the effect and its memory are committed, and then the broker is told
//!     }
//!     Receipt::Duplicate(seen) | Receipt::Rejected(seen) => seen.ack().await?,
//!     Receipt::Left(again) => again.nack().await?,
//! }
//! # Ok(())
//! # }
//! ```

mod admin;
mod rows;

use std::error::Error as _;
use std::future::{Future, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use futures_util::TryStreamExt;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, SimpleQueryMessage, Transaction};

pub use self::admin::{counts, dead_letters, discard, purge, redrive, stalled};
use self::rows::{
    check_place, find, find_row, key, literal, now, remove, unindexable, write,
    write_processed, write_unless_done,
};
use super::handler_error::panicked;
use super::intake::{
    Begun, Ended, HAVING, Known, RECEIVING, STORING, TurnedAway, Unkept, begun, faulty,
    handled, received, tell_fault, tell_processed, told_of, uncommitted,
};
use super::{Committed, Fresh, Handled, HandlerError, InboxConfig, Receipt};
use crate::audit::Action;
use crate::broker::Delivery;
use crate::crash_point::crash_point;
use crate::state::Acknowledged;
use crate::store::Part;
use crate::store::Row;
use crate::store::StoreError;
use crate::store::postgres as database;
use crate::{AnyEnvelope, DeliveryStatus, Envelope};

/// The table, as it is made: with what each column means.
pub const SCHEMA: &str = include_str!("../schema_postgres.sql");

const PART: Part = Part { name: "inbox", versions: &[SCHEMA] };

/// Creates the table of the inbox, or brings it up to date.
///
/// # Errors
///
/// What the database answers, and a table that a newer version of this crate has made.
pub async fn install(client: &mut Client) -> Result<(), StoreError> {
    database::install(client, &PART).await
}

/// Takes a delivery in, inside the caller's open transaction: is it the first of its
/// event, or a duplicate?
///
/// Where another transaction is about to have the effect of the same event, this one
/// waits until that has ended.
///
/// An effect that ends its process is not counted here: [`process`] counts it.
///
/// # Errors
///
/// What the database answers. The delivery is given up with it, and comes again.
pub async fn receive<'c, A>(
    transaction: Transaction<'c>,
    delivery: Delivery<A>,
    config: &InboxConfig,
) -> Result<Receipt<Transaction<'c>, A>, StoreError> {
    take_in(transaction, delivery, config, false).await
}

/// A savepoint behind the row of the event: what an effect wrote before it failed goes,
/// and the memory of the failure stays. Where it is gone, so is the transaction that the
/// inbox began.
const SAVEPOINT: &str = "SAVEPOINT inbox_effect";
const RELEASE: &str = "RELEASE SAVEPOINT inbox_effect";
const ROLLBACK: &str = "ROLLBACK TO SAVEPOINT inbox_effect";

fn fault(error: Error) -> StoreError {
    StoreError::new(RECEIVING, error)
}

/// Takes a delivery in; `begun`, where its attempt is counted already.
async fn take_in<'c, A>(
    transaction: Transaction<'c>,
    delivery: Delivery<A>,
    config: &InboxConfig,
    begun: bool,
) -> Result<Receipt<Transaction<'c>, A>, StoreError> {
    let (event, received) = received(delivery, config);
    if let Some(refusal) = unindexable(&event).or_else(|| config.refusal(&event)) {
        check_place(&transaction).await.map_err(fault)?;
        let row = find(&transaction, &event).await.map_err(fault)?;
        return Ok(match TurnedAway::of(row.as_ref(), &event, config.leaves(&refusal)) {
            TurnedAway::Duplicate => received.duplicate(&event),
            TurnedAway::Left(wait) => received.left(&event, wait),
            TurnedAway::Known => received.known(),
            TurnedAway::DeadLettered => {
                let at = now(&transaction).await.map_err(fault)?;
                let dead = faulty(event, HandlerError::permanent(refusal.reason), at);
                write(&transaction, Row::of(&dead)).await.map_err(fault)?;
                transaction.commit().await.map_err(fault)?;
                received.refused(&dead, at)
            }
        });
    }
    // Both are one message, which is sooner dealt with, and has no values beside its
    // text.
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
        let attempt = match Known::of(row, &event, config, begun)
            .map_err(|why| StoreError::new(RECEIVING, why))?
        {
            Known::Unknown => event,
            Known::Attempt(event) => event,
            Known::Spent(dead) => {
                let (dead, at) =
                    (AnyEnvelope::from(dead), now(&transaction).await.map_err(fault)?);
                write(&transaction, Row::of(&dead)).await.map_err(fault)?;
                transaction.commit().await.map_err(fault)?;
                return Ok(received.spent(&dead, at));
            }
            Known::Duplicate => return Ok(received.duplicate(&event)),
        };
        // A savepoint that is behind the row's lock: a fault must not let go of the row
        // before it is stored. Both in one journey.
        let written = write_processed(&transaction, &attempt);
        tokio::try_join!(biased; written, transaction.batch_execute(SAVEPOINT))
            .map_err(fault)?;
        attempt
    };
    Ok(received.first(transaction, outermost == Some(true), event))
}

/// Receives a delivery, has its effect, and commits: the common case in one call.
///
/// A fault rolls back what the effect wrote, and is stored; the answer says what to tell
/// the broker. A `?` in the effect, and a panic, are faults for the moment; what can
/// never succeed says so by [`HandlerError::permanent`]. What the database refuses only
/// when the effect is committed (a deferred constraint or trigger, a statement that
/// failed and was overlooked) is a fault as well, and so is an effect that ends the
/// transaction by SQL: its transaction is the inbox's to end. Of a delivery that was
/// [made before](Delivery::is_redelivered), the attempt is counted, and committed, before
/// the effect: one that ends its process, or is dropped, [comes to an end
/// too](super#an-effect-that-ends-its-process).
///
/// # Errors
///
/// What the database answers that is no fault of the event: a deadlock, a serialization
/// failure, no room, a connection that is lost. Then nothing is stored, no attempt is
/// spent, and the event comes again; where the answer to the commit was lost, it comes
/// again as a duplicate or as the first, as that commit ended. An effect that has
/// committed by SQL is told so here: it is remembered as processed, and what it wrote
/// stays.
///
/// ```no_run
/// use integration_automation_patterns::broker::Consumer;
/// use integration_automation_patterns::inbox::{InboxConfig, postgres};
/// use std::time::Duration;
///
/// # async fn consume(mut listener: impl Consumer, config: InboxConfig) {
/// let connect = async || {
///     let (erp, connection) = tokio_postgres::connect("host=127.0.0.1 user=erp", tokio_postgres::NoTls).await?;
///     tokio::spawn(connection);
///     Ok::<_, tokio_postgres::Error>(erp)
/// };
/// let mut erp = None;
/// loop {
///     let client = match erp.take().filter(|client: &tokio_postgres::Client| !client.is_closed()) {
///         Some(client) => Ok(client),
///         None => connect().await,
///     };
///     let mut client = match client {
///         Ok(client) => client,
///         Err(error) => {
///             eprintln!("{error}");
///             tokio::time::sleep(Duration::from_secs(1)).await;
///             continue;
///         }
///     };
///     let delivery = match listener.next().await {
///         Ok(Some(delivery)) => delivery,
///         Ok(None) => return,
///         Err(error) => {
///             eprintln!("{error}"); // the next call connects anew
///             continue;
///         }
///     };
///     let handled = postgres::process(&mut client, delivery, &config, async |transaction, event| {
///         transaction.execute("INSERT INTO customer VALUES ($1)", &[&event.payload().bytes()]).await?;
///         Ok(())
///     });
///     let told = match handled.await {
///         Ok(handled) => handled.settle().await.map_err(|error| error.to_string()),
///         Err(error) => Err(format!("{error:#}")),
///     };
///     if let Err(error) = told {
///         eprintln!("{error}"); // the event comes again: as a duplicate, where its effect is stored
///     }
///     erp = Some(client);
/// }
/// # }
/// ```
pub async fn process<A>(
    client: &mut Client,
    delivery: Delivery<A>,
    config: &InboxConfig,
    effect: impl AsyncFnOnce(
        &Transaction<'_>,
        &Envelope<Acknowledged>,
    ) -> Result<(), HandlerError>,
) -> Result<Handled<A>, StoreError> {
    let owed = config.owed().take(delivery.facts());
    let mut begun = None;
    let attempt = async {
        if delivery.is_redelivered() {
            begun = begin_attempt(client, &delivery, config, owed.is_some()).await?;
        }
        attempt(client, delivery, config, owed.is_some() || begun.is_some(), effect).await
    };
    let handled = attempt.await;
    if handled.is_err() {
        let event = match begun {
            Some(begun) if owed.is_none() => {
                take_back(client, &begun).await.err().map(|_| begun.event)
            }
            _ => owed,
        };
        if let Some(event) = event {
            config.owed().add(event);
        }
    }
    handled
}

/// One attempt; `begun`, where it is counted already.
async fn attempt<A>(
    client: &mut Client,
    delivery: Delivery<A>,
    config: &InboxConfig,
    begun: bool,
    effect: impl AsyncFnOnce(
        &Transaction<'_>,
        &Envelope<Acknowledged>,
    ) -> Result<(), HandlerError>,
) -> Result<Handled<A>, StoreError> {
    let transaction = client.transaction().await.map_err(fault)?;
    let handled = match take_in(transaction, delivery, config, begun).await? {
        Receipt::New(first) => {
            match first.instrument(caught(effect(&first.transaction, &first.event))).await
            {
                Ok(()) => first.keep().await.map(Handled::Processed),
                Err(fault) => first.record(fault).await,
            }
        }
        Receipt::Duplicate(committed) => Ok(Handled::Duplicate(committed)),
        Receipt::Rejected(committed) => Ok(Handled::DeadLettered(committed)),
        Receipt::Left(again) => Ok(Handled::RetryLater(again)),
    };
    match handled {
        Ok(handled) => Ok(handled),
        Err(Unkept::Told(error)) => Err(error),
        Err(Unkept::Ended(ended)) => store(client, *ended).await,
    }
}

/// Commits that another attempt has begun, and says so: none does of a duplicate, nor
/// where none is left. One that is `owed` is counted already.
async fn begin_attempt<A>(
    client: &mut Client,
    delivery: &Delivery<A>,
    config: &InboxConfig,
    owed: bool,
) -> Result<Option<Begun>, StoreError> {
    let event = delivery.facts();
    if unindexable(event).or_else(|| config.refusal(event)).is_some() {
        return Ok(None);
    }
    let transaction = client.transaction().await.map_err(fault)?;
    check_place(&transaction).await.map_err(fault)?;
    let inserted = transaction
        .execute_typed(
            "INSERT INTO inbox_event (source_system, id, status, attempts) VALUES ($1, $2, 'retrying', 1) \
             ON CONFLICT DO NOTHING",
            &[(&event.source_system(), Type::TEXT), (&event.id().to_string(), Type::TEXT)],
        )
        .await
        .map_err(fault)?;
    let before = if inserted == 1 {
        None
    } else {
        find(&transaction, event).await.map_err(fault)?
    };
    let (event, attempts) = if inserted == 1 {
        (delivery.to_record(), 1)
    } else {
        let known = Known::of(before.clone(), event, config, owed);
        match known.map_err(|why| StoreError::new(RECEIVING, why))? {
            Known::Unknown => (delivery.to_record(), 1),
            Known::Attempt(event) => (event.to_record(), event.attempts()),
            Known::Spent(_) | Known::Duplicate => return Ok(None),
        }
    };
    let at = now(&transaction).await.map_err(fault)?;
    let row = begun(event, attempts, config, at);
    let begun = Begun::new(&row, before);
    write(&transaction, row).await.map_err(fault)?;
    transaction.commit().await.map_err(fault)?;
    Ok(Some(begun))
}

/// Takes a counted attempt back that was none.
async fn take_back(client: &mut Client, begun: &Begun) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    let (source_system, id) = key(&begun.event.0, &begun.event.1);
    match begun.taken_back(find_row(&transaction, &source_system, &id).await?) {
        Some(Some(row)) => write(&transaction, row).await?,
        Some(None) => remove(&transaction, &source_system, &id).await?,
        None => return Ok(()),
    };
    transaction.commit().await
}

/// Stores the fault of an attempt whose transaction is over, in one of its own. Meanwhile
/// another consumer may have had the effect, which stays.
async fn store<A>(
    client: &mut Client,
    ended: Ended<A>,
) -> Result<Handled<A>, StoreError> {
    let Ended { event, answer, hop, trail, fault, error, by_effect } = ended;
    let stored = async {
        let transaction = client.transaction().await?;
        let at = now(&transaction).await?;
        let event = faulty(event, fault, at);
        let written = write_unless_done(&transaction, Row::of(&event)).await?;
        transaction.commit().await?;
        Ok((event, at, written == 1))
    };
    let (event, at, is_stored) =
        stored.await.map_err(|error: Error| StoreError::new(STORING, error))?;
    if is_stored {
        hop.faulted(&event);
        tell_fault(&trail, &event, at);
        return Ok(handled(&event, answer, at));
    }
    if by_effect {
        return Err(error);
    }
    hop.end(Ok("duplicate"));
    trail.record(Action::Duplicate, &event, DeliveryStatus::Acknowledged, at);
    Ok(Handled::Duplicate(Committed::new(answer)))
}

/// Whether PostgreSQL refuses what it would have refused of every event: another
/// transaction was in the way, or it has no room, or is shutting down, or is not there.
pub(super) fn is_of_the_database(error: &Error) -> bool {
    let Some(state) = error.code() else {
        return error.is_closed()
            || error.source().is_some_and(|cause| cause.is::<std::io::Error>());
    };
    match state.code().get(..2).unwrap_or_default() {
        "08" | "53" => true,
        "40" => *state != SqlState::T_R_INTEGRITY_CONSTRAINT_VIOLATION,
        "57" => *state != SqlState::QUERY_CANCELED,
        _ => [SqlState::LOCK_NOT_AVAILABLE, SqlState::SYSTEM_ERROR, SqlState::IO_ERROR]
            .contains(state),
    }
}

/// Whether a savepoint is not there because its transaction is not.
fn is_ended(error: &Error) -> bool {
    let ended =
        [SqlState::NO_ACTIVE_SQL_TRANSACTION, SqlState::S_E_INVALID_SPECIFICATION];
    error.code().is_some_and(|state| ended.contains(state))
}

/// The effect, whose panic is a fault too: one poison event must not end the consumer
/// again and again.
async fn caught(
    effect: impl Future<Output = Result<(), HandlerError>>,
) -> Result<(), HandlerError> {
    let mut effect = pin!(effect);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| effect.as_mut().poll(context)));
        polled.unwrap_or_else(|panic| Poll::Ready(Err(panicked(&*panic))))
    })
    .await
}

impl<A> Fresh<Transaction<'_>, A> {
    /// Commits the effect and its memory.
    ///
    /// # Errors
    ///
    /// What the database answers. Then nothing is stored, and the event comes again. It
    /// is an error too where a statement of the effect had failed and the effect went on:
    /// PostgreSQL has then given the whole transaction up. And where the effect has ended
    /// the transaction by SQL.
    pub async fn commit(self) -> Result<Committed<A>, StoreError> {
        self.keep().await.map_err(Unkept::into_error)
    }

    /// Commits, or says what there is to store instead.
    async fn keep(self) -> Result<Committed<A>, Unkept<A>> {
        let Self { transaction, outermost, event, answer, hop, trail } = self;
        if let Err(error) = commit(transaction, outermost).await {
            let by_effect = is_ended(&error);
            let (fault, error) = uncommitted(error, by_effect);
            if !fault.counts {
                return Err(Unkept::Told(error));
            }
            return Err(Unkept::Ended(Box::new(Ended {
                event,
                answer,
                hop,
                trail,
                fault,
                error,
                by_effect,
            })));
        }
        crash_point("after the effect");
        hop.end(Ok("processed"));
        tell_processed(&trail, &event.process());
        Ok(Committed::new(answer))
    }

    /// Rolls back what the effect wrote, and commits that it failed: to be tried again
    /// while the policy of the [`InboxConfig`] lasts, else as a dead letter.
    ///
    /// # Errors
    ///
    /// What the database answers, and a fault that [spends no attempt](HandlerError).
    /// Then nothing is stored, and the event comes again.
    pub async fn fail(self, fault: HandlerError) -> Result<Handled<A>, StoreError> {
        self.record(fault).await.map_err(Unkept::into_error)
    }

    /// Commits the fault, or says what there is to store instead.
    async fn record(self, fault: HandlerError) -> Result<Handled<A>, Unkept<A>> {
        let Self { transaction, event, answer, hop, trail, .. } = self;
        if !fault.counts {
            return Err(Unkept::Told(StoreError::new(HAVING, fault.reason)));
        }
        let unstored = |error: Error| Unkept::Told(StoreError::new(STORING, error));
        if let Err(error) = transaction.batch_execute(ROLLBACK).await {
            if !is_ended(&error) {
                return Err(unstored(error));
            }
            let error = told_of(&fault);
            return Err(Unkept::Ended(Box::new(Ended {
                event,
                answer,
                hop,
                trail,
                fault,
                error,
                by_effect: true,
            })));
        }
        let stored = async {
            let at = now(&transaction).await?;
            let event = faulty(event, fault, at);
            write(&transaction, Row::of(&event)).await?;
            transaction.commit().await?;
            Ok((event, at))
        };
        let (event, at) = stored.await.map_err(unstored)?;
        hop.faulted(&event);
        tell_fault(&trail, &event, at);
        Ok(handled(&event, answer, at))
    }
}

/// Commits an effect's transaction. PostgreSQL answers the `COMMIT` of one that it has
/// given up, or that is none, without an error. It does not release the savepoint of one.
async fn commit(transaction: Transaction<'_>, outermost: bool) -> Result<(), Error> {
    if outermost {
        crash_point("before the effect commits");
        // Both in one journey.
        let released = transaction.client().simple_query_raw(RELEASE).await?;
        let released = released.try_for_each(|_| ready(Ok(())));
        tokio::try_join!(biased; released, transaction.commit())?;
    } else {
        // Where that fails, the drop of a transaction in another takes it back, and the
        // other goes on.
        transaction.batch_execute(RELEASE).await?;
        crash_point("before the effect commits");
        transaction.commit().await?;
    }
    Ok(())
}
