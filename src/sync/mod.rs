//! A contract between systems of record: who decides about a field, and what follows when
//! two of them differ.
//!
//! Two or more systems hold the same record. For each field the [`Contract`] names the
//! one system of record, or says that the systems share it, or that a person decides.
//! Against their last common state, a plan says for each field what must be written
//! where, what must be asked, and what is lost, without writing anything itself.
//!
//! ```
//! use integration_automation_patterns::sync::{
//!     Authority, Base, Content, Contract, Slot,
//! };
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
//! assert_eq!((writes[0].to(), writes[0].value()), (1, Some(&"a@x.org")));
//! assert_eq!(
//!     writes[0].lost(),
//!     Some(Content::Value(&"b@x.org")),
//!     "the edit that is overwritten is on record"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Two worlds
//!
//! A contract is declared with [`boundary!`](crate::boundary), and the compiler checks
//! the code that is written against it; or it is data, read from a file or built at run
//! time, and checked then. The two say the same, under these names (`contact` is the
//! module that `boundary!` makes):
//!
//! | | declared, in types | as data |
//! |---|---|---|
//! | the contract | `boundary! { pub mod contact between .. }` | [`Contract`] |
//! | a system | a type that is a [`System`], and its [`Capability`] | a name, and its place in [`Contract::systems`] |
//! | who decides | [`Owned`](declared::Owned), [`Shared`](declared::Shared), [`Manual`](declared::Manual) | [`Authority`] in a contract, [`Rule`] in a plan |
//! | what the others may do | [`Reject`](declared::Reject), [`Queue`](declared::Queue), [`Overwrite`](declared::Overwrite) | [`NonOwnerEdits`] |
//! | what a system says | `contact::Snapshot` | a [`Slot`] for each field |
//! | what is known in common | `contact::Bases` | [`Bases`] for each field, or one [`Base`] |
//! | the plan | `contact::Plan`, with an [`Entry`](declared::Entry) for each field | a [`FieldPlan`] for each field |
//! | what a rule settles | [`FieldRules`](declared::FieldRules) of `contact::Rules` | [`FieldPlan::prefer`], and what stands beside it |
//! | a merge that a function makes | [`FieldRules::merge`](declared::FieldRules::merge) | [`MergedPlan`] |
//! | what people answered | `contact::Answers` | [`Answer`], and [`Settled`] once it fits |
//! | what systems refused | `contact::Refusals` | [`Refusal`], and [`Refusals`] of a field |
//! | a system's own form | `contact::KeptForms`, `Snapshot::as_kept` | [`Reading`], by a [converter](convert); [`Kept`], and [`KeptForms`] of a field |
//! | what is stored of these | itself | [`Named`], with the names of the systems |
//! | what is written | `contact::Changes` | [`Write`] |
//! | where | `contact::Store` | [`Store`] |
//! | what a system replies | `contact::Taken` | [`Reply`] |
//! | what came of it | [`Carried`] | [`Applied`] |
//! | what went wrong, and how far it came | [`ApplyError`], with an [`Unfinished`] | the store's own error, with an [`Applied`] |

mod answer;
mod apply;
mod bases;
mod boundary;
mod carried;
mod change;
mod conflict;
mod contract;
mod contract_builder;
pub mod convert;
pub mod declared;
mod entry;
mod existence;
mod failed_writes;
mod fingerprint;
mod high_water_mark;
mod kept;
mod kind;
mod named;
mod page;
mod past;
mod plan;
mod presence;
pub(crate) mod progress;
mod reading;
mod reconcile;
mod record_plan;
mod record_run;
mod refusal;
mod review;
mod rules;
mod sender;
mod settled;
mod slot;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub mod sqlite;
mod streak;
mod system;
mod visit;
mod write;

pub use answer::{Answer, AnswerError, Choice};
pub use apply::{Applied, Found, Reply, Store};
pub use bases::Bases;
pub use carried::{ApplyError, Carried, Misfit, Unfinished};
pub use change::{Change, Standing};
pub use conflict::{Side, Stamp, SyncConflict};
pub use contract::{Authority, Contract, PlanError};
pub use contract_builder::{ContractBuilder, ContractError};
pub use existence::{Deletions, Existence, RecordRules};
pub use failed_writes::FailedWrites;
pub use fingerprint::OtherContractError;
pub use high_water_mark::{HighWaterMark, News, Version};
pub use kept::{Kept, KeptForms};
pub use named::{ByPlace, Named, OtherSystemsError};
pub use past::Past;
pub use plan::FieldPlan;
pub use presence::{Existed, Presence, RecordBase};
pub use reading::{RawWrite, Reading};
pub use reconcile::{
    NonOwnerEdits, Question, Rule, Verdict, verdict, verdict_with_bases,
};
pub use record_plan::{RecordAnswerError, RecordPlan, RecordWrite, SettledRecord};
pub use record_run::{AllowedRun, PresenceError, RecordRun, TooManyGoneError};
pub use refusal::{Refusal, Refusals};
pub use review::{Review, Shown};
pub use rules::MergedPlan;
pub use sender::SenderError;
pub use settled::{Audited, Settled};
pub use slot::{Base, Content, Slot};
pub use streak::WriteStreak;
pub use system::{Capability, System};
pub use write::Write;
