//! What outbox and inbox share in SQLite: the tables' versions, what columns hold, and
//! one file for many tasks.

mod columns;
mod fault;
mod file;
#[cfg(target_os = "linux")]
mod file_watch;
mod install;
mod shared;
mod unchanging;

pub(crate) use self::columns::{
    any_moment, maybe_moment, maybe_text, micros, now, read_row, still_open, text,
};
pub(crate) use self::fault::{fault, is_of_the_database};
pub(crate) use self::install::install;
pub(crate) use self::shared::{Shared, data_version};
