//! `apalis` 1.0 with `apalis-postgres` 1.0: its pubsub backend, polled every 10 ms
//! besides, batches of 1000, and handlers that run in parallel, without a lock for each
//! task, as its example has it.

use std::time::{Duration, Instant};

use apalis::prelude::*;
use apalis_postgres::{Config, PgPool, PostgresStorage};
use tokio_postgres::Client;

use super::{BATCH, DATABASE, Lead, Outcome, Peer, connect, lead, until_none, url};

const QUEUE: &str = "leads";

pub(crate) struct Apalis {
    pool: PgPool,
    client: Client,
    workers: usize,
}

impl Apalis {
    pub(crate) async fn new() -> Outcome<Self> {
        let pool = PgPool::connect(&url(DATABASE)).await?;
        PostgresStorage::setup(&pool).await?;
        Ok(Self { pool, client: connect(DATABASE).await?, workers: 0 })
    }

    async fn push(&self, events: usize) -> Outcome {
        let tasks = (0..events).map(|_| Ok(TaskBuilder::new(serde_json::to_vec(&lead())?).build()));
        let tasks = tasks.collect::<Outcome<Vec<_>>>()?;
        let mut business = self.pool.begin().await?;
        apalis_postgres::queries::push_tasks(&mut *business, QUEUE, tasks).await?;
        Ok(business.commit().await?)
    }
}

async fn handle(_: Lead) -> Result<(), BoxDynError> {
    Ok(())
}

impl Peer for Apalis {
    async fn enqueue(&mut self) -> Outcome {
        self.push(1).await
    }

    async fn fill(&mut self, events: usize) -> Outcome {
        self.push(events).await?;
        // A task is taken from the second after the one in which it was pushed.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        Ok(self.client.batch_execute("VACUUM ANALYZE apalis.jobs").await?)
    }

    async fn drain(&mut self, _: usize) -> Outcome<Duration> {
        let config = Config::default().queue(QUEUE).batch_size(BATCH).lock_tasks(false);
        let backend = PostgresStorage::<Lead>::new(&self.pool)
            .with_config(config)
            .with_pubsub()
            .poll_with_interval(Duration::from_millis(10));
        self.workers += 1;
        let context = WorkerContext::new(format!("worker-{}", self.workers).as_str());
        let worker = WorkerBuilder::new(&context).backend(backend).parallelize(tokio::spawn).build(handle);
        let start = Instant::now();
        let running = tokio::spawn(worker.run());
        until_none(&self.client, "SELECT count(*) FROM apalis.jobs WHERE status <> 'Done'").await?;
        let time = start.elapsed();
        context.stop()?;
        running.await??;
        Ok(time)
    }
}
