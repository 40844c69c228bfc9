//! The turns of a clerk in SQLite.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::file::File;
use super::step::{find_record, store_step};
use crate::crash_point::crash_point;
use crate::store::StoreError;
use crate::store::error::Doing;
use crate::store::sqlite::{micros, now, text};
use crate::trace::Mover;
use crate::workflow::Driven;
use crate::workflow::durable::clerk::{self, Tables, Turns};
use crate::workflow::durable::stored::StoredStep;
use crate::workflow::durable::turn::{Due, Failed, TurnError, Turned, fire};
use crate::workflow::durable::{FIRING, WorkflowConfig};
use crate::{EventId, RetryPolicy};

/// Runs the deadlines of the workflows in a SQLite file.
///
/// ```
/// # mod shop {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/orders.rs"));
/// # }
/// # use shop::order_to_cash;
/// use integration_automation_patterns::service::Service;
/// use integration_automation_patterns::workflow::{WorkflowConfig, sqlite};
///
/// # let folder = std::env::temp_dir().join(format!("clerk-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("crm.db");
/// # let mut runtime = tokio::runtime::Builder::new_current_thread();
/// # runtime.enable_all().build()?.block_on(async {
/// # let terminated = std::future::ready(());
/// let clerk = sqlite::Clerk::open(&path, WorkflowConfig::default())?;
/// let clerk = clerk.of::<order_to_cash::This>();
/// let summary =
///     Service::new().part("clerk", |stop| clerk.run(stop)).run(terminated).await?;
/// assert_eq!(summary.to_string(), "clerk: 0 moved, 0 failed");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Clerk = clerk::Clerk<File>;

/// How an instance of one workflow takes its turn.
type Turn =
    fn(&Transaction<'_>, &EventId, &WorkflowConfig) -> Result<StoredStep, TurnError>;

impl Clerk {
    /// Opens the file, with the tables of its workflows and its outbox. The clerk takes
    /// no instance before it is given a [table](Self::of).
    ///
    /// # Errors
    ///
    /// What the database answers, and tables that a newer version of this crate has made.
    pub fn open(
        path: impl AsRef<Path>,
        config: WorkflowConfig,
    ) -> Result<Self, StoreError> {
        Ok(Self::new(File::open(path.as_ref())?, config))
    }
}

impl Turns for File {
    type Turn = Turn;

    fn turn_of<W: Driven>() -> Turn {
        take_turn::<W>
    }

    async fn turn(
        &self,
        tables: &Arc<Tables<Turn>>,
        policy: RetryPolicy,
    ) -> Result<Option<Turned>, StoreError> {
        let tables = Arc::clone(tables);
        let work = move |connection: &mut Connection| turn(connection, &tables, &policy);
        self.0.work(FIRING, work).await?
    }
}

fn take_turn<W: Driven>(
    transaction: &Transaction<'_>,
    id: &EventId,
    config: &WorkflowConfig,
) -> Result<StoredStep, TurnError> {
    let gone = || TurnError::Failed("its row is gone".to_owned());
    let record = find_record(transaction, id)?.ok_or_else(gone)?;
    let now = now(transaction).doing(FIRING)?;
    let step = fire::<W>(record, config, now).map_err(TurnError::Failed)?;
    Ok(store_step(transaction, step, (Mover::Clock, None), now)?)
}

/// Behind it, what a turn that fails has written is undone.
const SAVEPOINT: &str = "SAVEPOINT workflow_turn";
const RELEASE: &str = "RELEASE workflow_turn";
const ROLLBACK: &str = "ROLLBACK TO workflow_turn; RELEASE workflow_turn";

fn turn(
    connection: &mut Connection,
    tables: &Tables<Turn>,
    policy: &RetryPolicy,
) -> Result<Option<Turned>, StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .doing(FIRING)?;
    let now = now(&transaction).doing(FIRING)?;
    let Some(due) = due(&transaction, tables, now).doing(FIRING)? else {
        return Ok(None);
    };
    transaction.execute_batch(SAVEPOINT).doing(FIRING)?;
    let mut stored = None;
    let turned = match take(&transaction, &due, tables) {
        Ok(step) => {
            transaction.execute_batch(RELEASE).doing(FIRING)?;
            stored = Some(step);
            Turned::Moved
        }
        Err(TurnError::Store(error)) => return Err(error),
        Err(TurnError::Failed(reason)) => {
            transaction.execute_batch(ROLLBACK).doing(FIRING)?;
            let failed = due.failed(reason, policy, now);
            put_back(&transaction, &failed).doing(FIRING)?;
            failed.into()
        }
    };
    crash_point("before the clerk commits");
    transaction.commit().doing(FIRING)?;
    crash_point("after the clerk commits");
    if let Some(step) = stored {
        step.record(tables.config.trail());
    }
    Ok(Some(turned))
}

/// The instance that is due first at `?1`, of the workflows in the JSON array `?2`.
///
/// The first of each is read from the index, so that what waits, and what no clerk takes,
/// costs nothing.
pub(super) const DUE: &str = "SELECT id, workflow, turn_failures FROM workflow_instance \
     WHERE id IN (SELECT (SELECT id FROM workflow_instance \
       WHERE workflow = name.value AND turn_at <= ?1 ORDER BY turn_at LIMIT 1) \
     FROM json_each(?2) AS name) ORDER BY turn_at LIMIT 1";

fn due(
    transaction: &Transaction<'_>,
    tables: &Tables<Turn>,
    now: DateTime<Utc>,
) -> rusqlite::Result<Option<Due>> {
    let names: Vec<&str> = tables.turns.keys().copied().collect();
    let names = serde_json::Value::from(names).to_string();
    let mut find = transaction.prepare_cached(DUE)?;
    let due = find.query_row(params![micros(now), names], |row| {
        let failures = u32::try_from(row.get::<_, i64>(2)?).unwrap_or(u32::MAX);
        Ok(Due { id: text(row, 0)?, workflow: text(row, 1)?, failures })
    });
    due.optional()
}

fn take(
    transaction: &Transaction<'_>,
    due: &Due,
    tables: &Tables<Turn>,
) -> Result<StoredStep, TurnError> {
    let id = due.id.parse::<EventId>();
    let id = id.map_err(|error| TurnError::Failed(error.to_string()))?;
    match tables.turns.get(due.workflow.as_str()) {
        Some(turn) => turn(transaction, &id, &tables.config),
        None => Err(TurnError::Failed(format!("no table of {} is known", due.workflow))),
    }
}

/// Notes that the turn of an instance has failed, and when it is looked at again.
fn put_back(transaction: &Transaction<'_>, failed: &Failed) -> rusqlite::Result<()> {
    let sql = "UPDATE workflow_instance SET turn_at = ?2, turn_failures = ?3, \
               turn_failure = ?4 WHERE id = ?1";
    let Failed { id, failures, reason, again_at, .. } = failed;
    let values = params![id, micros(*again_at), failures, reason];
    transaction.prepare_cached(sql)?.execute(values).map(drop)
}
