//! The outbox in a SQLite file: the embedded default, for one machine.
//!
//! Any number of processes may share the file. It is in WAL mode, and every commit is on
//! disk before it returns. [`SCHEMA`] documents the tables.
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
mod claim;
mod enqueue;
mod lookup;
mod recall;
mod rows;
mod settle;
mod sweep;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rusqlite::{Connection, Transaction};

use self::claim::{claim, expire};
pub use self::enqueue::{OpenTransaction, enqueue};
pub use self::recall::recall;
use self::rows::renew;
use self::settle::settle_all;
use crate::audit::AuditTrail;
use crate::crash_point::crash_point;
use crate::outbox::blocked::Sweeps;
use crate::outbox::change::Settled;
use crate::outbox::claim::{HeldLease, Lease, LeaseLostError, Settlement};
use crate::outbox::store::{ClaimOrder, Claimed, Store};
use crate::outbox::watermark::Watermark;
use crate::store::sqlite::{self as database, Shared};
use crate::store::{Migration, Part, StoreError};

/// The SQL that makes the tables: every migration in order, with the meaning of each
/// column, and how to enqueue from plain SQL.
pub const SCHEMA: &str = concat!(
    include_str!("migrations/0001.sql"),
    "\n",
    include_str!("migrations/0002.sql")
);

const PART: Part = Part {
    name: "outbox",
    versions: &[include_str!("migrations/0001.sql"), include_str!("migrations/0002.sql")],
};

/// The migrations that make the tables, in order, for a migration tool of your own.
pub fn migrations() -> impl Iterator<Item = Migration> {
    PART.migrations()
}

/// Creates the tables of the outbox, or brings them up to date. [`Outbox::open`] does the
/// same.
///
/// # Errors
///
/// An error of the database, or tables of a newer version of this crate that this version
/// cannot use ([`NewerSchema`](crate::outbox::StoreErrorKind::NewerSchema)).
pub fn install(connection: &mut Connection) -> Result<(), StoreError> {
    database::install(connection, &PART)
}

/// The outbox of a SQLite file, as a relay and people see it.
///
/// It has one connection for writes and one for administration, so that neither waits for
/// the other. A query ends after a minute at most. On Linux, a waiting relay also has a
/// thread, which the kernel wakes on a commit.
///
/// If a restore or a deletion replaces the open file, the next call returns an error, and
/// the one after it opens the new file. (On Unix. Other systems do not let an open file
/// be replaced.)
#[derive(Debug, Clone)]
pub struct Outbox {
    shared: Shared,
    /// The version of the data that the last claim saw.
    seen: Arc<AtomicI64>,
    watermark: Arc<Watermark>,
    sweeps: Arc<Sweeps>,
    trail: AuditTrail,
}

impl Outbox {
    /// Opens the file, and makes it and its tables if they are missing.
    ///
    /// # Errors
    ///
    /// As [`install`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self::of(Shared::open(path.as_ref(), &PART)?))
    }

    /// Opens the file with the tables as they are: it makes and changes none, for a
    /// program that decides and does not work, such as an operator's.
    ///
    /// # Errors
    ///
    /// An error of the database; a file or tables that are missing, or tables older than
    /// this program needs ([`OlderSchema`](crate::outbox::StoreErrorKind::OlderSchema)),
    /// with both versions.
    pub fn open_existing(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self::of(Shared::open_existing(path.as_ref(), &PART)?))
    }

    /// Opens the file read-only: it makes nothing, needs no permission to write, and
    /// refuses every call that writes.
    ///
    /// # Errors
    ///
    /// An error of the database, or tables that are missing or of a version of this crate
    /// that this one cannot use.
    ///
    /// ```
    /// use integration_automation_patterns::outbox::{Admin, sqlite};
    ///
    /// # let name = format!("outbox-read-only-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # std::fs::create_dir_all(&folder)?;
    /// let path = folder.join("crm.db");
    /// let missing = sqlite::Outbox::open_read_only(&path);
    /// assert!(missing.is_err(), "there is no such file, and none is made");
    /// # let runtime =
    /// #     tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    /// # runtime.block_on(async {
    /// let relays = sqlite::Outbox::open(&path)?;
    /// let reader = sqlite::Outbox::open_read_only(&path)?;
    /// assert_eq!(reader.counts().await?.total(), 0);
    /// # drop((relays, reader));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self::of(Shared::open_read_only(path.as_ref(), &PART)?))
    }

    fn of(shared: Shared) -> Self {
        Self {
            shared,
            seen: Arc::default(),
            watermark: Arc::default(),
            sweeps: Arc::default(),
            trail: AuditTrail::silent(),
        }
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
        self.sweep_blocked(order.on_dead_letter).await?;
        let (order, seen, watermark) =
            (order.clone(), Arc::clone(&self.seen), Arc::clone(&self.watermark));
        let claimed = self.shared.write("claiming due events", move |transaction| {
            let mut claimed = Claimed::default();
            seen.store(database::data_version(transaction)?, Relaxed);
            expire(transaction, &order, &watermark, &mut claimed)?;
            claim(transaction, &order, &watermark, &mut claimed)?;
            crash_point("before the claim commits");
            Ok(claimed)
        });
        // What it had come to is not claimed.
        let claimed = claimed.await.inspect_err(|_| self.watermark.back_to_all())?;
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
        let watermark = Arc::clone(&self.watermark);
        let stored = self.shared.write("settling events", move |transaction| {
            let stored = settle_all(transaction, &changes, &watermark)?;
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
        let renew =
            move |transaction: &Transaction<'_>| renew(transaction, &leases, lease);
        let kept = self.shared.write("renewing leases", renew);
        let kept = kept.await?;
        Ok(held
            .iter()
            .zip(kept)
            .filter(|(_, kept)| !kept)
            .map(|(one, _)| LeaseLostError { event: one.event.clone() })
            .collect())
    }

    /// Waits for another connection to commit. On Linux the kernel reports writes;
    /// elsewhere the relay looks every 20 ms.
    async fn wait(&self, at_most: Duration) {
        let rest = self.watermark.rest();
        self.shared
            .wait(
                || self.seen.load(Relaxed),
                rest.map_or(at_most, |rest| at_most.min(rest)),
            )
            .await;
    }
}
