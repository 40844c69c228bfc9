//! The turns of a clerk in PostgreSQL.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, Error, NoTls, Socket, Transaction};

use super::connect::{Caller, Database, connect};
use super::rows::place_and_time;
use super::step::{find_record, store_step};
use crate::crash_point::crash_point;
use crate::store::StoreError;
use crate::store::error::Doing;
#[cfg(feature = "tls")]
use crate::store::postgres::secured;
use crate::store::postgres::{within, without_tls};
use crate::store::storable;
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::trace::Mover;
use crate::workflow::Driven;
use crate::workflow::durable::clerk::{self, Tables, Turns};
use crate::workflow::durable::stored::StoredStep;
use crate::workflow::durable::turn::{Due, Failed, TurnError, Turned, fire};
use crate::workflow::durable::{FIRING, WorkflowConfig};
use crate::{EventId, RetryPolicy};

const CALLER: Caller =
    Caller { name: "workflow clerk", connecting: "connecting a clerk" };

/// Runs the deadlines of the workflows in a PostgreSQL schema.
pub type Clerk = clerk::Clerk<Database>;

type Soon<'a> = Pin<Box<dyn Future<Output = Result<StoredStep, TurnError>> + Send + 'a>>;

/// How an instance of one workflow takes its turn.
type Turn = for<'a> fn(&'a Transaction<'a>, EventId, &'a WorkflowConfig) -> Soon<'a>;

impl Clerk {
    /// Connects without TLS, and makes the tables of workflows and outbox where they are
    /// missing, in the first schema of the search path. The clerk takes no instance before
    /// it is given a [table](Self::of).
    ///
    /// # Errors
    ///
    /// A configuration that asks for TLS, what the database answers, and tables that a
    /// newer version of this crate has made.
    pub async fn connect(
        database: Config,
        config: WorkflowConfig,
    ) -> Result<Self, StoreError> {
        without_tls(&database)
            .map_err(|error| StoreError::new(CALLER.connecting, error))?;
        Self::connect_with(database, NoTls, config).await
    }

    /// Connects over TLS, with a server that an authority of `tls` vouches for under the
    /// host's name, and not at all otherwise.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and a server without TLS, or whose certificate is
    /// not that of this host.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub async fn connect_tls(
        database: Config,
        tls: &Tls,
        config: WorkflowConfig,
    ) -> Result<Self, StoreError> {
        let (database, tls) = secured(database, tls)?;
        Self::connect_with(database, tls, config).await
    }

    /// Connects with the TLS of another crate, or one's own. Where it must not fall back
    /// to plain text, the configuration says `sslmode=require`.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_with<T>(
        database: Config,
        tls: T,
        config: WorkflowConfig,
    ) -> Result<Self, StoreError>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        Ok(Self::new(connect(&CALLER, database, tls).await?, config))
    }
}

impl Turns for Database {
    type Turn = Turn;

    fn turn_of<W: Driven>() -> Turn {
        take_turn::<W>
    }

    async fn turn(
        &self,
        tables: &Arc<Tables<Turn>>,
        policy: RetryPolicy,
    ) -> Result<Option<Turned>, StoreError> {
        let mut held = self.0.hold(FIRING).await?;
        let turned = within(FIRING, turn(held.client(), tables, &policy)).await?;
        held.release();
        Ok(turned)
    }
}

fn take_turn<'a, W: Driven>(
    transaction: &'a Transaction<'a>,
    id: EventId,
    config: &'a WorkflowConfig,
) -> Soon<'a> {
    Box::pin(async move {
        let gone = || TurnError::Failed("its row is gone".to_owned());
        let (at, found) = find_record(transaction, &id).await?;
        let found = found.ok_or_else(gone)?;
        let written = fire::<W>(found.record, config, at).map_err(TurnError::Failed)?;
        let (moved, place) = ((Mover::Clock, None), Some(found.place));
        Ok(store_step(transaction, written, moved, place, at).await?)
    })
}

async fn turn(
    client: &mut Client,
    tables: &Tables<Turn>,
    policy: &RetryPolicy,
) -> Result<Option<Turned>, StoreError> {
    let mut transaction = client.transaction().await.doing(FIRING)?;
    let Some(due) = due(&transaction, tables).await.doing(FIRING)? else {
        return Ok(None);
    };
    // Behind it, what a turn that fails has written is undone.
    let savepoint = transaction.savepoint("workflow_turn").await.doing(FIRING)?;
    let mut stored = None;
    let turned = match take(&savepoint, &due, tables).await {
        Ok(step) => {
            savepoint.commit().await.doing(FIRING)?;
            stored = Some(step);
            Turned::Moved
        }
        Err(TurnError::Store(error)) => return Err(error),
        Err(TurnError::Failed(reason)) => {
            savepoint.rollback().await.doing(FIRING)?;
            let now = place_and_time(&transaction).await.doing(FIRING)?;
            let failed = due.failed(reason, policy, now);
            put_back(&transaction, &failed).await.doing(FIRING)?;
            failed.into()
        }
    };
    crash_point("before the clerk commits");
    transaction.commit().await.doing(FIRING)?;
    crash_point("after the clerk commits");
    if let Some(step) = stored {
        step.record(tables.config.trail());
    }
    Ok(Some(turned))
}

/// The instance that is due first and that nobody works with just now, of the workflow
/// among `$1` whose first is due before those of the others.
///
/// Each workflow's first is read from the index, so that what waits, and what no clerk
/// takes, costs nothing. Only the instance that is taken is locked: a reply to another one
/// does not wait for its turn.
pub(super) fn due_sql() -> String {
    let first = "FROM workflow_instance WHERE workflow = name \
                 AND turn_at <= statement_timestamp() ORDER BY turn_at LIMIT 1";
    format!(
        "SELECT due.id, due.workflow, due.turn_failures FROM (\
           SELECT name, first.turn_at FROM unnest($1::text[]) AS name, \
           LATERAL (SELECT turn_at {first}) AS first ORDER BY first.turn_at) AS names, \
         LATERAL (SELECT id, workflow, turn_failures {first} \
           FOR UPDATE SKIP LOCKED) AS due ORDER BY names.turn_at LIMIT 1"
    )
}

async fn due(
    transaction: &Transaction<'_>,
    tables: &Tables<Turn>,
) -> Result<Option<Due>, Error> {
    let names: Vec<&str> = tables.turns.keys().copied().collect();
    let row =
        transaction.query_typed_opt(&due_sql(), &[(&names, Type::TEXT_ARRAY)]).await?;
    let Some(row) = row else { return Ok(None) };
    let failures = u32::try_from(row.try_get::<_, i64>(2)?).unwrap_or(u32::MAX);
    Ok(Some(Due { id: row.try_get(0)?, workflow: row.try_get(1)?, failures }))
}

async fn take(
    transaction: &Transaction<'_>,
    due: &Due,
    tables: &Tables<Turn>,
) -> Result<StoredStep, TurnError> {
    let id = due.id.parse::<EventId>();
    let id = id.map_err(|error| TurnError::Failed(error.to_string()))?;
    match tables.turns.get(due.workflow.as_str()) {
        Some(turn) => turn(transaction, id, &tables.config).await,
        None => Err(TurnError::Failed(format!("no table of {} is known", due.workflow))),
    }
}

/// Notes that the turn of an instance has failed, and when it is looked at again.
async fn put_back(transaction: &Transaction<'_>, failed: &Failed) -> Result<(), Error> {
    let Failed { id, failures, reason, again_at, .. } = failed;
    let sql = "UPDATE workflow_instance SET turn_at = $2, turn_failures = $3, \
               turn_failure = $4 WHERE id = $1";
    transaction
        .execute_typed(
            sql,
            &[
                (id, Type::TEXT),
                (again_at, Type::TIMESTAMPTZ),
                (&i64::from(*failures), Type::INT8),
                (&storable(reason.as_str()), Type::TEXT),
            ],
        )
        .await
        .map(drop)
}
