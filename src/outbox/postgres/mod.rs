//! The outbox in PostgreSQL: for many workers, on many machines.
//!
//! [`SCHEMA`] documents the tables. A transaction of another driver enqueues with the SQL
//! function `outbox_enqueue`, which [`enqueue`] calls too.
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
use crate::store::{Migration, Part, StoreError, Upkeep};
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// The SQL that makes the tables: every migration in order, with the meaning of each
/// column, and how to enqueue from plain SQL.
pub const SCHEMA: &str = concat!(
    include_str!("migrations/0001.sql"),
    "\n",
    include_str!("migrations/0002.sql")
);

pub(crate) const PART: Part = Part {
    name: "outbox",
    versions: &[include_str!("migrations/0001.sql"), include_str!("migrations/0002.sql")],
};

/// The migrations that make the tables, in order, for a migration tool of your own.
pub fn migrations() -> impl Iterator<Item = Migration> {
    PART.migrations()
}

/// Creates the tables of the outbox, or brings them up to date. [`Outbox::connect`] does
/// the same.
///
/// # Errors
///
/// An error of the database, or tables of a newer version of this crate that this version
/// cannot use ([`NewerSchema`](crate::outbox::StoreErrorKind::NewerSchema)).
pub async fn install(client: &mut Client) -> Result<(), StoreError> {
    database::install(client, &PART).await
}

/// Connects over TLS, for a program's own work. An authority of `tls` must vouch for the
/// server under the host's name. A task of its own drives the connection, and ends with
/// the client.
///
/// # Errors
///
/// The server, the database or the role was not reached, or the certificate was refused.
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
/// It uses up to four connections:
///
/// - one for its statements,
/// - another while two calls are under way, as when a relay settles one batch and claims
///   the next,
/// - one on which a relay listens,
/// - one for administration, which so holds no relay up.
///
/// If the server, or a pooler, has only one to give, calls wait for one another. After a
/// lost connection, the call that notices returns an error, and the next one connects
/// again.
///
/// In `pg_stat_activity` they are `outbox worker` and `outbox listener`, unless the
/// configuration sets `application_name`. Their settings last for one transaction. A
/// pooler must give each a session of its own (PgBouncer: `pool_mode = session`); any
/// other is refused. [`enqueue`] and an [inbox](crate::inbox::postgres) work with any
/// pooler.
#[derive(Debug, Clone)]
pub struct Outbox {
    pool: Arc<Pool>,
    notifications: Arc<Notifications>,
    watermark: Arc<Watermark>,
    sweeps: Arc<Sweeps>,
    trail: AuditTrail,
}

impl Outbox {
    /// Connects without TLS, and makes missing tables in the first schema of the search
    /// path.
    ///
    /// # Errors
    ///
    /// As [`install`]; and a configuration that asks for TLS, a search path whose first
    /// schema does not exist, a database that is not encoded in UTF-8, or a pooler that
    /// gives each transaction another session.
    pub async fn connect(config: Config) -> Result<Self, StoreError> {
        database::without_tls(&config).doing("connecting")?;
        Self::connect_with(config, NoTls).await
    }

    /// Connects over TLS. An authority of `tls` must vouch for the server under the
    /// host's name.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); and a server without TLS, or whose certificate is
    /// refused.
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

    /// Connects with the TLS of another crate, such as `postgres-native-tls`. If it must
    /// not fall back to plain text, the configuration says `sslmode=require`.
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
        Self::of(Connector::new(config, tls), Upkeep::Install).await
    }

    /// As [`connect`](Self::connect), with the tables as they are: it makes and changes
    /// none, for a program that only looks or decides, such as an operator's.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); and tables that are missing, or older than this
    /// program needs ([`OlderSchema`](crate::outbox::StoreErrorKind::OlderSchema)), with
    /// both versions.
    ///
    /// ```no_run
    /// # async fn look() -> Result<(), Box<dyn std::error::Error>> {
    /// use integration_automation_patterns::outbox::{Admin, postgres::Outbox};
    ///
    /// let config = "postgres://observer:secret@db.example/leads".parse()?;
    /// let outbox = Outbox::connect_existing(config).await?;
    /// assert_eq!(outbox.counts().await?.under_way(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_existing(config: Config) -> Result<Self, StoreError> {
        database::without_tls(&config).doing("connecting")?;
        Self::connect_existing_with(config, NoTls).await
    }

    /// [`connect_existing`](Self::connect_existing) over TLS, as
    /// [`connect_tls`](Self::connect_tls) has it.
    ///
    /// # Errors
    ///
    /// As both.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub async fn connect_existing_tls(
        config: Config,
        tls: &Tls,
    ) -> Result<Self, StoreError> {
        let (config, tls) = database::secured(config, tls)?;
        Self::connect_existing_with(config, tls).await
    }

    /// [`connect_existing`](Self::connect_existing) with the TLS of another crate, as
    /// [`connect_with`](Self::connect_with) has it.
    ///
    /// # Errors
    ///
    /// As both.
    pub async fn connect_existing_with<T>(
        config: Config,
        tls: T,
    ) -> Result<Self, StoreError>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        Self::of(Connector::new(config, tls), Upkeep::Check).await
    }

    async fn of(connector: Connector, upkeep: Upkeep) -> Result<Self, StoreError> {
        let pool = Pool::connect(connector.clone(), &PART, upkeep).await?;
        let notifications = Notifications::new(connector, pool.place());
        Ok(Self {
            pool: Arc::new(pool),
            notifications: Arc::new(notifications),
            watermark: Arc::default(),
            sweeps: Arc::default(),
            trail: AuditTrail::silent(),
        })
    }

    /// Records the decisions about dead letters in an audit trail, once they are stored.
    /// What a relay does, the relay records.
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

    /// Waits for the `NOTIFY` of a transaction that enqueued something.
    async fn wait(&self, at_most: Duration) {
        let rest = self.watermark.rest();
        self.notifications.wait(rest.map_or(at_most, |rest| at_most.min(rest))).await;
    }
}
