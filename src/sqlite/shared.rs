//! One file for many tasks: a connection for those who write and one for those who look,
//! each used in turn and off the threads of the runtime.

use std::fmt;
use std::path::{Path, PathBuf};
#[cfg(target_os = "linux")]
use std::sync::TryLockError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::ffi::{Error as Failure, SQLITE_INTERRUPT};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

#[cfg(target_os = "linux")]
use super::bell::Bell;
use super::fault::fault;
use super::file::{File, lasting};
use super::install::{install, version};
use super::unchanging::unchanging;
use crate::outbox::StoreError;
use crate::schema::Part;

/// How long a write waits for another one: less than a relay waits for its store, so that
/// it hears why.
pub(super) const BUSY: Duration = Duration::from_secs(4);

const OPENING: &str = "opening the database";

/// How long a look of people's may last.
const LONGEST_LOOK: Duration = Duration::from_secs(60);

/// After how many steps of SQLite's machine it asks whether somebody still waits for the
/// answer: some milliseconds.
const STEPS: i32 = 10_000;

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

/// A database that many tasks use.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Inner>);

struct Inner {
    /// As the caller names it: a path, or an address with settings of SQLite's.
    path: PathBuf,
    /// The file that this is; nothing in memory.
    file: Option<PathBuf>,
    part: &'static Part,
    /// Whether whoever opened it may only look.
    to_look: bool,
    /// Nothing after the file was replaced, until the new one can be opened; and where it
    /// is only looked.
    writer: Mutex<Option<Open>>,
    /// Opened when first needed. A database in memory has but the one connection.
    reader: Mutex<Option<Open>>,
    longest_look: Duration,
    /// When a commit was last told of.
    told: Mutex<Option<Instant>>,
    #[cfg(target_os = "linux")]
    bell: Mutex<Option<Arc<Bell>>>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("path", &self.path)
            .field("to_look", &self.to_look)
            .finish_non_exhaustive()
    }
}

/// A connection, and the file that it has open.
struct Open {
    connection: Connection,
    file: Option<File>,
    /// Whether it would not notice what others write, and so serves one look.
    once: bool,
}

impl Open {
    fn of(path: &Path, connection: Connection) -> rusqlite::Result<Self> {
        connection.busy_timeout(BUSY)?;
        // A statement keeps its plan: otherwise it is prepared anew whenever its limit is
        // bound.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // What is read first opens the log, too.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(Self { file: File::of(path, &connection), connection, once: false })
    }

    fn replaced(&self) -> Option<String> {
        self.file.as_ref().and_then(File::replaced)
    }

    /// Closes a file that was replaced, and leaves what stands in its place alone:
    /// otherwise SQLite may write the old log into it.
    fn abandon(self) {
        let _ = self
            .connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Writer,
    Reader,
}

impl Shared {
    /// Opens the file, which is made where it is missing, and makes the tables.
    pub(crate) fn open(path: &Path, part: &'static Part) -> Result<Self, StoreError> {
        refuse_folder(path)?;
        let open = || Open::of(path, Connection::open(path)?);
        let mut writer = open().map_err(|error| fault(OPENING, error))?;
        install(&mut writer.connection, part)?;
        // The log may have come with the tables.
        writer.file = File::of(path, &writer.connection);
        Ok(Self::of(path, part, Some(writer), None))
    }

    /// Opens the file to look at it: it is not written to, nor made.
    pub(crate) fn open_to_look(
        path: &Path,
        part: &'static Part,
    ) -> Result<Self, StoreError> {
        refuse_folder(path)?;
        let reader = open_to_look(path).map_err(|error| fault(OPENING, error))?;
        let found =
            version(&reader.connection, part).map_err(|error| fault(OPENING, error))?;
        if !part.missing(found)?.is_empty() {
            let what = format!(
                "the tables of the {} are missing, or of an older version: `install` makes them",
                part.name
            );
            return Err(StoreError::new(OPENING, what));
        }
        Ok(Self::of(path, part, None, Some(reader)))
    }

    fn of(
        path: &Path,
        part: &'static Part,
        writer: Option<Open>,
        reader: Option<Open>,
    ) -> Self {
        let found = |open: &Open| {
            open.connection.path().filter(|path| !path.is_empty()).map(PathBuf::from)
        };
        Self(Arc::new(Inner {
            path: lasting(path),
            file: writer.as_ref().or(reader.as_ref()).and_then(found),
            part,
            to_look: writer.is_none(),
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
            longest_look: LONGEST_LOOK,
            told: Mutex::default(),
            #[cfg(target_os = "linux")]
            bell: Mutex::default(),
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
        let last = lock(&self.0.told).replace(Instant::now());
        let rest = last.and_then(|last| APART.checked_sub(last.elapsed()));
        if let Some(rest) = rest {
            tokio::time::sleep(rest).await;
            lock(&self.0.told).replace(Instant::now());
        }
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
        let side = if self.file.is_none() { Side::Writer } else { side };
        let mut slot =
            lock(if side == Side::Writer { &self.writer } else { &self.reader });
        if awaited.strong_count() == 0 {
            return Err(fault(doing, given_up()));
        }
        if let Some(what) = slot.as_ref().and_then(Open::replaced) {
            drop(slot);
            return Err(StoreError::new(doing, self.begin_anew(&what)));
        }
        let open = match &mut *slot {
            Some(open) => open,
            empty => empty.insert(self.open(side)?),
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
        slot.take_if(|open| open.once);
        drop(slot);
        done.map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) if began.elapsed() >= longest => {
                StoreError::new(
                    doing,
                    format!(
                        "it was ended after {longest:?}, the longest that a look may last"
                    ),
                )
            }
            _ => fault(doing, error),
        })
    }

    /// Lets go of a file that was replaced, by both connections, and opens what stands in
    /// its place; says what was done.
    fn begin_anew(&self, what: &str) -> String {
        let (mut writer, mut reader) = (lock(&self.writer), lock(&self.reader));
        let still =
            writer.iter().chain(reader.iter()).any(|open| open.replaced().is_some());
        if still {
            reader.take().into_iter().for_each(Open::abandon);
            writer.take().into_iter().for_each(Open::abandon);
            #[cfg(target_os = "linux")]
            drop(lock(&self.bell).take());
        }
        if self.to_look || writer.is_some() {
            return format!("{what}: it is opened anew");
        }
        match self.open(Side::Writer) {
            Ok(open) => {
                *writer = Some(open);
                format!("{what}: it is opened anew")
            }
            Err(error) => format!("{what}, and cannot be opened anew yet: {error}"),
        }
    }

    /// Opens the file that is there now. Tables are not made in it: it may be a backup
    /// that is still being copied.
    fn open(&self, side: Side) -> Result<Open, StoreError> {
        let fault = |error: rusqlite::Error| fault(OPENING, error);
        if self.to_look && side == Side::Writer {
            let found =
                "the database was opened to look, and this would write: open it to write";
            return Err(StoreError::new(OPENING, found));
        }
        if let Some(file) = self.file.as_ref().filter(|file| !file.exists()) {
            return Err(StoreError::new(
                OPENING,
                format!("the file {} is not there any more", file.display()),
            ));
        }
        if self.to_look {
            return open_to_look(&self.path).map_err(fault);
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
        let mut open = open().map_err(fault)?;
        if side == Side::Reader {
            open.connection.pragma_update(None, "query_only", true).map_err(fault)?;
            return Ok(open);
        }
        if version(&open.connection, self.part).map_err(fault)? == 0 {
            let found = "the file that stands there now has no tables: is it still being copied? (`install` makes them)";
            return Err(StoreError::new(OPENING, found));
        }
        install(&mut open.connection, self.part)?;
        Ok(open)
    }

    /// Waits for a write, and says whether there was one.
    #[cfg(target_os = "linux")]
    async fn is_written_within(&self, time: Duration) -> bool {
        match self.bell() {
            Some(bell) => {
                !time.is_zero() && tokio::time::timeout(time, bell.rung()).await.is_ok()
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

    /// The bell of the file; nothing where none can be hung.
    #[cfg(target_os = "linux")]
    fn bell(&self) -> Option<Arc<Bell>> {
        let mut bell = lock(&self.bell);
        if bell.is_none() {
            // Whoever writes meanwhile need not be waited for: the next wait hangs it.
            let writer = match self.writer.try_lock() {
                Ok(writer) => writer,
                Err(TryLockError::Poisoned(writer)) => writer.into_inner(),
                Err(TryLockError::WouldBlock) => return None,
            };
            let file = writer.as_ref().and_then(|open| open.file.as_ref())?;
            *bell = Bell::hang(file.log()).ok().map(Arc::new);
        }
        bell.clone()
    }
}

/// A connection that only reads. Where nobody has the file open, and this program may not
/// write in its folder, there is no log to read by: then it is read as a file that nobody
/// changes.
fn open_to_look(path: &Path) -> rusqlite::Result<Open> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let error = match Connection::open_with_flags(path, flags)
        .and_then(|connection| Open::of(path, connection))
    {
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
            ) =>
        {
            error
        }
        done => return done,
    };
    let Some(address) = unchanging(path) else { return Err(error) };
    let opened = Connection::open_with_flags(address, flags)
        .and_then(|connection| Open::of(path, connection));
    opened.map(|open| Open { once: true, ..open }).map_err(|_| error)
}

fn refuse_folder(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Err(StoreError::new(
            OPENING,
            format!("{} is a folder: wanted a file in one", path.display()),
        ));
    }
    Ok(())
}

/// A number that changes when another connection commits.
pub(crate) fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

fn given_up() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(Failure::new(SQLITE_INTERRUPT), None)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    const PART: Part =
        Part { name: "test", versions: &["CREATE TABLE test (value INTEGER) STRICT"] };
    const ENDLESS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

    /// Whoever comes next would wait for ever.
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
            told.to_string(),
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
    async fn a_panic_takes_no_bell_down() {
        let path = in_a_folder("bell");
        let shared = Shared::open(&path, &PART).unwrap();
        let panicked = shared.write("writing", |transaction| {
            Ok(transaction.execute("no SQL", []).unwrap())
        });
        assert!(panicked.await.is_err());
        assert!(shared.0.writer.is_poisoned() && shared.0.bell().is_some());
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
