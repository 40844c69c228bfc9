//! Which file a connection has open, and whether its name leads to another one by now.
//!
//! SQLite goes on with the file that it has opened, also where another one was moved to
//! its place or where it was deleted: without a word, it reads and writes what nobody
//! else can see.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

/// A database on disk, as it was opened.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    database: Inode,
    log_path: PathBuf,
    /// Of the write-ahead log beside it, once there is one.
    log: Option<Inode>,
}

impl File {
    /// What this connection has open; nothing where that is no file, or where the system
    /// does not number its files (and then does not let one be replaced that is open).
    pub(super) fn of(path: &Path, connection: &Connection) -> Option<Self> {
        // As SQLite found it: where the name is a link, the log stands beside what it
        // leads to.
        let found =
            connection.path().filter(|path| !path.is_empty()).map(PathBuf::from)?;
        let path = lasting(path);
        let path = if path.is_file() { path } else { found.clone() };
        let log_path = beside(&found, "-wal");
        Some(Self {
            database: Inode::of(&path)?,
            path,
            log: Inode::of(&log_path),
            log_path,
        })
    }

    /// What has happened to it meanwhile, if anything has.
    ///
    /// A log that is gone is not missed: whoever has the file open has that log open too,
    /// and they agree. Where another one has come in its place, they do not.
    pub(super) fn replaced(&self) -> Option<String> {
        let path = self.path.display();
        match Inode::of(&self.path) {
            None => {
                Some(format!("the file {path} was moved or deleted while it was open"))
            }
            Some(found) if found != self.database => Some(format!(
                "the file {path} was replaced by another one while it was open"
            )),
            Some(_) => {
                let log = Inode::of(&self.log_path);
                let other = self.log.is_some() && log.is_some() && log != self.log;
                other.then(|| format!("the write-ahead log of {path} was replaced by another one while it was open"))
            }
        }
    }

    /// Where writes are seen first.
    #[cfg(target_os = "linux")]
    pub(super) fn log(&self) -> &Path {
        &self.log_path
    }
}

/// The name of a file, so that another working folder later does not lead to another one.
/// What names no file is left as it is: it may be an address.
pub(super) fn lasting(path: &Path) -> PathBuf {
    std::path::absolute(path)
        .ok()
        .filter(|path| path.is_file())
        .unwrap_or_else(|| path.to_owned())
}

/// What SQLite keeps beside a database under this ending: where its name is a link, beside
/// what that leads to.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut name = path.into_os_string();
    name.push(ending);
    name.into()
}

/// A file, whatever its name: its device and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Inode(u64, u64);

impl Inode {
    #[cfg(unix)]
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;

        // A look by name alone: to open and close the file would end the locks that
        // SQLite has on it.
        let found = std::fs::metadata(path).ok()?;
        Some(Self(found.dev(), found.ino()))
    }

    #[cfg(not(unix))]
    fn of(_: &Path) -> Option<Self> {
        None
    }
}
