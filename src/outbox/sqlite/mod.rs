//! The outbox in a SQLite file: the embedded default, for one machine.
//!
//! Any number of processes may share the file. It is kept in WAL mode, with every commit
//! on disk before it is answered. The tables are documented where they are made:
//! [`SCHEMA`].
//!
//! ```
//! use integration_automation_patterns::outbox::{Enqueued, sqlite};
//! use integration_automation_patterns::{Envelope, RawEvent};
//!
//! let mut crm = rusqlite::Connection::open_in_memory()?;
//! sqlite::install(&mut crm)?;
//! crm.execute_batch("CREATE TABLE lead (name TEXT)")?;
//!
//! let business = crm.transaction()?;
//! business.execute("INSERT INTO lead VALUES ('Ada')", [])?;
//! let event = Envelope::builder(
//!     "crm",
//!     RawEvent::new("crm.lead.created", br#"{"name":"Ada"}"#),
//! )
//! .build()?;
//! assert_eq!(sqlite::enqueue(&business, event)?, Enqueued::New);
//! business.commit()?; // the lead and the event, or neither
//!     
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admin;
mod forgotten;
mod look;
mod rows;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Savepoint, Transaction, params};

use self::rows::{
    Found, Hold, acknowledge_all, dispatch, find_due, find_expired, free, put_aside,
    quarantine, release, settle,
};
use super::aside::Rounds;
use super::change::{Change, expiry_reason};
use super::columns::{Row, same_event};
use super::front::{Cost, Front, Look};
use super::{
    Claim, ClaimOrder, Claimed, Enqueued, HeldLease, Lease, LeaseLostError, Settlement,
    Store, StoreError, Token,
};
use crate::audit::AuditTrail;
use crate::crash_point::crash_point;
use crate::envelope::UUID_TEXT;
use crate::hop::Hop;
use crate::refused::Refused;
use crate::schema::Part;
use crate::sqlite::{self as database, Shared, after, micros};
use crate::state::{Dispatched, Pending};
use crate::{AnyEnvelope, DeliveryStatus, Envelope};

/// The tables, as they are made: with what each column means, and how to enqueue from
/// plain SQL.
pub const SCHEMA: &str = include_str!("schema.sql");

const PART: Part = Part { name: "outbox", versions: &[SCHEMA] };

/// Creates the tables of the outbox, or brings them up to date. [`Outbox::open`] does the
/// same.
///
/// # Errors
///
/// What the database answers, and tables that a newer version of this crate has made.
pub fn install(connection: &mut Connection) -> Result<(), StoreError> {
    database::install(connection, &PART)
}

/// Writes an event into the outbox, as part of the caller's open transaction.
///
/// There is no form without one: an event that is not committed with the business change
/// is a lie or a loss.
///
/// # Errors
///
/// What the database answers, a transaction that has ended, and an event of this id that
/// comes from another system or is of another type; each with the event given back.
pub fn enqueue<T: OpenTransaction>(
    transaction: &T,
    event: Envelope<Pending>,
) -> Result<Enqueued, Refused<Envelope<Pending>, StoreError>> {
    const DOING: &str = "enqueuing an event";
    let mut record = event.to_record();
    let hop = Hop::enqueue(&mut record);
    let (connection, row) = (transaction.connection(), Row::of_record(record));
    let insert = || {
        database::still_open(connection, DOING)?;
        let fault = |error: rusqlite::Error| database::fault(DOING, error);
        if insert(connection, &row).map_err(fault)? > 0 {
            return Ok(Enqueued::New);
        }
        let sql = "SELECT source_system, event_type FROM outbox_event WHERE id = ?1";
        let there = |found: &rusqlite::Row<'_>| {
            Ok((database::text(found, 0)?, database::text(found, 1)?))
        };
        let there = connection.query_row(sql, [&row.id], there).map_err(fault)?;
        same_event(DOING, &row, &there)
    };
    match insert() {
        Ok(enqueued) => {
            hop.enqueued(enqueued);
            Ok(enqueued)
        }
        Err(error) => Err(Refused::new(event, error)),
    }
}

/// A transaction that is open, or a savepoint in one. Nothing else implements it.
#[diagnostic::on_unimplemented(
    message = "an event is enqueued with the business change, in an open transaction, and `{Self}` is none",
    label = "needs `&transaction`, from `let transaction = connection.transaction()?`"
)]
pub trait OpenTransaction: sealed::OpenTransaction {}

impl OpenTransaction for Transaction<'_> {}
impl OpenTransaction for Savepoint<'_> {}

mod sealed {
    use rusqlite::{Connection, Savepoint, Transaction};

    pub trait OpenTransaction {
        fn connection(&self) -> &Connection;
    }

    impl OpenTransaction for Transaction<'_> {
        fn connection(&self) -> &Connection {
            self
        }
    }

    impl OpenTransaction for Savepoint<'_> {
        fn connection(&self) -> &Connection {
            self
        }
    }
}

fn insert(connection: &Connection, row: &Row) -> rusqlite::Result<usize> {
    let (failure, redriven) = (row.failure.as_ref(), row.redriven.as_ref());
    connection
        .prepare_cached(
            "INSERT INTO outbox_event (id, event_type, source_system, schema_version, correlation_id, payload, tags, \
             ordering_key, retry_policy, created_at, failure_class, failure_reason, failed_at, redriven_by, \
             redriven_reason, redriven_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, \
             ?16) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            row.id,
            row.event_type,
            row.source_system,
            row.schema_version,
            row.correlation_id,
            row.payload,
            row.tags,
            row.ordering_key,
            row.retry_policy,
            micros(row.created_at),
            failure.map(|failure| &failure.what),
            failure.map(|failure| &failure.reason),
            failure.map(|failure| micros(failure.at)),
            redriven.map(|redriven| &redriven.what),
            redriven.map(|redriven| &redriven.reason),
            redriven.map(|redriven| micros(redriven.at)),
        ])
}

/// The outbox of a SQLite file, as a relay and people see it.
///
/// It has a connection for what writes and one for what people ask, so that neither waits
/// for the other; an answer that takes longer than a minute is given up. On Linux a relay
/// that waits has a thread of its own, too, in which the kernel tells of commits.
///
/// Where another file is put in the place of the one that is open, by a restore or a
/// deletion, the next call tells of it and the one after it has the new file. (On Unix.
/// Elsewhere the system does not let an open file be replaced.)
#[derive(Debug, Clone)]
pub struct Outbox {
    shared: Shared,
    /// The version of the data that the last claim saw.
    seen: Arc<AtomicI64>,
    front: Arc<Front>,
    rounds: Arc<Rounds>,
    trail: AuditTrail,
}

impl Outbox {
    /// Opens the file, which is made where it is missing, and its tables too.
    ///
    /// # Errors
    ///
    /// What the database answers, and tables that a newer version of this crate has made.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self::of(Shared::open(path.as_ref(), &PART)?))
    }

    /// Opens the file for whoever may only look: nothing is made, no permission to write
    /// is needed, and what would write is refused.
    ///
    /// # Errors
    ///
    /// What the database answers, and tables that are missing or of another version of
    /// this crate.
    ///
    /// ```
    /// use integration_automation_patterns::outbox::{Admin, sqlite};
    ///
    /// # let folder = std::env::temp_dir().join(format!("outbox-to-look-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let path = folder.join("crm.db");
    /// assert!(sqlite::Outbox::open_to_look(&path).is_err(), "there is no such file, and none is made");
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let relays = sqlite::Outbox::open(&path)?;
    /// let looker_on = sqlite::Outbox::open_to_look(&path)?;
    /// assert_eq!(looker_on.counts().await?.total(), 0);
    /// # drop((relays, looker_on));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_to_look(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self::of(Shared::open_to_look(path.as_ref(), &PART)?))
    }

    fn of(shared: Shared) -> Self {
        Self {
            shared,
            seen: Arc::default(),
            front: Arc::default(),
            rounds: Arc::default(),
            trail: AuditTrail::silent(),
        }
    }

    /// Tells a trail of what people decide on dead letters: once it is stored. What a
    /// relay does, the relay tells.
    #[must_use = "this gives the outbox back"]
    pub fn with_audit_trail(self, trail: AuditTrail) -> Self {
        Self { trail, ..self }
    }
}

impl super::sealed::Sealed for Outbox {}

impl Store for Outbox {
    async fn claim(&self, order: &ClaimOrder) -> Result<Claimed, StoreError> {
        self.free_forgotten(order.on_dead_letter).await?;
        let (order, seen, front) =
            (order.clone(), Arc::clone(&self.seen), Arc::clone(&self.front));
        let claimed = self.shared.write("claiming due events", move |transaction| {
            let mut claimed = Claimed::default();
            seen.store(database::data_version(transaction)?, Relaxed);
            expire(transaction, &order, &front, &mut claimed)?;
            claim(transaction, &order, &front, &mut claimed)?;
            crash_point("before the claim commits");
            Ok(claimed)
        });
        // What it had come to is not claimed.
        let claimed = claimed.await.inspect_err(|_| self.front.back_to_all())?;
        if !claimed.claims.is_empty() {
            crash_point("after the claim");
        }
        Ok(claimed)
    }

    async fn settle(
        &self,
        settlements: &[Settlement],
    ) -> Result<Vec<LeaseLostError>, StoreError> {
        let changes: Vec<(Lease, Result<Change, String>)> =
            settlements.iter().map(|one| (one.lease, Change::of(one))).collect();
        let front = Arc::clone(&self.front);
        let stored = self.shared.write("settling events", move |transaction| {
            let stored = settle_all(transaction, &changes, &front)?;
            crash_point("before the settlement commits");
            Ok(stored)
        });
        let stored = stored.await?;
        Ok(settlements
            .iter()
            .filter(|one| !stored.contains(&one.lease.sequence))
            .map(Settlement::lost)
            .collect())
    }

    async fn renew(
        &self,
        held: &[HeldLease],
        lease: Duration,
    ) -> Result<Vec<LeaseLostError>, StoreError> {
        let leases: Vec<Lease> = held.iter().map(|one| one.lease).collect();
        let kept = self.shared.write("renewing leases", move |transaction| {
            let now = database::now(transaction)?;
            let mut statement = transaction.prepare_cached(
                "UPDATE outbox_event SET due_at = ?1 \
                 WHERE sequence = ?2 AND token = ?3 AND status = 'dispatched' AND due_at > ?4",
            )?;
            let renewed = leases.iter().map(|one| {
                let until = after(now, lease);
                Ok(statement.execute(params![until, one.sequence, one.token.to_string(), micros(now)])? == 1)
            });
            renewed.collect::<rusqlite::Result<Vec<bool>>>()
        });
        let kept = kept.await?;
        Ok(held
            .iter()
            .zip(kept)
            .filter(|(_, kept)| !kept)
            .map(|(one, _)| LeaseLostError { event: one.event.clone() })
            .collect())
    }

    /// Until another connection has committed something since the last claim: the kernel
    /// tells of writes on Linux, and elsewhere it is looked every 20 ms.
    async fn wait(&self, at_most: Duration) {
        let rest = self.front.rest();
        self.shared
            .wait(
                || self.seen.load(Relaxed),
                rest.map_or(at_most, |rest| at_most.min(rest)),
            )
            .await;
    }
}

/// Writes what became of claimed events, of those whose lease has not ended, and names
/// these. Most were confirmed by the broker, and are written together; one by one, if
/// that finds a lease that has ended.
fn settle_all(
    transaction: &Transaction<'_>,
    changes: &[(Lease, Result<Change, String>)],
    front: &Front,
) -> rusqlite::Result<HashSet<i64>> {
    let now = database::now(transaction)?;
    let confirmed = |change: &Result<Change, String>| {
        change.as_ref().is_ok_and(|change| change.status == DeliveryStatus::Acknowledged)
    };
    let mut together = HashMap::<Token, Vec<i64>>::new();
    for (lease, _) in changes.iter().filter(|(_, change)| confirmed(change)) {
        together.entry(lease.token).or_default().push(lease.sequence);
    }
    let mut stored = HashSet::new();
    for (token, sequences) in together {
        if acknowledge_all(transaction, token, &sequences, now)? {
            stored.extend(sequences);
        }
    }
    let mut freed = BTreeSet::new();
    for (lease, change) in changes {
        let held = stored.contains(&lease.sequence)
            || match change {
                Ok(change) => {
                    let mut buffer = UUID_TEXT;
                    let token =
                        lease.token.hyphenated().encode_lower(&mut buffer).as_bytes();
                    settle(
                        transaction,
                        (lease.sequence, Some(token)),
                        change,
                        now,
                        Some(now),
                    )?
                }
                Err(reason) => release(transaction, lease, reason, now)?,
            };
        if held {
            stored.insert(lease.sequence);
            freed.extend(change.as_ref().ok().and_then(|change| change.frees.as_deref()));
        }
    }
    for key in freed {
        front.back_to(free(transaction, key)?);
    }
    front.back_to(
        changes.iter().filter_map(|(_, change)| change.as_ref().ok()?.due_at).min(),
    );
    Ok(stored)
}

/// Fails the attempts of events whose lease has ended.
fn expire(
    transaction: &Transaction<'_>,
    order: &ClaimOrder,
    front: &Front,
    claimed: &mut Claimed,
) -> rusqlite::Result<()> {
    let now = database::now(transaction)?;
    for (row, token, by) in find_expired(transaction, now, order.limit)? {
        let (sequence, id, key) =
            (row.sequence, row.id.clone(), row.ordering_key.clone());
        match row.read_in::<Dispatched>() {
            Ok(event) => {
                let event =
                    AnyEnvelope::from(event.fail_at(expiry_reason(by.as_deref()), now));
                let change = Change::of_expired(&event, &order.worker);
                if settle(transaction, (sequence, token.as_deref()), &change, now, None)?
                    && let Some(key) = &change.frees
                {
                    front.back_to(free(transaction, key)?);
                }
                crash_point("in the sweep");
                claimed.expired.push(event);
            }
            Err(why) => {
                front.back_to(quarantine(
                    transaction,
                    (sequence, key.as_deref()),
                    &why,
                    now,
                )?);
                claimed.quarantined.push((id, why));
            }
        }
    }
    Ok(())
}

/// Takes due events, and counts their attempt. Blocked ones that it meets it puts aside.
fn claim(
    transaction: &Transaction<'_>,
    order: &ClaimOrder,
    front: &Front,
    claimed: &mut Claimed,
) -> rusqlite::Result<()> {
    let now = database::now(transaction)?;
    let token = Token::now_v7();
    let hold = Hold {
        token: &token.to_string(),
        worker: &order.worker,
        since: micros(now),
        until: after(now, order.lease),
    };
    let Found { due: mut rows, blocked, .. } = find(transaction, order, front, now)?;
    put_aside(transaction, &blocked)?;
    claimed.blocked = blocked.len();
    dispatch(transaction, &mut rows, &hold)?;
    rows.sort_by_key(|row| row.sequence);
    let since = Instant::now();
    for row in rows {
        let (sequence, id, key) =
            (row.sequence, row.id.clone(), row.ordering_key.clone());
        match row.read_in::<Dispatched>() {
            Ok(event) => claimed.claims.push(Claim::new(
                event,
                Lease { sequence, token, claimed_at: now, since },
            )),
            Err(why) => {
                front.back_to(quarantine(
                    transaction,
                    (sequence, key.as_deref()),
                    &why,
                    now,
                )?);
                claimed.quarantined.push((id, why));
            }
        }
    }
    Ok(())
}

/// Finds what is due: where types are paused of which there are many events, from where
/// the last claims have come to.
fn find(
    transaction: &Transaction<'_>,
    order: &ClaimOrder,
    front: &Front,
    now: DateTime<Utc>,
) -> rusqlite::Result<Found> {
    if order.only.is_some() {
        // One type alone says nothing of where the others have come to.
        return find_due(transaction, order, None, now);
    }
    let began = Instant::now();
    let found = match front.next(&order.except) {
        Look::From { due, .. } => find_due(transaction, order, Some(due), now)?,
        Look::Whole { .. } => {
            let found = find_due(transaction, order, None, now)?;
            let steps = if order.except.is_empty() { 0 } else { found.steps };
            front.looked(Cost { steps, took: began.elapsed(), at: now });
            // NonOwnerEdits may have let older events go, of which it has met the first.
            front.back_to(found.reached);
            found
        }
    };
    front.reached(found.reached);
    Ok(found)
}
