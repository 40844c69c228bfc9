//! A contract between systems of record: who decides about a field, and what follows when
//! two of them differ.
//!
//! Two or more systems hold the same record. For each field the [`Contract`] names the
//! one system of record, or says that the systems share it, or that a person decides.
//! Against their last common state, [`reconcile`] finds for each field what must be
//! written where, what must be asked, and what is lost, without writing anything itself.
//!
//! ```
//! use integration_automation_patterns::sync::{Authority, Base, Contract, Slot};
//!
//! let contract = Contract::builder("contact")
//!     .system("crm")
//!     .system("erp")
//!     .field("email", Authority::system("crm"))
//!     .field("nickname", Authority::Shared)
//!     .build()?;
//!
//! // The ERP has changed an address that the CRM owns.
//! let (crm, erp) = (Slot::Value("a@x.org"), Slot::Value("b@x.org"));
//! let (slots, base) = ([&crm, &erp], Base::Known(Some("a@x.org")));
//! let plan = contract.plan("email", &slots, &base)?;
//!
//! let writes = plan.writes().collect::<Vec<_>>();
//! assert_eq!(writes.len(), 1);
//! assert_eq!((writes[0].to, writes[0].value), (1, Some(&"a@x.org")));
//! assert_eq!(
//!     writes[0].lost(),
//!     Some(Some(&"b@x.org")),
//!     "the edit that is overwritten is on record"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// All that a hidden module has is shown here, or at the root. It is hidden from rustdoc
// alone: rustc does not print the names of what is always hidden.
#[cfg_attr(doc, doc(hidden))]
pub mod apply;
#[cfg_attr(doc, doc(hidden))]
pub mod boundary;
mod change;
#[cfg_attr(doc, doc(hidden))]
pub mod conflict;
pub mod contract;
pub mod convert;
#[doc(hidden)]
pub mod declared;
pub mod entry;
pub mod existence;
mod high_water_mark;
pub mod reconcile;
pub mod review;
mod slot;
pub mod system;

#[doc(inline)]
pub use apply::{Applied, Found, Store};
#[doc(inline)]
pub use conflict::{Side, Stamp, SyncConflict};
#[doc(inline)]
pub use contract::{Authority, Contract};
#[doc(inline)]
pub use convert::Convert;
#[doc(inline)]
pub use existence::{Deletions, Existence};
pub use high_water_mark::HighWaterMark;
#[doc(inline)]
pub use reconcile::{FieldPlan, Merged, NonOwnerEdits, Question, Rule, Verdict, Write};
#[doc(inline)]
pub use review::{Answer, Audited, Choice, Review, Settled, Shown};
pub use slot::{Base, Slot};
#[doc(inline)]
pub use system::{Capability, Steward, System};
