//! Waiting for commits of other connections: where the kernel tells of writes, for its
//! word, and elsewhere by asking now and then.

#[cfg(target_os = "linux")]
use std::sync::TryLockError;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::Connection;

#[cfg(target_os = "linux")]
use super::file_watch::FileWatch;
use super::open::{Open, lock};

/// How long wake-ups by commits are apart, whatever others commit.
const APART: Duration = Duration::from_millis(20);

/// How long it is waited for the kernel's word before the database is asked all the same.
pub(super) const UNTOLD: Duration = Duration::from_secs(1);

/// When it is looked whether what was written is committed, each time after the last: the
/// log is written, and then forced to the disk, before others see the commit. Under load
/// that takes long, and the kernel does not report it: the looks reach to the next one
/// that comes anyhow.
pub(super) const LOOKS: [Duration; 11] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(4),
    Duration::from_millis(8),
    Duration::from_millis(16),
    Duration::from_millis(32),
    Duration::from_millis(64),
    Duration::from_millis(128),
    Duration::from_millis(256),
    Duration::from_millis(512),
];

/// What wakes those who wait for a commit.
#[derive(Debug, Default)]
pub(super) struct Wakeups {
    /// When a commit was last told of.
    told: Mutex<Option<Instant>>,
    #[cfg(target_os = "linux")]
    watch: Mutex<Option<Arc<FileWatch>>>,
}

impl Wakeups {
    /// Stops watching a file that was replaced.
    pub(super) fn forget(&self) {
        #[cfg(target_os = "linux")]
        drop(lock(&self.watch).take());
    }

    /// Keeps wake-ups apart, whatever others commit.
    pub(super) async fn keep_apart(&self) {
        let last = lock(&self.told).replace(Instant::now());
        let rest = last.and_then(|last| APART.checked_sub(last.elapsed()));
        if let Some(rest) = rest {
            tokio::time::sleep(rest).await;
            lock(&self.told).replace(Instant::now());
        }
    }

    /// Waits for a write, and says whether there was one.
    #[cfg(target_os = "linux")]
    pub(super) async fn is_written_within(
        &self,
        writer: &Mutex<Option<Open>>,
        time: Duration,
    ) -> bool {
        match self.watch(writer) {
            Some(watch) => {
                !time.is_zero()
                    && tokio::time::timeout(time, watch.written()).await.is_ok()
            }
            None => {
                tokio::time::sleep(time.min(APART)).await;
                false
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) async fn is_written_within(
        &self,
        writer: &Mutex<Option<Open>>,
        time: Duration,
    ) -> bool {
        tokio::time::sleep(time.min(APART)).await;
        false
    }

    /// The watch on the file; nothing where there can be none.
    #[cfg(target_os = "linux")]
    pub(super) fn watch(&self, writer: &Mutex<Option<Open>>) -> Option<Arc<FileWatch>> {
        let mut watch = lock(&self.watch);
        if watch.is_none() {
            // Whoever writes meanwhile need not be waited for: the next wait begins it.
            let writer = match writer.try_lock() {
                Ok(writer) => writer,
                Err(TryLockError::Poisoned(writer)) => writer.into_inner(),
                Err(TryLockError::WouldBlock) => return None,
            };
            let file = writer.as_ref().and_then(|open| open.file.as_ref())?;
            *watch = FileWatch::begin(file.log()).ok().map(Arc::new);
        }
        watch.clone()
    }
}

/// A number that changes when another connection commits.
pub(crate) fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A commit that the disk delays would otherwise be seen a second later.
    #[test]
    fn the_looks_after_a_write_leave_no_gap() {
        assert!(LOOKS.iter().sum::<Duration>() >= UNTOLD);
    }
}
