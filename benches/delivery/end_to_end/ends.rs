//! Both ends of a delivery, on each database: a producer with its outbox, and a worker
//! with its inbox.

use std::path::PathBuf;

use integration_automation_patterns::Envelope;
use integration_automation_patterns::broker::Consumer;
use integration_automation_patterns::inbox::worker::{Summary, WorkerConfig};
use integration_automation_patterns::inbox::{InboxConfig, sqlite as inbox};
use integration_automation_patterns::outbox::{Store, sqlite as outbox};
use integration_automation_patterns::state::Pending;
use rusqlite::Connection;
use tokio::task::JoinHandle;

use crate::{Outcome, sqlite};

/// The database of the source, and that of the target.
pub(super) trait Ends: Sized {
    const NAME: &'static str;
    type Outbox: Store;

    async fn fresh() -> Outcome<Self>;
    async fn outbox(&self) -> Outcome<Self::Outbox>;
    /// Enqueues in one transaction.
    async fn enqueue(&mut self, events: Vec<Envelope<Pending>>) -> Outcome;
    /// Starts a worker, each of whose effects is a row.
    async fn work(
        &self,
        listener: impl Consumer<Acker: 'static> + 'static,
        inbox: InboxConfig,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Outcome<JoinHandle<Summary>>;
    async fn remove(self) -> Outcome;
}

/// Two files.
pub(super) struct Sqlite {
    producer: Connection,
    source: PathBuf,
    target: PathBuf,
}

impl Ends for Sqlite {
    const NAME: &'static str = "SQLite";
    type Outbox = outbox::Outbox;

    async fn fresh() -> Outcome<Self> {
        let (source, target) = (sqlite::fresh("source")?, sqlite::fresh("target")?);
        sqlite::connect(&target)?.execute_batch("CREATE TABLE effect (lead BLOB)")?;
        Ok(Self { producer: sqlite::connect(&source)?, source, target })
    }

    async fn outbox(&self) -> Outcome<outbox::Outbox> {
        Ok(outbox::Outbox::open(&self.source)?)
    }

    async fn enqueue(&mut self, events: Vec<Envelope<Pending>>) -> Outcome {
        let business = sqlite::begin(&mut self.producer)?;
        for event in events {
            outbox::enqueue(&business, event)?;
        }
        Ok(business.commit()?)
    }

    async fn work(
        &self,
        listener: impl Consumer<Acker: 'static> + 'static,
        inbox: InboxConfig,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Outcome<JoinHandle<Summary>> {
        let handlers = inbox::handlers().otherwise(|transaction, lead| {
            let sql = "INSERT INTO effect VALUES (?1)";
            transaction.prepare_cached(sql)?.execute([lead.payload().bytes()])?;
            Ok(())
        });
        let config = WorkerConfig::default();
        let worker =
            inbox::Worker::open(&self.target, inbox, listener, handlers, config)?;
        Ok(tokio::spawn(worker.run(stop)))
    }

    async fn remove(self) -> Outcome {
        Ok(())
    }
}

#[cfg(feature = "postgres")]
pub(super) use self::postgres::Postgres;

#[cfg(feature = "postgres")]
mod postgres {
    use integration_automation_patterns::inbox::postgres as inbox;
    use integration_automation_patterns::outbox::postgres as outbox;
    use tokio_postgres::{Client, Config};

    use super::*;
    use crate::postgres::{drop_schema, fresh};

    /// Two schemas.
    pub(crate) struct Postgres {
        producer: Client,
        source: Config,
        target: Config,
    }

    impl Ends for Postgres {
        const NAME: &'static str = "PostgreSQL";
        type Outbox = outbox::Outbox;

        async fn fresh() -> Outcome<Self> {
            let (source, producer) = fresh("source").await?;
            let (target, client) = fresh("target").await?;
            client.batch_execute("CREATE TABLE effect (lead bytea)").await?;
            Ok(Self { producer, source, target })
        }

        async fn outbox(&self) -> Outcome<outbox::Outbox> {
            Ok(outbox::Outbox::connect(self.source.clone()).await?)
        }

        async fn enqueue(&mut self, events: Vec<Envelope<Pending>>) -> Outcome {
            let business = self.producer.transaction().await?;
            outbox::enqueue_all(&business, events).await?;
            Ok(business.commit().await?)
        }

        async fn work(
            &self,
            listener: impl Consumer<Acker: 'static> + 'static,
            inbox: InboxConfig,
            stop: impl Future<Output = ()> + Send + 'static,
        ) -> Outcome<JoinHandle<Summary>> {
            let handlers = inbox::handlers().otherwise(async |transaction, lead| {
                let sql = "INSERT INTO effect VALUES ($1)";
                transaction.execute(sql, &[&lead.payload().bytes()]).await?;
                Ok(())
            });
            let (target, config) = (self.target.clone(), WorkerConfig::default());
            let worker =
                inbox::Worker::connect(target, inbox, listener, handlers, config);
            Ok(tokio::spawn(worker.await?.run(stop)))
        }

        async fn remove(self) -> Outcome {
            drop_schema("source").await?;
            drop_schema("target").await
        }
    }
}
