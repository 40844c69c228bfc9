//! One file for many tasks: a connection for those who write and one for those who look,
//! each used in turn and off the threads of the runtime.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use rusqlite::ffi::{Error as Failure, SQLITE_INTERRUPT};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use super::file::{File, lasting};
use super::install::{check, prepare};
use super::open::{
    OPENING, Open, Side, Source, lock, open_read_only, refuse_folder, written_meanwhile,
};
use super::wakeups::{LOOKS, UNTOLD, Wakeups, data_version};
use crate::store::error::{Doing, Explained};
use crate::store::{Part, StoreError, StoreErrorKind, Upkeep};

/// How long a look of people's may last.
const LONGEST_LOOK: Duration = Duration::from_secs(60);

/// After how many steps of SQLite's machine it asks whether somebody still waits for the
/// answer: some milliseconds.
const STEPS: i32 = 10_000;

/// A database that many tasks use.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Inner>);

struct Inner {
    source: Source,
    /// Nothing after the file was replaced, until the new one can be opened; and where it
    /// is only looked.
    writer: Mutex<Option<Open>>,
    /// Opened when first needed. A database in memory has but the one connection.
    reader: Mutex<Option<Open>>,
    longest_look: Duration,
    wakeups: Wakeups,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("path", &self.source.path)
            .field("read_only", &self.source.read_only)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Opens the file, which is made where it is missing, and makes the tables.
    pub(crate) fn open(path: &Path, part: &'static Part) -> Result<Self, StoreError> {
        Self::open_with(path, part, Upkeep::Install)
    }

    /// Opens the file with the tables as they are: nothing is made.
    pub(crate) fn open_existing(
        path: &Path,
        part: &'static Part,
    ) -> Result<Self, StoreError> {
        Self::open_with(path, part, Upkeep::Check)
    }

    fn open_with(
        path: &Path,
        part: &'static Part,
        upkeep: Upkeep,
    ) -> Result<Self, StoreError> {
        refuse_folder(path)?;
        let flags = match upkeep {
            Upkeep::Install => OpenFlags::default(),
            Upkeep::Check => {
                OpenFlags::default().difference(OpenFlags::SQLITE_OPEN_CREATE)
            }
        };
        let open = || Open::of(path, Connection::open_with_flags(path, flags)?);
        let mut writer = open().doing(OPENING)?;
        prepare(&mut writer.connection, part, upkeep)?;
        // The log may have come with the tables.
        writer.file = File::of(path, &writer.connection);
        Ok(Self::of(path, part, upkeep, [Some(writer), None]))
    }

    /// Opens the file to look at it: it is not written to, nor made.
    pub(crate) fn open_read_only(
        path: &Path,
        part: &'static Part,
    ) -> Result<Self, StoreError> {
        refuse_folder(path)?;
        let reader = open_read_only(path).doing(OPENING)?;
        let checked = check(&reader.connection, part);
        if !reader.is_true() {
            return Err(written_meanwhile(OPENING));
        }
        checked?;
        Ok(Self::of(path, part, Upkeep::Check, [None, Some(reader)]))
    }

    fn of(
        path: &Path,
        part: &'static Part,
        upkeep: Upkeep,
        [writer, reader]: [Option<Open>; 2],
    ) -> Self {
        let found = |open: &Open| {
            open.connection.path().filter(|path| !path.is_empty()).map(PathBuf::from)
        };
        Self(Arc::new(Inner {
            source: Source {
                path: lasting(path),
                file: writer.as_ref().or(reader.as_ref()).and_then(found),
                part,
                upkeep,
                read_only: writer.is_none(),
            },
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
            longest_look: LONGEST_LOOK,
            wakeups: Wakeups::default(),
        }))
    }

    /// Runs work in a transaction that writes. Where the caller has stopped waiting for
    /// it, it is not committed: nobody would know of it.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(Side::Writer, doing, move |connection, awaited| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            if awaited.strong_count() == 0 {
                return Err(given_up());
            }
            transaction.commit()?;
            Ok(done)
        })
        .await
    }

    /// Runs a short piece of work that only reads, on the connection of those who write:
    /// it does not wait for a look.
    pub(crate) async fn glance<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(Side::Writer, doing, move |connection, _| work(connection)).await
    }

    /// Runs work that only reads, beside those who write. Where the caller has stopped
    /// waiting for it, or it takes too long, it ends.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(Side::Reader, doing, move |connection, _| work(connection)).await
    }

    /// Runs work that begins and ends its own transactions, on the connection of those who
    /// write.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(Side::Writer, doing, move |connection, _| Ok(work(connection))).await
    }

    async fn run<T: Send + 'static>(
        &self,
        side: Side,
        doing: &'static str,
        work: impl FnOnce(&mut Connection, &Weak<()>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let waits = Arc::new(());
        let awaited = Arc::downgrade(&waits);
        let inner = Arc::clone(&self.0);
        let done =
            tokio::task::spawn_blocking(move || inner.run(side, doing, &awaited, work))
                .await;
        drop(waits);
        done.unwrap_or_else(|error| Err(StoreError::new(doing, error)))
    }

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
            if self.0.wakeups.is_written_within(&self.0.writer, pause.min(left)).await {
                looks = LOOKS.iter();
            } else if began.elapsed() < at_most
                && self.version().await.is_none_or(|version| version != seen())
            {
                return self.0.wakeups.keep_apart().await;
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
}

impl Inner {
    fn run<T>(
        &self,
        side: Side,
        doing: &'static str,
        awaited: &Weak<()>,
        work: impl FnOnce(&mut Connection, &Weak<()>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let longest =
            if side == Side::Reader { self.longest_look } else { Duration::MAX };
        let side = if self.source.file.is_none() { Side::Writer } else { side };
        let mut slot =
            lock(if side == Side::Writer { &self.writer } else { &self.reader });
        if awaited.strong_count() == 0 {
            return Err(StoreError::new(doing, given_up()));
        }
        if let Some(what) = slot.as_ref().and_then(Open::replaced) {
            drop(slot);
            return Err(StoreError::of(
                StoreErrorKind::Unreachable,
                doing,
                self.begin_anew(what),
            ));
        }
        slot.take_if(|open| !open.is_true());
        let open = match &mut *slot {
            Some(open) => open,
            empty => empty.insert(self.source.open(side)?),
        };
        let began = Instant::now();
        let waits = Weak::clone(awaited);
        let done = (|| {
            let is_over = move || waits.strong_count() == 0 || began.elapsed() >= longest;
            open.connection.progress_handler(STEPS, Some(is_over))?;
            let done = work(&mut open.connection, awaited);
            open.connection.progress_handler(0, None::<fn() -> bool>)?;
            done
        })();
        let once = slot.take_if(|open| open.unchanging.is_some());
        drop(slot);
        if once.is_some_and(|open| !open.is_true()) {
            return Err(written_meanwhile(doing));
        }
        done.map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) if began.elapsed() >= longest => {
                let ended = format!(
                    "it was ended after {longest:?}, the longest that a look may last"
                );
                StoreError::of(StoreErrorKind::Busy, doing, ended)
            }
            _ => StoreError::new(doing, error),
        })
    }

    /// Lets go of a file that was replaced, by both connections, and opens what stands in
    /// its place; says what was done.
    fn begin_anew(&self, what: String) -> Box<dyn Error + Send + Sync> {
        let (mut writer, mut reader) = (lock(&self.writer), lock(&self.reader));
        let still =
            writer.iter().chain(reader.iter()).any(|open| open.replaced().is_some());
        if still {
            reader.take().into_iter().for_each(Open::abandon);
            writer.take().into_iter().for_each(Open::abandon);
            self.wakeups.forget();
        }
        if self.source.read_only || writer.is_some() {
            return format!("{what}: it is opened anew").into();
        }
        match self.source.open(Side::Writer) {
            Ok(open) => {
                *writer = Some(open);
                format!("{what}: it is opened anew").into()
            }
            Err(error) => {
                let meaning = format!("{what}, and cannot be opened anew yet").into();
                Box::new(Explained { meaning, cause: error.into() })
            }
        }
    }
}

fn given_up() -> rusqlite::Error {
    let said = "nobody waits for it any more".to_owned();
    rusqlite::Error::SqliteFailure(Failure::new(SQLITE_INTERRUPT), Some(said))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    const PART: Part =
        Part { name: "test", versions: &["CREATE TABLE test (value INTEGER) STRICT"] };
    const ENDLESS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

    /// Whoever comes next would wait forever.
    #[tokio::test]
    async fn what_is_given_up_ends() {
        let shared = Shared::open(Path::new(":memory:"), &PART).unwrap();
        for _ in 0..3 {
            let look = shared.look("looking", |connection| {
                connection.query_row(ENDLESS, [], |_| Ok(()))
            });
            let write = shared.write("writing", |transaction| {
                transaction.query_row(ENDLESS, [], |_| Ok(()))
            });
            assert!(tokio::time::timeout(Duration::from_millis(50), look).await.is_err());
            assert!(
                tokio::time::timeout(Duration::from_millis(50), write).await.is_err()
            );
        }
        let next = shared.write("writing", |transaction| {
            transaction.execute("INSERT INTO test VALUES (1)", [])
        });
        assert_eq!(
            tokio::time::timeout(Duration::from_secs(30), next).await.unwrap().unwrap(),
            1
        );
    }

    #[tokio::test]
    async fn a_look_that_takes_too_long_ends_and_says_so() {
        let mut shared = Shared::open(Path::new(":memory:"), &PART).unwrap();
        Arc::get_mut(&mut shared.0).unwrap().longest_look = Duration::from_millis(50);
        let look = shared
            .look("looking", |connection| connection.query_row(ENDLESS, [], |_| Ok(())));
        let told = tokio::time::timeout(Duration::from_secs(30), look)
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(
            format!("{told:#}"),
            "looking: it was ended after 50ms, the longest that a look may last"
        );
    }

    /// Prepared anew, the statement of a claim would be each time.
    #[tokio::test]
    async fn a_statement_is_prepared_once_whatever_its_limit() {
        let shared = Shared::open(Path::new(":memory:"), &PART).unwrap();
        let prepared_anew = shared.glance("looking", |connection| {
            let mut statement =
                connection.prepare("SELECT 1 FROM sqlite_schema LIMIT ?1")?;
            for limit in [1, 100, 2] {
                statement.query_row([limit], |_| Ok(()))?;
            }
            Ok(statement.get_status(StatementStatus::RePrepare))
        });
        assert_eq!(prepared_anew.await.unwrap(), 0);
    }

    fn in_a_folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("shared-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder.join("test.db")
    }

    /// A relay would wait as long as a person's question takes.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_glance_waits_for_no_look() {
        let path = in_a_folder("glance");
        let shared = Shared::open(&path, &PART).unwrap();
        let (began, has_begun) = tokio::sync::oneshot::channel();
        let looking = shared.clone();
        let look = tokio::spawn(async move {
            let look = looking.look("looking", |connection| {
                began.send(()).unwrap();
                connection.query_row(ENDLESS, [], |_| Ok(()))
            });
            look.await
        });
        has_begun.await.unwrap();
        let glance = shared.glance("glancing", |connection| {
            connection.query_row("SELECT 1", [], |row| row.get::<_, i64>(0))
        });
        assert_eq!(
            tokio::time::timeout(Duration::from_secs(30), glance).await.unwrap().unwrap(),
            1
        );
        look.abort();
        let _ = look.await;
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    /// A panic in one piece of work poisons the lock of its connection: who waits hears
    /// of commits all the same.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_panic_ends_no_watch() {
        let path = in_a_folder("watch");
        let shared = Shared::open(&path, &PART).unwrap();
        let panicked = shared.write("writing", |transaction| {
            Ok(transaction.execute("no SQL", []).unwrap())
        });
        assert!(panicked.await.is_err());
        assert!(
            shared.0.writer.is_poisoned()
                && shared.0.wakeups.watch(&shared.0.writer).is_some()
        );
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
