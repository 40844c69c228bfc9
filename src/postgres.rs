//! What outbox and inbox share in PostgreSQL: the schema's versions, a connection that comes back, a bell that rings when
//! something was enqueued, and the columns of an event.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{sleep, timeout};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Error, GenericClient, Row as SqlRow, Socket, Statement};

use crate::outbox::StoreError;
use crate::outbox::columns::{Row, Said};
use crate::schema::{INSTALLING, Part};

/// How long a connection may take to be there, its greeting included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long what was written may stay without an answer of the other machine's network.
const NETWORK_TIMEOUT: Duration = Duration::from_secs(30);

/// The waits between two attempts to listen again: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// How long after a ring somebody looks once more: for transactions that were open when it rang, and did not ring
/// themselves, for the bell was in use.
const ECHO: Duration = Duration::from_millis(50);

/// Creates a part of the schema, or brings it up to date. Safe from many processes at once: the first to come does it.
pub(crate) async fn install(client: &mut Client, part: &Part) -> Result<(), StoreError> {
    let fault = |error: Error| StoreError::new(INSTALLING, error);
    // A user who may not create tables can work with those that are there.
    if part.missing(version(client, part).await.map_err(fault)?)?.is_empty() {
        return Ok(());
    }
    let transaction = client.transaction().await.map_err(fault)?;
    transaction
        .batch_execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('integration_schema', 0)); \
             CREATE TABLE IF NOT EXISTS integration_schema (part text PRIMARY KEY, version bigint NOT NULL)",
        )
        .await
        .map_err(fault)?;
    for step in part.missing(version(&transaction, part).await.map_err(fault)?)? {
        transaction.batch_execute(step).await.map_err(fault)?;
    }
    let known = i64::try_from(part.versions.len()).unwrap_or(i64::MAX);
    transaction
        .execute_typed(
            "INSERT INTO integration_schema VALUES ($1, $2) ON CONFLICT (part) DO UPDATE SET version = $2",
            &[(&part.name, Type::TEXT), (&known, Type::INT8)],
        )
        .await
        .map_err(fault)?;
    transaction.commit().await.map_err(fault)
}

/// The version of a part that the database has; 0 where it has none.
async fn version(client: &impl GenericClient, part: &Part) -> Result<usize, Error> {
    let there = client.query_typed("SELECT 1 WHERE to_regclass('integration_schema') IS NOT NULL", &[]).await?;
    if there.is_empty() {
        return Ok(0);
    }
    let sql = "SELECT version FROM integration_schema WHERE part = $1";
    let found = client.query_typed(sql, &[(&part.name, Type::TEXT)]).await?;
    let Some(row) = found.first() else { return Ok(0) };
    Ok(usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0))
}

/// How a connection is made, whatever its TLS.
#[derive(Clone)]
pub(crate) struct Dial(Arc<dyn Fn(&'static str, Heard) -> Dialled + Send + Sync>);

type Dialled = Pin<Box<dyn Future<Output = Result<Link, BoxedError>> + Send>>;
type Heard = Box<dyn Fn() + Send>;
type BoxedError = Box<dyn std::error::Error + Send + Sync>;

impl Dial {
    pub(crate) fn new<T>(mut config: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(NETWORK_TIMEOUT);
        }
        Self(Arc::new(move |name, heard| {
            let (mut config, tls) = (config.clone(), tls.clone());
            if config.get_application_name().is_none() {
                config.application_name(name);
            }
            Box::pin(async move {
                let (client, mut connection) = timeout(CONNECT_TIMEOUT, config.connect(tls)).await??;
                // It ends when the client is dropped, or the connection is lost.
                let driver = tokio::spawn(async move {
                    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                        if matches!(message, AsyncMessage::Notification(_)) {
                            heard();
                        }
                    }
                });
                Ok(Link { client, driver, statements: HashMap::new() })
            })
        }))
    }

    /// A connection that the database's own list shows under `name`, where the program has not named itself.
    async fn link(&self, name: &'static str, heard: impl Fn() + Send + 'static) -> Result<Link, BoxedError> {
        (self.0)(name, Box::new(heard)).await
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").finish_non_exhaustive()
    }
}

/// A connection, and the statements that it has prepared.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: Client,
    driver: JoinHandle<()>,
    statements: HashMap<String, Statement>,
}

impl Link {
    /// A statement, prepared once for each connection.
    pub(crate) async fn prepare(&mut self, sql: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(crate) async fn query(&mut self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<SqlRow>, Error> {
        let statement = self.prepare(sql).await?;
        self.client.query(&statement, values).await
    }

    /// Begins a transaction with its first query, in one journey. A transaction that is not [committed](Self::commit) ends
    /// with its connection.
    pub(crate) async fn begin(
        &mut self,
        begin: &str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<SqlRow>, Error> {
        let statement = self.prepare(sql).await?;
        let (begin, query) = (self.client.batch_execute(begin), self.client.query(&statement, values));
        let ((), rows) = tokio::try_join!(biased; begin, query)?;
        Ok(rows)
    }

    /// The same, with two queries.
    pub(crate) async fn begin_two(
        &mut self,
        (first, first_values): (&str, &[&(dyn ToSql + Sync)]),
        (second, second_values): (&str, &[&(dyn ToSql + Sync)]),
    ) -> Result<(Vec<SqlRow>, Vec<SqlRow>), Error> {
        let (first, second) = (self.prepare(first).await?, self.prepare(second).await?);
        let begin = self.client.batch_execute("BEGIN");
        let (first, second) = (self.client.query(&first, first_values), self.client.query(&second, second_values));
        let ((), first, second) = tokio::try_join!(biased; begin, first, second)?;
        Ok((first, second))
    }

    /// Commits the transaction after its last query, in one journey.
    pub(crate) async fn commit_after(
        &mut self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<SqlRow>, Error> {
        let statement = self.prepare(sql).await?;
        let (query, commit) = (self.client.query(&statement, values), self.commit());
        let (rows, ()) = tokio::try_join!(biased; query, commit)?;
        Ok(rows)
    }

    pub(crate) async fn commit(&self) -> Result<(), Error> {
        self.client.batch_execute("COMMIT").await
    }
}

/// The connections that many tasks use in turn: one, and a spare one for whoever finds it in use. Each is made when it is
/// wanted, and made anew when it was lost.
#[derive(Debug)]
pub(crate) struct Worker {
    dial: Dial,
    link: Mutex<Option<Link>>,
    spare: Mutex<Option<Link>>,
}

/// The plans of a worker's statements must not depend on what the database believes about a table whose rows change their
/// state all the time: it may have counted them when there were none. Each statement has an index made for it, and with
/// everything else out of the way there is one plan, made once. (Without `jit = off`, PostgreSQL would compile code for a
/// plan that it thinks dear because a way that it could not avoid is switched off.)
const PLANS: &str = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; \
     SET enable_mergejoin = off; SET jit = off; SET plan_cache_mode = force_generic_plan";

impl Worker {
    /// A worker with its tables.
    pub(crate) async fn connect(dial: Dial, part: &Part) -> Result<Self, StoreError> {
        let worker = Self { dial, link: Mutex::new(None), spare: Mutex::new(None) };
        let mut held = worker.hold(INSTALLING).await?;
        install(&mut held.link.client, part).await?;
        held.give_back();
        Ok(worker)
    }

    /// A connection, for one piece of work. Where the database has no second one to give, or not soon, the work waits for
    /// the first.
    pub(crate) async fn hold(&self, doing: &'static str) -> Result<Held<'_>, StoreError> {
        if let Ok(slot) = self.link.try_lock() {
            return self.link_in(slot, doing).await;
        }
        let Ok(spare) = self.spare.try_lock() else {
            return self.link_in(self.link.lock().await, doing).await;
        };
        // A pooler may keep who asks for a second connection waiting.
        tokio::select! {
            biased;
            slot = self.link.lock() => self.link_in(slot, doing).await,
            Ok(held) = self.link_in(spare, doing) => Ok(held),
        }
    }

    async fn link_in<'a>(
        &self,
        mut slot: MutexGuard<'a, Option<Link>>,
        doing: &'static str,
    ) -> Result<Held<'a>, StoreError> {
        let link = match slot.take().filter(|link| !link.client.is_closed()) {
            Some(link) => link,
            None => {
                let link =
                    self.dial.link("outbox worker", || {}).await.map_err(|error| StoreError::new(doing, error))?;
                link.client.batch_execute(PLANS).await.map_err(|error| StoreError::new(doing, error))?;
                link
            }
        };
        Ok(Held { slot, link })
    }
}

/// One of the worker's connections, in the hands of one piece of work.
///
/// Only work that has ended well gives it back. Otherwise (an error, or a caller who waits no longer) it is dropped, so
/// that no transaction is left open and no dead connection is tried twice: the next piece of work makes another.
pub(crate) struct Held<'a> {
    slot: MutexGuard<'a, Option<Link>>,
    pub(crate) link: Link,
}

impl Held<'_> {
    pub(crate) fn give_back(mut self) {
        *self.slot = Some(self.link);
    }
}

/// A connection of its own, which rings when a transaction has enqueued something. Where it is lost it comes back by itself,
/// and meanwhile nobody hears anything.
#[derive(Debug)]
pub(crate) struct Bell {
    dial: Dial,
    rung: watch::Sender<u64>,
    /// How often it had rung when somebody last looked.
    seen: AtomicU64,
    /// Whether the last wait ended with a ring.
    echo: AtomicBool,
    listener: OnceLock<Listener>,
}

impl Bell {
    pub(crate) fn new(dial: Dial) -> Self {
        Self {
            dial,
            rung: watch::Sender::new(0),
            seen: AtomicU64::new(0),
            echo: AtomicBool::new(false),
            listener: OnceLock::new(),
        }
    }

    /// What has rung so far is heeded by what follows.
    pub(crate) fn heed(&self) {
        self.seen.store(*self.rung.borrow(), Relaxed);
    }

    /// Waits until it has rung since somebody last heeded it, and no longer than `at_most`.
    pub(crate) async fn wait(&self, at_most: Duration) {
        self.listener
            .get_or_init(|| Listener(tokio::spawn(listen(self.dial.clone(), self.rung.clone())).abort_handle()));
        let seen = self.seen.load(Relaxed);
        let mut rung = self.rung.subscribe();
        let echo = self.echo.swap(false, Relaxed);
        let at_most = if echo { at_most.min(ECHO) } else { at_most };
        // The time is over, or it has rung; the sender lives as long as this.
        if timeout(at_most, rung.wait_for(|rung| *rung != seen)).await.is_ok() {
            self.echo.store(true, Relaxed);
        }
    }
}

/// The task that listens, ended with its bell.
#[derive(Debug)]
struct Listener(AbortHandle);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn listen(dial: Dial, rung: watch::Sender<u64>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let bell = rung.clone();
        let ring = move || bell.send_modify(|count| *count = count.wrapping_add(1));
        if let Ok(mut link) = dial.link("outbox listener", ring.clone()).await
            && link.client.batch_execute("LISTEN outbox_event").await.is_ok()
        {
            pause = FIRST_PAUSE;
            // What was enqueued while nobody listened.
            ring();
            // Ended by an error or not, it is gone.
            let _ = (&mut link.driver).await;
        }
        sleep(pause).await;
        pause = pause.saturating_mul(2).min(LAST_PAUSE);
    }
}

/// A span of time as the statements take it: in microseconds, and no longer than a century, which PostgreSQL can add.
pub(crate) fn micros(span: Duration) -> i64 {
    const CENTURY: i64 = 100 * 365 * 24 * 60 * 60 * 1_000_000;
    i64::try_from(span.as_micros()).unwrap_or(CENTURY).min(CENTURY)
}

/// A limit, as a statement takes it.
pub(crate) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A JSON column as its text.
struct Json(String);

impl FromSql<'_> for Json {
    fn from_sql(kind: &Type, raw: &[u8]) -> Result<Self, BoxedError> {
        let text = match raw.split_first() {
            Some((1, text)) if *kind == Type::JSONB => text,
            _ if *kind == Type::JSONB => return Err("jsonb of a version that this program does not know".into()),
            _ => raw,
        };
        Ok(Self(String::from_utf8(text.to_vec())?))
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::JSON | Type::JSONB)
    }
}

/// Reads the columns of [`Row`], in its order.
pub(crate) fn read_row(row: &SqlRow) -> Result<Row, Error> {
    let said = |what: usize, reason: usize, at: usize| {
        Ok::<_, Error>(Said::of(row.try_get(what)?, row.try_get(reason)?, row.try_get(at)?))
    };
    Ok(Row {
        sequence: row.try_get(0)?,
        id: row.try_get(1)?,
        event_type: row.try_get(2)?,
        source_system: row.try_get(3)?,
        schema_version: row.try_get(4)?,
        correlation_id: row.try_get(5)?,
        payload: row.try_get(6)?,
        tags: row.try_get::<_, Json>(7)?.0,
        ordering_key: row.try_get(8)?,
        retry_policy: row.try_get(9)?,
        created_at: row.try_get::<_, DateTime<Utc>>(10)?,
        status: row.try_get(11)?,
        attempts: row.try_get(12)?,
        failure: said(13, 14, 15)?,
        redriven: said(16, 17, 18)?,
        discarded: said(19, 20, 21)?,
    })
}
