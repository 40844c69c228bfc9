//! What outbox and inbox share in SQLite: the tables' versions, what columns hold, and
//! one file for many tasks.

mod columns;
mod file;
#[cfg(target_os = "linux")]
mod file_watch;
mod install;
mod open;
pub(super) mod refusal;
mod shared;
mod unchanging;
mod wakeups;

pub(crate) use self::columns::{
    any_moment, at_most, maybe_moment, maybe_text, micros, now, read_row, still_open,
    text,
};
pub(crate) use self::install::{check, install};
pub(crate) use self::open::look;
pub(crate) use self::refusal::is_of_the_database;
pub(crate) use self::shared::Shared;
pub(crate) use self::wakeups::data_version;
