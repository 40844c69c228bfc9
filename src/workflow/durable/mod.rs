//! The durable half of a workflow: an instance is a row, and moves in one transaction with
//! the reply that it answers, the commands that leave, and its journal.
//!
//! The decisions are the pure half's. What is written of them is decided here
//! (`columns.rs`, `journal.rs`, `receiving.rs`, `turn.rs`), and each database finds and
//! stores.

mod clerk;
mod columns;
mod config;
mod database;
mod dated;
mod desk;
mod error;
mod journal;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub mod postgres;
mod receiving;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub mod sqlite;
mod stored;
mod turn;
mod undo;

pub use self::clerk::Clerk;
pub use self::config::WorkflowConfig;
pub use self::database::WorkflowDatabase;
pub use self::desk::{
    CommandState, DeadReply, Desk, DeskError, Discrepancy, InstanceFinding,
    InstanceHistory, InstanceView, LevelVotes, PastEntry, StageCount, WaitsFor,
};
pub(crate) use self::error::is_of_an_earlier_life;
pub use self::error::{LoadError, StepError};
pub use self::turn::{ClerkIncident, ClerkSummary};
pub use self::undo::Undo;

/// What an error says was being done.
const STORING: &str = "storing a step of a workflow";
const LOADING: &str = "loading an instance of a workflow";
const FIRING: &str = "taking an instance whose deadline has passed";
