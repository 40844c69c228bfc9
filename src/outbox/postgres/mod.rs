//! The outbox in PostgreSQL: for many workers, on many machines.
//!
//! The tables are documented where they are made: [`SCHEMA`]. A transaction of another driver enqueues with the SQL function
//! `outbox_enqueue`, which is what [`enqueue`] calls.
//!
//! ```no_run
//! use integration_automation_patterns::outbox::{Enqueued, postgres};
//! use integration_automation_patterns::{Envelope, Untyped};
//!
//! # async fn business() -> Result<(), Box<dyn std::error::Error>> {
//! let (mut crm, connection) = tokio_postgres::connect("host=127.0.0.1 user=crm", tokio_postgres::NoTls).await?;
//! tokio::spawn(connection);
//! postgres::install(&mut crm).await?;
//!
//! let business = crm.transaction().await?;
//! business.execute("INSERT INTO lead VALUES ('Ada')", &[]).await?;
//! let event = Envelope::builder("crm", Untyped::new("crm.lead.created", br#"{"name":"Ada"}"#)).build()?;
//! assert_eq!(postgres::enqueue(&business, event).await?, Enqueued::New);
//! business.commit().await?; // the lead and the event, or neither
//! # Ok(())
//! # }
//! ```

mod desk;
mod enqueue;
mod rows;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Error, NoTls, Row as SqlRow, Socket};

pub use self::enqueue::{enqueue, enqueue_all};
use self::rows::{
    Changes, DISPATCHED, FREE, claim_sql, expired_sql, free_forgotten_sql, give_back, put_aside_sql, quarantine,
    read_expired, settle,
};
use super::aside::{MANY_BLOCKED, Rounds};
use super::change::{Change, expiry_reason};
use super::{Claim, ClaimOrder, Claimed, HeldLease, Lease, LeaseLost, Settlement, Store, StoreError, Token};
use crate::AnyEnvelope;
use crate::audit::AuditTrail;
use crate::crash_point::point;
use crate::postgres::{self as database, Bell, Dial, Link, Worker, limit, micros, read_row};
use crate::schema::Part;
use crate::state::Dispatched;

/// The tables, as they are made: with what each column means, and how to enqueue from plain SQL.
pub const SCHEMA: &str = include_str!("schema.sql");

const PART: Part = Part { name: "outbox", versions: &[SCHEMA] };

/// Creates the tables of the outbox, or brings them up to date. [`Outbox::connect`] does the same.
///
/// # Errors
///
/// What the database answers, and tables that a newer version of this crate has made.
pub async fn install(client: &mut Client) -> Result<(), StoreError> {
    database::install(client, &PART).await
}

/// The outbox of a PostgreSQL database, as a relay and people see it.
///
/// It works with one connection, with another where two calls are under way, as when a relay settles one batch and claims
/// the next; and a relay listens on a third. Where the server, or a pooler, has but one to give, calls wait for one
/// another. Each comes back by itself where it is lost: the call that meets the loss answers with an error, and the next
/// one connects again.
///
/// They call themselves `outbox worker` and `outbox listener` in `pg_stat_activity`, where the configuration has no
/// `application_name`. A pooler must give each a session of its own (PgBouncer: `pool_mode = session`).
#[derive(Debug, Clone)]
pub struct Outbox {
    worker: Arc<Worker>,
    bell: Arc<Bell>,
    rounds: Arc<Rounds>,
    trail: AuditTrail,
}

impl Outbox {
    /// Connects without TLS, and makes the tables where they are missing.
    ///
    /// # Errors
    ///
    /// What the database answers, and tables that a newer version of this crate has made.
    pub async fn connect(config: Config) -> Result<Self, StoreError> {
        Self::connect_with(config, NoTls).await
    }

    /// The same, with the TLS of one's choice: `tokio-postgres-rustls`, `postgres-native-tls` or another.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_with<T>(config: Config, tls: T) -> Result<Self, StoreError>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let dial = Dial::new(config, tls);
        let worker = Worker::connect(dial.clone(), &PART).await?;
        Ok(Self {
            worker: Arc::new(worker),
            bell: Arc::new(Bell::new(dial)),
            rounds: Arc::default(),
            trail: AuditTrail::silent(),
        })
    }

    /// Tells a trail of what people decide on dead letters: once it is stored. What a relay does, the relay tells.
    #[must_use = "this gives the outbox back"]
    pub fn trail(self, trail: AuditTrail) -> Self {
        Self { trail, ..self }
    }
}

impl Store for Outbox {
    async fn claim(&self, order: &ClaimOrder) -> Result<Claimed, StoreError> {
        const DOING: &str = "claiming due events";
        let fault = |error: Error| StoreError::new(DOING, error);
        self.bell.heed();
        let mut claimed = Claimed::default();
        let mut held = self.worker.hold(DOING).await?;
        if self.rounds.are_due(order.after_failure) {
            held.link.query(&free_forgotten_sql(order.after_failure), &[]).await.map_err(fault)?;
        }
        claim(&mut held.link, order, &mut claimed).await.map_err(fault)?;
        point("before the claim commits");
        if claimed.claims.len().saturating_add(claimed.quarantined.len()) < order.limit {
            // Blocked events may have stood before others.
            let sql = put_aside_sql(order.after_failure);
            let aside = held.link.commit_after(&sql, &[&limit(MANY_BLOCKED), &order.except]).await.map_err(fault)?;
            claimed.blocked = aside.len();
        } else {
            held.link.commit().await.map_err(fault)?;
        }
        held.give_back();
        if !claimed.claims.is_empty() {
            point("after the claim");
        }
        Ok(claimed)
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<LeaseLost>, StoreError> {
        const DOING: &str = "settling events";
        let fault = |error: Error| StoreError::new(DOING, error);
        let changes: Vec<(Lease, Result<Change, String>)> =
            settlements.iter().map(|one| (one.lease, Change::of(one))).collect();
        let (mut steps, mut returned) = (Changes::default(), Vec::new());
        for (lease, change) in &changes {
            match change {
                Ok(change) => steps.push(lease.sequence, Some(lease.token), change),
                Err(reason) => returned.push((lease, reason.as_str())),
            }
        }
        let mut held = self.worker.hold(DOING).await?;
        let mut stored: HashSet<i64> = settle(&mut held.link, "BEGIN", &steps, true).await.map_err(fault)?;
        if !returned.is_empty() {
            stored.extend(give_back(&mut held.link, &returned).await.map_err(fault)?);
        }
        point("before the settlement commits");
        if steps.frees.is_empty() {
            held.link.commit().await.map_err(fault)?;
        } else {
            held.link.commit_after(FREE, &[&steps.frees]).await.map_err(fault)?;
        }
        held.give_back();
        Ok(settlements.iter().filter(|one| !stored.contains(&one.lease.sequence)).map(Settlement::lost).collect())
    }

    async fn renew(&self, held: &[HeldLease], lease: Duration) -> Result<Vec<LeaseLost>, StoreError> {
        const DOING: &str = "renewing leases";
        let (sequences, tokens): (Vec<i64>, Vec<Token>) =
            held.iter().map(|one| (one.lease.sequence, one.lease.token)).unzip();
        let lease = micros(lease);
        let values: [&(dyn ToSql + Sync); 3] = [&sequences, &tokens, &lease];
        let mut worker = self.worker.hold(DOING).await?;
        let sql = format!(
            "UPDATE outbox_event AS event SET due_at = clock_timestamp() + $3::bigint * interval '1 microsecond' \
             FROM unnest($1::bigint[], $2::uuid[]) AS held (sequence, token) \
             WHERE event.sequence = held.sequence AND event.token = held.token AND {DISPATCHED} \
             AND event.due_at > clock_timestamp() RETURNING event.sequence"
        );
        let renewed = worker.link.query(&sql, &values);
        let renewed = renewed.await.and_then(|rows| rows::sequences(&rows));
        let renewed = renewed.map_err(|error| StoreError::new(DOING, error))?;
        worker.give_back();
        let lost = held.iter().filter(|one| !renewed.contains(&one.lease.sequence));
        Ok(lost.map(|one| LeaseLost { event: one.event.clone() }).collect())
    }

    /// Waits until a transaction that enqueued something is committed, as PostgreSQL's `NOTIFY` tells it.
    async fn wait(&self, at_most: Duration) {
        self.bell.wait(at_most).await;
    }
}

/// Begins a transaction, fails the attempts of events whose lease has ended, and takes what is due.
async fn claim(link: &mut Link, order: &ClaimOrder, claimed: &mut Claimed) -> Result<(), Error> {
    let (sql, token, most, lease) =
        (claim_sql(order.after_failure), Token::now_v7(), limit(order.limit), micros(order.lease));
    let (expired, due) = link
        .begin_two((&expired_sql(), &[&most]), (&sql, &[&most, &token, &order.worker, &lease, &order.except]))
        .await?;
    take(link, &due, token, claimed).await?;
    if !expired.is_empty() {
        expire(link, &expired, order, claimed).await?;
        // Some of these may be due again at once.
        let room = limit(order.limit.saturating_sub(due.len()));
        let due = link.query(&sql, &[&room, &token, &order.worker, &lease, &order.except]).await?;
        take(link, &due, token, claimed).await?;
    }
    Ok(())
}

/// Reads the events that a claim has taken.
async fn take(link: &mut Link, rows: &[SqlRow], token: Token, claimed: &mut Claimed) -> Result<(), Error> {
    let since = Instant::now();
    let taken = rows.iter().map(|row| Ok((read_row(row)?, row.try_get("claimed_at")?)));
    let mut taken = taken.collect::<Result<Vec<_>, Error>>()?;
    taken.sort_by_key(|(row, _)| row.sequence);
    for (row, claimed_at) in taken {
        let (sequence, id, key) = (row.sequence, row.id.clone(), row.ordering_key.clone());
        match row.read_in() {
            Ok(event) => claimed.claims.push(Claim::new(event, Lease { sequence, token, claimed_at, since })),
            Err(why) => {
                quarantine(link, sequence, key, &why).await?;
                claimed.quarantined.push((id, why));
            }
        }
    }
    Ok(())
}

/// Fails the attempts of events whose lease has ended.
async fn expire(link: &mut Link, rows: &[SqlRow], order: &ClaimOrder, claimed: &mut Claimed) -> Result<(), Error> {
    let mut found = Vec::new();
    for row in rows {
        let (row, token, by, now) = read_expired(row)?;
        let (sequence, id, key) = (row.sequence, row.id.clone(), row.ordering_key.clone());
        match row.read_in::<Dispatched>() {
            Ok(event) => {
                let event = AnyEnvelope::from(event.fail_at(expiry_reason(by.as_deref()), now));
                found.push((sequence, token, Change::of_expired(&event, &order.worker)));
                claimed.expired.push(event);
            }
            Err(why) => {
                quarantine(link, sequence, key, &why).await?;
                claimed.quarantined.push((id, why));
            }
        }
    }
    let mut changes = Changes::default();
    for (sequence, token, change) in &found {
        changes.push(*sequence, *token, change);
    }
    // The rows are locked, and nobody else can have settled them.
    settle(link, "SELECT 1", &changes, false).await?;
    if !changes.frees.is_empty() {
        link.query(FREE, &[&changes.frees]).await?;
    }
    point("in the sweep");
    Ok(())
}
