//! `graphile_worker` 0.14, as its chapter on workers has the one for throughput: a local
//! queue, completions in batches of 5 ms, and 16 jobs at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, RawJobSpec, TaskHandler, WorkerContext, WorkerOptions,
    WorkerUtils,
};
use sqlx::PgPool;
use tokio_postgres::Client;

use super::{BATCH, DATABASE, Lead, Outcome, Peer, connect, lead, until_none, url};

impl TaskHandler for Lead {
    const IDENTIFIER: &'static str = "lead_created";

    async fn run(self, _: WorkerContext) -> impl IntoTaskHandlerResult {
        Ok::<(), String>(())
    }
}

pub(crate) struct Graphile {
    pool: PgPool,
    utils: WorkerUtils,
    client: Client,
}

impl Graphile {
    pub(crate) async fn new() -> Outcome<Self> {
        let pool = PgPool::connect(&url(DATABASE)).await?;
        let worker = options(&pool).init().await?;
        Ok(Self { utils: worker.create_utils(), pool, client: connect(DATABASE).await? })
    }
}

fn options(pool: &PgPool) -> WorkerOptions {
    WorkerOptions::default()
        .concurrency(16)
        .poll_interval(Duration::from_millis(50))
        .complete_job_batch_delay(Duration::from_millis(5))
        .fail_job_batch_delay(Duration::from_millis(5))
        .local_queue(LocalQueueConfig::default().with_size(BATCH))
        .define_job::<Lead>()
        .pg_pool(pool.clone())
}

impl Peer for Graphile {
    async fn enqueue(&mut self) -> Outcome {
        self.utils.add_job(lead(), JobSpec::default()).await?;
        Ok(())
    }

    async fn fill(&mut self, events: usize) -> Outcome {
        let payload = serde_json::to_value(lead())?;
        let job = || RawJobSpec {
            identifier: Lead::IDENTIFIER.to_owned(),
            payload: payload.clone(),
            spec: JobSpec::default(),
        };
        self.utils.add_raw_jobs(&(0..events).map(|_| job()).collect::<Vec<_>>()).await?;
        Ok(self.client.batch_execute("VACUUM ANALYZE graphile_worker._private_jobs").await?)
    }

    async fn drain(&mut self, _: usize) -> Outcome<Duration> {
        let worker = Arc::new(options(&self.pool).init().await?);
        let running = Arc::clone(&worker);
        let start = Instant::now();
        let running = tokio::spawn(async move { running.run().await });
        until_none(&self.client, "SELECT count(*) FROM graphile_worker._private_jobs").await?;
        let time = start.elapsed();
        worker.request_shutdown();
        running.await??;
        Ok(time)
    }
}
