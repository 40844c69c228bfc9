//! The outbox in PostgreSQL: for many workers, on many machines.
//!
//! The tables are documented where they are made: [`SCHEMA`]. A transaction of another
//! driver enqueues with the SQL function `outbox_enqueue`, which is what [`enqueue`]
//! calls.
//!
//! ```no_run
//! use integration_automation_patterns::outbox::{Enqueued, postgres};
//! use integration_automation_patterns::{Envelope, RawEvent};
//!
//! # async fn business() -> Result<(), Box<dyn std::error::Error>> {
//! let (mut crm, connection) =
//!     tokio_postgres::connect("host=127.0.0.1 user=crm", tokio_postgres::NoTls)
//!         .await?;
//! tokio::spawn(connection);
//! postgres::install(&mut crm).await?;
//!
//! let business = crm.transaction().await?;
//! business.execute("INSERT INTO lead VALUES ('Ada')", &[]).await?;
//! let event = Envelope::builder(
//!     "crm",
//!     RawEvent::new("crm.lead.created", br#"{"name":"Ada"}"#),
//! )
//! .build()?;
//! assert_eq!(postgres::enqueue(&business, event).await?, Enqueued::New);
//! business.commit().await?; // the lead and the event, or neither
//!     
//! # Ok(())
//! # }
//! ```

mod admin;
mod claim;
mod enqueue;
mod forgotten;
mod rows;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Error, NoTls, Socket};

use self::claim::claim;
pub use self::enqueue::{enqueue, enqueue_all};
use self::rows::{Changes, DISPATCHED, FREE, freed, put_aside_sql, release, settle};
use super::aside::{MANY_BLOCKED, Rounds};
use super::change::Change;
use super::front::Front;
use super::{
    ClaimOrder, Claimed, HeldLease, Lease, LeaseLostError, Settlement, Store, StoreError,
    Token,
};
use crate::audit::AuditTrail;
use crate::crash_point::crash_point;
use crate::postgres::{self as database, Bell, Dial, Worker, limit, micros};
use crate::schema::Part;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// The tables, as they are made: with what each column means, and how to enqueue from
/// plain SQL.
pub const SCHEMA: &str = include_str!("schema.sql");

const PART: Part = Part { name: "outbox", versions: &[SCHEMA] };

/// Creates the tables of the outbox, or brings them up to date. [`Outbox::connect`] does
/// the same.
///
/// # Errors
///
/// What the database answers, and tables that a newer version of this crate has made.
pub async fn install(client: &mut Client) -> Result<(), StoreError> {
    database::install(client, &PART).await
}

/// Connects a program's own work over TLS: with a server that an authority of `tls`
/// vouches for under the host's name, and not at all otherwise. The connection is driven
/// by a task of its own, which ends with the client.
///
/// # Errors
///
/// What was not reached, and why: the server, its certificate, the database or the role.
///
/// ```no_run
/// # async fn business() -> Result<(), Box<dyn std::error::Error>> {
/// use integration_automation_patterns::outbox::postgres;
/// use integration_automation_patterns::tls::Tls;
///
/// let crm = postgres::connect(
///     &"postgres://crm:secret@db.example/leads".parse()?,
///     &Tls::system()?,
/// )
/// .await?;
/// assert!(!crm.is_closed());
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub async fn connect(config: &Config, tls: &Tls) -> Result<Client, StoreError> {
    database::connect(config, tls).await
}

/// The outbox of a PostgreSQL database, as a relay and people see it.
///
/// It works with one connection, with another where two calls are under way, as when a
/// relay settles one batch and claims the next; a relay listens on a third; and what
/// people ask has a fourth, so that it holds no relay up. Where the server, or a pooler,
/// has but one to give, calls wait for one another. Each comes back by itself where it is
/// lost: the call that meets the loss answers with an error, and the next one connects
/// again.
///
/// They call themselves `outbox worker` and `outbox listener` in `pg_stat_activity`,
/// where the configuration has no `application_name`. What they set, they set for a
/// transaction. A pooler must give each a session of its own (PgBouncer:
/// `pool_mode = session`): another is refused. [`enqueue`] and an
/// [inbox](crate::inbox::postgres) do with any.
#[derive(Debug, Clone)]
pub struct Outbox {
    worker: Arc<Worker>,
    bell: Arc<Bell>,
    front: Arc<Front>,
    rounds: Arc<Rounds>,
    trail: AuditTrail,
}

impl Outbox {
    /// Connects without TLS, and makes the tables where they are missing, in the first
    /// schema of the search path.
    ///
    /// # Errors
    ///
    /// What the database answers, and tables that a newer version of this crate has made;
    /// a configuration that asks for TLS; a search path whose first schema is not there;
    /// a database whose encoding cannot hold what is stored; and a pooler that gives each
    /// transaction another session.
    pub async fn connect(config: Config) -> Result<Self, StoreError> {
        database::without_tls(&config)
            .map_err(|error| StoreError::new("connecting", error))?;
        Self::connect_with(config, NoTls).await
    }

    /// Connects over TLS, with a server that an authority of `tls` vouches for under the
    /// host's name, and not at all otherwise.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and a server without TLS, or whose certificate is
    /// not that of this host.
    ///
    /// ```no_run
    /// # async fn work() -> Result<(), Box<dyn std::error::Error>> {
    /// use integration_automation_patterns::outbox::{Admin, postgres::Outbox};
    /// use integration_automation_patterns::tls::Tls;
    ///
    /// let tls = Tls::with_authorities(&std::fs::read("authority.pem")?)?;
    /// let outbox = Outbox::connect_tls(
    ///     "postgres://relay:secret@db.example/leads".parse()?,
    ///     &tls,
    /// )
    /// .await?;
    /// assert_eq!(outbox.counts().await?.under_way(), 0);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub async fn connect_tls(config: Config, tls: &Tls) -> Result<Self, StoreError> {
        let (config, tls) = database::secured(config, tls)?;
        Self::connect_with(config, tls).await
    }

    /// Connects with the TLS of another crate: `postgres-native-tls` or one's own. Where
    /// it must not fall back to plain text, the configuration says `sslmode=require`.
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
        let bell = Bell::new(dial, worker.place());
        Ok(Self {
            worker: Arc::new(worker),
            bell: Arc::new(bell),
            front: Arc::default(),
            rounds: Arc::default(),
            trail: AuditTrail::silent(),
        })
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
        const DOING: &str = "claiming due events";
        let fault = |error: Error| StoreError::new(DOING, error);
        self.bell.heed();
        self.free_forgotten(order.on_dead_letter).await?;
        let mut claimed = Claimed::default();
        let mut held = self.worker.hold(DOING).await?;
        let from = claim(&mut held.link, order, &self.front, &mut claimed)
            .await
            .map_err(fault)?;
        crash_point("before the claim commits");
        if claimed.claims.len().saturating_add(claimed.quarantined.len()) < order.limit {
            // Blocked events may have stood before others.
            let sql = put_aside_sql(order.on_dead_letter);
            let values: [&(dyn ToSql + Sync); 4] =
                [&limit(MANY_BLOCKED), &order.except, &from, &order.only];
            let aside = held.link.commit_after(&sql, &values).await.map_err(fault)?;
            claimed.blocked = aside.len();
        } else {
            held.link.commit().await.map_err(fault)?;
        }
        held.release();
        if !claimed.claims.is_empty() {
            crash_point("after the claim");
        }
        Ok(claimed)
    }

    async fn settle(
        &self,
        settlements: &[Settlement],
    ) -> Result<Vec<LeaseLostError>, StoreError> {
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
        let mut stored: HashSet<i64> =
            settle(&mut held.link, &steps, true).await.map_err(fault)?;
        if !returned.is_empty() {
            stored.extend(release(&mut held.link, &returned).await.map_err(fault)?);
        }
        crash_point("before the settlement commits");
        if steps.frees.is_empty() {
            held.link.commit().await.map_err(fault)?;
        } else {
            let rows = held.link.commit_after(FREE, &[&steps.frees]).await;
            self.front.back_to(rows.and_then(|rows| freed(&rows)).map_err(fault)?);
        }
        held.release();
        self.front.back_to(
            changes.iter().filter_map(|(_, change)| change.as_ref().ok()?.due_at).min(),
        );
        if !returned.is_empty() {
            self.front.back_to_all();
        }
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
        let renewed = worker.link.alone(&sql, &values);
        let renewed = renewed.await.and_then(|rows| rows::sequences(&rows));
        let renewed = renewed.map_err(|error| StoreError::new(DOING, error))?;
        worker.release();
        let lost = held.iter().filter(|one| !renewed.contains(&one.lease.sequence));
        Ok(lost.map(|one| LeaseLostError { event: one.event.clone() }).collect())
    }

    /// Waits until a transaction that enqueued something is committed, as PostgreSQL's
    /// `NOTIFY` tells it.
    async fn wait(&self, at_most: Duration) {
        let rest = self.front.rest();
        self.bell.wait(rest.map_or(at_most, |rest| at_most.min(rest))).await;
    }
}
