//! What a worker gains where many events share a transaction.

use std::time::Duration;

use integration_automation_patterns::RetryPolicy;
use integration_automation_patterns::inbox::worker::WorkerConfig;
use integration_automation_patterns::inbox::{InboxConfig, sqlite as inbox};

use crate::{Amount, Outcome, Ready, ratio, sqlite, timed};

/// The events of one run.
const EVENTS: usize = 500;

pub(super) async fn measure(amount: Amount) -> Outcome {
    let pairs = amount.pairs / 10;
    let (many, one) = (WorkerConfig::default(), WorkerConfig::default().batch(1));
    let mut sides = [sqlite::fresh("worker_many")?, sqlite::fresh("worker_one")?];
    for file in &mut sides {
        sqlite::connect(file)?.execute_batch("CREATE TABLE effect (lead BLOB)")?;
    }
    let run = async |file: &std::path::Path, config: &WorkerConfig| {
        let handlers = inbox::handlers().otherwise(|transaction, lead| {
            let sql = "INSERT INTO effect VALUES (?1)";
            transaction.prepare_cached(sql)?.execute([lead.payload().bytes()])?;
            Ok(())
        });
        let worker = inbox::Worker::open(
            file,
            inbox_config()?,
            Ready::new(EVENTS),
            handlers,
            config.clone(),
        )?;
        timed(async {
            all_processed(worker.run(std::future::pending::<()>()).await.processed)
        })
        .await
    };
    let ratio = ratio(
        pairs,
        async || run(&sides[0], &many).await,
        async || run(&sides[1], &one).await,
    );
    print("SQLite", ratio.await?, 10.0);
    #[cfg(feature = "postgres")]
    postgres(pairs, &many, &one).await?;
    Ok(())
}

#[cfg(feature = "postgres")]
async fn postgres(pairs: usize, many: &WorkerConfig, one: &WorkerConfig) -> Outcome {
    use integration_automation_patterns::inbox::postgres as inbox;

    use crate::postgres::{drop_schema, fresh};

    let (many_in, client) = fresh("worker_many").await?;
    client.batch_execute("CREATE TABLE effect (lead bytea)").await?;
    let (one_in, client) = fresh("worker_one").await?;
    client.batch_execute("CREATE TABLE effect (lead bytea)").await?;
    let run = async |database: &tokio_postgres::Config, config: &WorkerConfig| {
        let handlers = inbox::handlers().otherwise(async |transaction, lead| {
            let sql = "INSERT INTO effect VALUES ($1)";
            transaction.execute(sql, &[&lead.payload().bytes()]).await?;
            Ok(())
        });
        let worker = inbox::Worker::connect(
            database.clone(),
            inbox_config()?,
            Ready::new(EVENTS),
            handlers,
            config.clone(),
        )
        .await?;
        timed(async {
            all_processed(worker.run(std::future::pending::<()>()).await.processed)
        })
        .await
    };
    let ratio = ratio(
        pairs,
        async || run(&many_in, many).await,
        async || run(&one_in, one).await,
    );
    print("PostgreSQL", ratio.await?, 1.5);
    drop_schema("worker_many").await?;
    drop_schema("worker_one").await
}

fn print(database: &str, ratio: f64, reach: f64) {
    println!(
        "| {database}: events per second through a worker, beside a transaction for each | {ratio:.2} | at least {reach} |"
    );
}

fn inbox_config() -> Outcome<InboxConfig> {
    Ok(InboxConfig::new(Duration::from_secs(7 * 24 * 60 * 60), RetryPolicy::DEFAULT)?)
}

fn all_processed(processed: u64) -> Outcome {
    assert_eq!(processed, u64::try_from(EVENTS)?);
    Ok(())
}
