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
mod lookup;
mod open;
mod recall;
mod rows;
mod settle;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, NoTls, Socket};

use self::claim::{claim, put_aside};
pub use self::enqueue::{enqueue, enqueue_all};
pub use self::open::OpenTransaction;
pub use self::recall::recall;
use self::settle::{renew, settle};
use crate::audit::AuditTrail;
use crate::crash_point::crash_point;
use crate::outbox::blocked::Sweeps;
use crate::outbox::change::Settled;
use crate::outbox::claim::{HeldLease, Lease, LeaseLostError, Settlement};
use crate::outbox::store::{ClaimOrder, Claimed, Store};
use crate::outbox::watermark::Watermark;
use crate::store::error::Doing;
use crate::store::postgres::{self as database, Connector, Link, Notifications, Pool};
pub use crate::store::postgres::{Session, Statements};
use crate::store::{Migration, Part, StoreError};
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// The tables, as they are made, by every migration in its order: with what each column
/// means, and how to enqueue from plain SQL.
pub const SCHEMA: &str = concat!(
    include_str!("migrations/0001.sql"),
    "\n",
    include_str!("migrations/0002.sql")
);

const PART: Part = Part {
    name: "outbox",
    versions: &[include_str!("migrations/0001.sql"), include_str!("migrations/0002.sql")],
};

/// The migrations that make the tables, in their order, for a tool of one's own.
pub fn migrations() -> impl Iterator<Item = Migration> {
    PART.migrations()
}

/// Creates the tables of the outbox, or brings them up to date. [`Outbox::connect`] does
/// the same.
///
/// # Errors
///
/// What the database answers, and tables that a newer version of this crate has made for
/// programs of its own version ([`NewerSchema`](crate::outbox::StoreErrorKind::NewerSchema)).
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
    pool: Arc<Pool>,
    notifications: Arc<Notifications>,
    watermark: Arc<Watermark>,
    sweeps: Arc<Sweeps>,
    trail: AuditTrail,
}

impl Outbox {
    /// Connects without TLS, and makes the tables where they are missing, in the first
    /// schema of the search path.
    ///
    /// # Errors
    ///
    /// What the database answers, and tables of a newer version (as of [`install`]);
    /// a configuration that asks for TLS; a search path whose first schema is not there;
    /// a database whose encoding cannot hold what is stored; and a pooler that gives each
    /// transaction another session.
    pub async fn connect(config: Config) -> Result<Self, StoreError> {
        database::without_tls(&config).doing("connecting")?;
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
        let connector = Connector::new(config, tls);
        let pool = Pool::connect(connector.clone(), &PART).await?;
        let notifications = Notifications::new(connector, pool.place());
        Ok(Self {
            pool: Arc::new(pool),
            notifications: Arc::new(notifications),
            watermark: Arc::default(),
            sweeps: Arc::default(),
            trail: AuditTrail::silent(),
        })
    }

    /// Records what people decide on dead letters in an audit trail, once it is stored.
    /// The relay records what it does itself.
    #[must_use = "this returns the changed outbox; the original is consumed"]
    pub fn with_audit_trail(self, trail: AuditTrail) -> Self {
        Self { trail, ..self }
    }
}

impl super::sealed::Sealed for Outbox {}

impl Store for Outbox {
    async fn claim(&self, order: &ClaimOrder) -> Result<Claimed, StoreError> {
        self.notifications.mark_seen();
        self.sweep_blocked(order.on_dead_letter).await?;
        let work = async |link: &mut Link| {
            let (mut claimed, from) = claim(link, order, &self.watermark).await?;
            crash_point("before the claim commits");
            let taken = claimed.claims.len().saturating_add(claimed.quarantined.len());
            if taken < order.limit {
                // Blocked events may have stood before others.
                claimed.blocked = put_aside(link, order, from).await?;
            } else {
                link.commit().await?;
            }
            Ok(claimed)
        };
        let claimed = self.pool.run("claiming due events", work).await?;
        if !claimed.claims.is_empty() {
            crash_point("after the claim");
        }
        Ok(claimed)
    }

    async fn settle(
        &self,
        settlements: &[Settlement],
    ) -> Result<Vec<LeaseLostError>, StoreError> {
        let changes: Vec<(Lease, Settled)> =
            settlements.iter().map(|one| (one.lease, Settled::of(one))).collect();
        let work = async |link: &mut Link| settle(link, &changes).await;
        let stored = self.pool.run("settling events", work).await?;
        self.watermark.back_to(stored.freed);
        let due = changes.iter().filter_map(|(_, settled)| settled.change()?.due_at);
        self.watermark.back_to(due.min());
        if changes.iter().any(|(_, settled)| settled.change().is_none()) {
            self.watermark.back_to_all();
        }
        Ok(settlements
            .iter()
            .filter(|one| !stored.sequences.contains(&one.lease.sequence))
            .map(Settlement::lost)
            .collect())
    }

    async fn renew(
        &self,
        held: &[HeldLease],
        lease: Duration,
    ) -> Result<Vec<LeaseLostError>, StoreError> {
        let work = async |link: &mut Link| renew(link, held, lease).await;
        let renewed = self.pool.run("renewing leases", work).await?;
        let lost = held.iter().filter(|one| !renewed.contains(&one.lease.sequence));
        Ok(lost.map(|one| LeaseLostError { event: one.event.clone() }).collect())
    }

    /// Waits until a transaction that enqueued something is committed, as PostgreSQL's
    /// `NOTIFY` tells it.
    async fn wait(&self, at_most: Duration) {
        let rest = self.watermark.rest();
        self.notifications.wait(rest.map_or(at_most, |rest| at_most.min(rest))).await;
    }
}
