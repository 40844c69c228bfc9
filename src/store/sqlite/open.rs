//! How the connections to a file are opened: to write, to read beside, or only to look.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::file::File;
use super::install::{BUSY, check, installed, prepare};
use super::unchanging::Unchanging;
use crate::store::error::Doing;
use crate::store::{Part, StoreError, StoreErrorKind, Upkeep};

pub(super) const OPENING: &str = "opening the database";

/// A connection, and the file that it has open.
pub(super) struct Open {
    pub(super) connection: Connection,
    pub(super) file: Option<File>,
    /// The file as it was, where the connection would not notice what others write: it
    /// serves one look.
    pub(super) unchanging: Option<Unchanging>,
}

impl Open {
    pub(super) fn of(path: &Path, connection: Connection) -> rusqlite::Result<Self> {
        connection.busy_timeout(BUSY)?;
        // A statement keeps its plan: otherwise it is prepared anew whenever its limit is
        // bound.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // What is read first opens the log, too.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(Self { file: File::of(path, &connection), connection, unchanging: None })
    }

    pub(super) fn replaced(&self) -> Option<String> {
        self.file.as_ref().and_then(File::replaced)
    }

    /// Whether nobody has written what this connection would not notice.
    pub(super) fn is_true(&self) -> bool {
        self.unchanging.as_ref().is_none_or(Unchanging::is_unchanged)
    }

    /// Closes a file that was replaced, and leaves what stands in its place alone:
    /// otherwise SQLite may write the old log into it.
    pub(super) fn abandon(self) {
        let _ = self
            .connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    }
}

/// Which of the two connections a piece of work has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Writer,
    Reader,
}

/// Which file it is, and what it is opened for.
#[derive(Debug)]
pub(super) struct Source {
    /// As the caller names it: a path, or an address with settings of SQLite's.
    pub(super) path: PathBuf,
    /// The file that this is; nothing in memory.
    pub(super) file: Option<PathBuf>,
    pub(super) part: &'static Part,
    pub(super) upkeep: Upkeep,
    /// Whether whoever opened it may only look.
    pub(super) read_only: bool,
}

impl Source {
    /// Opens the file that is there now. Tables are not made in it: it may be a backup
    /// that is still being copied.
    pub(super) fn open(&self, side: Side) -> Result<Open, StoreError> {
        if self.read_only && side == Side::Writer {
            let found =
                "the database was opened read-only, and this would write: use `open`";
            return Err(StoreError::of(StoreErrorKind::Denied, OPENING, found));
        }
        if let Some(file) = self.file.as_ref().filter(|file| !file.exists()) {
            let found = format!("the file {} is not there any more", file.display());
            return Err(StoreError::of(StoreErrorKind::Unreachable, OPENING, found));
        }
        if self.read_only {
            return open_read_only(&self.path).doing(OPENING);
        }
        // An address may ask for what the flags must then allow.
        let make = if self.path.is_file() {
            OpenFlags::empty()
        } else {
            OpenFlags::SQLITE_OPEN_CREATE
        };
        let flags =
            OpenFlags::default().difference(OpenFlags::SQLITE_OPEN_CREATE).union(make);
        let open =
            || Open::of(&self.path, Connection::open_with_flags(&self.path, flags)?);
        let mut open = open().doing(OPENING)?;
        if side == Side::Reader {
            open.connection.pragma_update(None, "query_only", true).doing(OPENING)?;
            return Ok(open);
        }
        if installed(&open.connection, self.part).doing(OPENING)?.version == 0 {
            let found = "the file that stands there now has no tables: is it still being copied? (`install` makes them)";
            return Err(StoreError::new(OPENING, found));
        }
        prepare(&mut open.connection, self.part, self.upkeep)?;
        Ok(open)
    }
}

/// A connection that only reads. Where nobody has the file open there is no log to read
/// by, and none is made: then it is read as a file that nobody changes.
pub(super) fn open_read_only(path: &Path) -> rusqlite::Result<Open> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    if let Some(unchanging) = Unchanging::of(path)
        && let Some(address) = unchanging.address()
    {
        let connection = Connection::open_with_flags(address, flags)?;
        let open = Open::of(path, connection)?;
        return Ok(Open { unchanging: Some(unchanging), ..open });
    }
    Open::of(path, Connection::open_with_flags(path, flags)?)
}

/// Looks at a part of a file once: nothing is written, nor made beside it.
pub(crate) fn look<T>(
    path: &Path,
    part: &Part,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    refuse_folder(path)?;
    let open = open_read_only(path).doing(OPENING)?;
    let done = check(&open.connection, part).and_then(|()| work(&open.connection));
    if open.is_true() { done } else { Err(written_meanwhile(OPENING)) }
}

/// What was read as a file that nobody changes may be half of two moments.
pub(super) fn written_meanwhile(doing: &'static str) -> StoreError {
    let found = "another program began to write to the file while it was read: ask again";
    StoreError::of(StoreErrorKind::Busy, doing, found)
}

pub(super) fn refuse_folder(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        let found = format!("{} is a folder: expected a file", path.display());
        return Err(StoreError::of(StoreErrorKind::Unreachable, OPENING, found));
    }
    Ok(())
}

/// A panic in one piece of work leaves its connection to the next.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
