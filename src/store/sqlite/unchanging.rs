//! A file that nobody has open: SQLite reads it as one that never changes, and leaves
//! nothing beside it.
//!
//! To read it by a log would make the log, which a reader cannot remove. Where the reader
//! is another user than the programs of the file, they could not open it any more.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::file::beside;

/// A file, as it is while nobody writes to it.
#[derive(Debug)]
pub(super) struct Unchanging {
    path: PathBuf,
    length: u64,
    written_at: SystemTime,
}

impl Unchanging {
    /// The file as it is now; nothing where somebody has it open, or may have left a change
    /// beside it.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        let is_open = ["-wal", "-journal"].iter().any(|end| beside(path, end).exists());
        let (length, written_at) = (found.len(), found.modified().ok()?);
        (!is_open).then(|| Self { path: path.to_owned(), length, written_at })
    }

    /// Whether nobody has written to it, or begun to.
    pub(super) fn is_unchanged(&self) -> bool {
        Self::of(&self.path).is_some_and(|now| {
            (now.length, now.written_at) == (self.length, self.written_at)
        })
    }

    /// The address under which SQLite reads it without a log and without locks.
    pub(super) fn address(&self) -> Option<String> {
        let mut address = String::from("file:");
        for byte in self.path.to_str()?.bytes() {
            match byte {
                b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                    address.push(char::from(byte))
                }
                _ => address.push_str(&format!("%{byte:02X}")),
            }
        }
        address.push_str("?immutable=1");
        Some(address)
    }
}

#[cfg(test)]
#[cfg(unix)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A file with a log is none that nobody changes, whatever it is called; and one that
    /// was written to has changed, whether or not the log is gone again.
    #[test]
    fn what_is_written_to_is_seen() {
        let folder =
            std::env::temp_dir().join(format!("unchanging-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("test.db");
        let link = path.with_file_name("link.db");
        std::fs::write(&path, "").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let found = Unchanging::of(&link).unwrap();
        assert!(found.is_unchanged());
        for end in ["-wal", "-journal"] {
            std::fs::write(beside(&path, end), "").unwrap();
            assert!(Unchanging::of(&link).is_none() && !found.is_unchanged());
            std::fs::remove_file(beside(&path, end)).unwrap();
        }
        assert!(found.is_unchanged());
        std::fs::write(&path, "more").unwrap();
        assert!(!found.is_unchanged());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
