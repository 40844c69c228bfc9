//! Waiting for commits of other connections: where the kernel tells of writes, for its
//! word, and elsewhere by asking now and then.

#[cfg(target_os = "linux")]
use std::sync::TryLockError;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::Connection;

#[cfg(target_os = "linux")]
use super::file_watch::FileWatch;
use super::shared::{Inner, Shared, lock};

/// How long wake-ups by commits are apart, whatever others commit.
const APART: Duration = Duration::from_millis(20);

/// How long it is waited for the kernel's word before the database is asked all the same.
const UNTOLD: Duration = Duration::from_secs(1);

/// When it is looked whether what was written is committed, each time after the last: the
/// log is written, and then forced to the disk, before others see the commit.
const LOOKS: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(4),
    Duration::from_millis(8),
    Duration::from_millis(16),
    Duration::from_millis(32),
    Duration::from_millis(64),
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
}

impl Shared {
    /// Waits until another connection may have committed something since the database had
    /// this version.
    ///
    /// Where the kernel tells of writes, it is looked a few times after each, and once a
    /// second; elsewhere every 20 ms.
    pub(crate) async fn wait(&self, seen: impl Fn() -> i64, at_most: Duration) {
        let began = Instant::now();
        let mut looks = [].iter();
        while let Some(left) =
            at_most.checked_sub(began.elapsed()).filter(|left| !left.is_zero())
        {
            let pause = looks.next().copied().unwrap_or(UNTOLD);
            if self.0.is_written_within(pause.min(left)).await {
                looks = LOOKS.iter();
            } else if began.elapsed() < at_most
                && self.version().await.is_none_or(|version| version != seen())
            {
                return self.keep_apart().await;
            }
        }
    }

    /// A number that changes when another connection commits; nothing where the next call
    /// has something to tell.
    async fn version(&self) -> Option<i64> {
        let inner = Arc::clone(&self.0);
        let look = move || {
            let writer = lock(&inner.writer);
            let open = writer.as_ref().filter(|open| open.replaced().is_none())?;
            data_version(&open.connection).ok()
        };
        tokio::task::spawn_blocking(look).await.ok().flatten()
    }

    async fn keep_apart(&self) {
        let last = lock(&self.0.wakeups.told).replace(Instant::now());
        let rest = last.and_then(|last| APART.checked_sub(last.elapsed()));
        if let Some(rest) = rest {
            tokio::time::sleep(rest).await;
            lock(&self.0.wakeups.told).replace(Instant::now());
        }
    }
}

impl Inner {
    /// Waits for a write, and says whether there was one.
    #[cfg(target_os = "linux")]
    async fn is_written_within(&self, time: Duration) -> bool {
        match self.watch() {
            Some(watch) => {
                !time.is_zero() && tokio::time::timeout(time, watch.rung()).await.is_ok()
            }
            None => {
                tokio::time::sleep(time.min(APART)).await;
                false
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    async fn is_written_within(&self, time: Duration) -> bool {
        tokio::time::sleep(time.min(APART)).await;
        false
    }

    /// The watch on the file; nothing where there can be none.
    #[cfg(target_os = "linux")]
    pub(super) fn watch(&self) -> Option<Arc<FileWatch>> {
        let mut watch = lock(&self.wakeups.watch);
        if watch.is_none() {
            // Whoever writes meanwhile need not be waited for: the next wait begins it.
            let writer = match self.writer.try_lock() {
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
