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

/// Creates the tables of the outbox, or brings them up to date. [`Outbox::open`] does the
/// same.
///
/// # Errors
///
/// What the database answers, and tables that a newer version of this crate has made for
/// programs of its own version ([`NewerSchema`](crate::outbox::StoreErrorKind::NewerSchema)).
pub fn install(connection: &mut Connection) -> Result<(), StoreError> {
    database::install(connection, &PART)
}

/// The outbox of a SQLite file, as a relay and people see it.
///
/// It has a connection for what writes and one for what people ask, so that neither waits
/// for the other; a query that takes longer than a minute is given up. On Linux a relay
/// that waits has a thread of its own, too, which the kernel wakes on a commit.
///
/// Where a restore or a deletion puts another file in the place of the open one, the next
/// call returns an error and the one after it has the new file. (On Unix. Elsewhere the
/// system does not let an open file be replaced.)
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
    /// Opens the file, which is made where it is missing, and its tables too.
    ///
    /// # Errors
    ///
    /// What the database answers, and tables of a newer version (as of [`install`]).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self::of(Shared::open(path.as_ref(), &PART)?))
    }

    /// Opens the file read-only: nothing is made, no permission to write is needed, and
    /// what would write is refused.
    ///
    /// # Errors
    ///
    /// What the database answers, and tables that are missing or of another version of
    /// this crate.
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

    /// Until another connection has committed something since the last claim: on Linux
    /// the kernel reports writes, and elsewhere the relay looks every 20 ms.
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
